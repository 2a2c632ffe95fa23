/** The whole of it, over an hour of anything: what must hold for every task, however calls end, limits change and processes die. */
import fc from '../support/fast-check.ts'
import { expect, it } from 'vitest'
import type { HandlerDefinition } from '../../src/domain/task/handler.ts'
import { isFinal, withDefaults } from '../../src/domain/task/task.ts'
import type { Delivery, NewTask, Task } from '../../src/domain/task/task.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'
import type { ScriptedCall } from '../support/scripted-caller.ts'

const SECOND = 1000
const MINUTES = 60_000
const ALARM = 'alarm.test'
const NAMES = ['limited', 'free', 'series'] as const

const handlers = fc.record({
  concurrency: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
  rate: fc.option(fc.integer({ min: 4, max: 20 }), { nil: undefined }),
})
const tasks = fc.array(
  fc.record({
    name: fc.constantFrom(...NAMES),
    minute: fc.integer({ min: -3, max: 12 }),
    retry: fc.nat(2),
    max_delay: fc.integer({ min: 2, max: 15 }),
    spread: fc.constantFrom(0, 59),
    delivery: fc.constantFrom<Delivery>('at_least_once', 'at_least_once', 'at_most_once'),
    ack_timeout: fc.constantFrom(undefined, 1),
    error_callback: fc.constantFrom(undefined, `http://${ALARM}/`),
  }),
  { minLength: 5, maxLength: 40 },
)
const ends = fc.array(
  fc.record({
    ms: fc.nat(9000),
    how: fc.constantFrom('good', 'good', 'good', 'busy', 'refused', 'silent', 'lost'),
    ack: fc.constantFrom('successful', 'failed', 'none' as const),
  }),
  { minLength: 1, maxLength: 20 },
)
/** What happens from minute to minute. */
const events = fc.array(fc.constantFrom('nothing', 'nothing', 'crash', 'pause', 'resume'), { minLength: 20, maxLength: 20 })

type End = typeof ends extends fc.Arbitrary<(infer One)[]> ? One : never
type Planned = typeof tasks extends fc.Arbitrary<(infer One)[]> ? One : never

function newTaskOf({ name, minute, ack_timeout, error_callback, retry, ...definition }: Planned): NewTask {
  return aTask({
    name,
    triggerAt: MINUTE + minute * 60,
    definition: {
      ...definition,
      ...(ack_timeout !== undefined && { ack_timeout }),
      ...(error_callback !== undefined && { error_callback }),
      ...(definition.delivery === 'at_least_once' && { retry }),
      ...(name === 'series' && { repeat: '*/5 * * * *' }),
    },
  })
}

/** One store, and the processes that come and go on it. */
class Life {
  readonly calls: ScriptedCall[] = []
  /** how many tasks of the limited name were running at each start of one of its calls */
  readonly running: Promise<number>[] = []
  #node: SchedulerHarness
  #nodes = 1
  readonly #ends: readonly End[]

  constructor(ends: readonly End[]) {
    this.#ends = ends
    this.#node = new SchedulerHarness({ startAt: MINUTE_MS - 30 * SECOND })
    this.#follow(this.#node)
  }

  get node(): SchedulerHarness {
    return this.#node
  }

  async crash(): Promise<void> {
    await this.#node.crash()
    this.#nodes += 1
    this.#node = new SchedulerHarness({ successorOf: this.#node, node: `node-${this.#nodes}` })
    this.#follow(this.#node)
    await this.#node.start()
  }

  async everyTask(): Promise<Task[]> {
    return (await this.#node.store.list({}, { limit: 1000 })).tasks
  }

  #follow(node: SchedulerHarness): void {
    node.caller.script = (call) => {
      const end = this.#ends[this.calls.length % this.#ends.length]
      this.calls.push(call)
      if (call.key.startsWith('limited@') && call.host !== ALARM) {
        this.running.push(node.store.list({ name: 'limited', states: ['running'] }, { limit: 100 }).then((page) => page.tasks.length))
      }
      node.clock.setTimer(end?.ms ?? 0, () => {
        // A process that is gone hears nothing.
        if (node === this.#node && end) this.#end(call, end)
      })
    }
  }

  #end(call: ScriptedCall, { how, ack, ms }: End): void {
    if (how === 'lost') call.lose()
    else if (how === 'silent') call.fail('timed out')
    else call.answer({ good: 200, busy: 503, refused: 404 }[how])
    if (how !== 'good' || ack === 'none' || call.host === ALARM) return
    const [name = '', triggerAt] = call.key.split('@')
    const attempt = Number(call.request.headers['callme-attempt'])
    this.#node.clock.setTimer(5 * ms, () => {
      void this.#node.acknowledge({ key: { name, triggerAt: Number(triggerAt) }, attempt, status: ack })
    })
  }
}

async function live(
  handler: HandlerDefinition,
  planned: readonly Planned[],
  script: readonly End[],
  course: readonly string[],
): Promise<Life> {
  const life = new Life(script)
  await life.node.putHandler('limited', handler)
  await life.node.put(...planned.map(newTaskOf))
  await life.node.start()
  for (const event of course) {
    await life.node.clock.advance(MINUTES)
    if (event === 'crash') await life.crash()
    if (event === 'pause') await life.node.putHandler('limited', { ...handler, paused: true })
    if (event === 'resume') await life.node.putHandler('limited', handler)
  }
  await life.node.store.remove({ name: 'series', states: ['pending'] }, { now: life.node.clock.now(), limit: 100 })
  await life.node.clock.advance(40 * MINUTES)
  return life
}

function expectOneEndPerTask(all: readonly Task[]): void {
  for (const task of all) {
    expect([task.name, isFinal(task.state), task.leaseUntil]).toEqual([task.name, true, null])
    expect(task.error === null).toBe(task.state === 'successful')
    const isTold = task.definition.error_callback !== undefined && task.state !== 'successful'
    expect([task.name, task.errorCallback !== null]).toEqual([task.name, isTold])
    if (task.errorCallback) expect(isFinal(task.errorCallback.state)).toBe(true)
  }
}

it('every task comes to one end, in its window and within its limits, and bad news is delivered once', async () => {
  await fc.assert(
    fc.asyncProperty(handlers, tasks, ends, events, async ({ concurrency, rate }, planned, script, course) => {
      const handler = { ...(concurrency !== undefined && { concurrency }), ...(rate !== undefined && { rate }) }
      const life = await live(handler, planned, script, course)
      const all = await life.everyTask()
      expectOneEndPerTask(all)

      const called = life.calls.filter(({ host }) => host !== ALARM)
      for (const { startedAt, request } of life.calls) expect(startedAt).toBeLessThan(request.deadline)
      for (const { startedAt, request } of called) {
        expect(startedAt).toBeGreaterThanOrEqual(Number(request.headers['callme-trigger-at']) * 1000)
      }
      for (const running of await Promise.all(life.running)) expect(running).toBeLessThanOrEqual(concurrency ?? Infinity)
      const starts = called.filter(({ key }) => key.startsWith('limited@')).map(({ startedAt }) => startedAt ?? 0)
      for (const from of starts) {
        expect(starts.filter((at) => at >= from && at < from + MINUTES).length).toBeLessThanOrEqual(rate ?? Infinity)
      }

      const deliveries = new Map(
        life.calls.filter(({ host }) => host === ALARM).map(({ key, request }) => [request.headers['callme-run-id'], key]),
      )
      expect(new Set(deliveries.values()).size).toBe(deliveries.size)
      for (const task of all) {
        const calls = called.filter(({ request }) => request.headers['callme-run-id'] === task.runId)
        if (withDefaults(task.definition).delivery === 'at_most_once') expect(calls.length).toBeLessThanOrEqual(1)
        expect(calls.length).toBe(task.attempts)
      }
      await life.node.stop()
      await life.node.store.close()
    }),
    { numRuns: 15 },
  )
})
