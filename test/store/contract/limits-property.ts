/** Random writes, claims, pulls and handlers of three names at two hosts: no limit is ever exceeded, and nothing is forgotten. */
import fc from '../../support/fast-check.ts'
import { expect } from 'vitest'
import type { HandlerDefinition } from '../../../src/domain/task/handler.ts'
import { reportOf } from '../../../src/domain/attempt/attempt-report.ts'
import type { Task } from '../../../src/domain/task/task.ts'
import type { ClaimResult, Store } from '../../../src/store/store.ts'
import { aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, answered, DUE, LEASE_MS, listAll, NODE, putHandler } from './support/tasks.ts'

const NAMES = ['a', 'b', 'c']
const CALLBACK = { callback: 'http://host-0.test/' }
/** A rate is counted by whole seconds, so a place comes back after 61 of them at the latest. */
const PLACE_MS = 61_000

interface Run {
  readonly store: Store
  now: number
  readonly handlers: Map<string, HandlerDefinition>
  /** when attempts of a name started; only those since its handler has a rate, which are the ones that it counts, are `counted` */
  readonly starts: Map<string, { at: number; counted: boolean }[]>
}

type Step = (run: Run) => Promise<unknown>

/** A step as it is shown in the report of a failure. */
function named(text: string, values: unknown, step: Step): Step {
  return Object.assign(step, { [fc.toStringMethod]: () => `${text} ${JSON.stringify(values)}` })
}

const names = fc.constantFrom(...NAMES)
const optional = (max: number) => fc.option(fc.integer({ min: 1, max }), { nil: undefined })

const tasks = fc.record({
  name: names,
  minute: fc.integer({ min: -9, max: 9 }),
  callback: fc.constantFrom(undefined, 'http://host-0.test/', 'http://host-1.test/'),
  count: fc.integer({ min: 1, max: 4 }),
})
const putting = tasks.map((values) => {
  const { name, minute, callback, count } = values
  const definition = { max_delay: 525_600, ...(callback !== undefined && { callback }) }
  const task = (_: unknown, n: number) =>
    aTaskWithoutCallback({ name, triggerAt: MINUTE + (minute + n) * 60, dueAt: DUE + minute * 7000 + n, definition })
  return named('put', values, ({ store, now }) => store.put(Array.from({ length: count }, task), { now }))
})

const definitions = fc
  .record({
    concurrency: optional(3),
    rate: optional(3),
    paused: fc.constantFrom(false, false, true),
    pull: fc.constantFrom(false, false, true),
  })
  .map((limits): HandlerDefinition => ({ ...CALLBACK, ...(JSON.parse(JSON.stringify(limits)) as HandlerDefinition) }))
const handling = fc.tuple(names, definitions).map(([name, definition]) =>
  named('handler', [name, definition], async ({ store, now, handlers, starts }) => {
    await putHandler(store, name, definition, now)
    if (definition.rate === undefined || handlers.get(name)?.rate === undefined) forgetStarts(starts, name)
    handlers.set(name, definition)
  }),
)

const unhandling = names.map((name) =>
  named('no handler', name, async ({ store, handlers, starts }) => {
    await store.removeHandler(name, { force: true })
    handlers.delete(name)
    forgetStarts(starts, name)
  }),
)

const claiming = fc.record({ node: fc.constantFrom('node-1', 'node-2'), limit: fc.constantFrom(1, 3, 99, 99) }).map((values) =>
  named('claim', values, async (run) => {
    const before = await waiting(run.store)
    const running = await runningOf(run.store)
    const result = await run.store.claimDue(aClaim({ now: run.now, ...values }))
    for (const name of NAMES) expectNothingLeft(run, name, { before, running: running.get(name) ?? 0, result, limit: values.limit })
    for (const name of NAMES) await expectWithinLimits(run, name, result.tasks, false)
  }),
)

const pulling = names.map((name) =>
  named('pull', name, async (run) => {
    const { store, now } = run
    const result = await store.pull(name, { now, node: NODE, leaseUntil: now + LEASE_MS, limit: 2 })
    expect(result === 'not_pulled').toBe(run.handlers.get(name)?.pull !== true)
    if (result !== 'not_pulled') await expectWithinLimits(run, name, result.tasks, true)
  }),
)

const ending = fc.record({ pick: fc.nat(9), how: fc.constantFrom(200, 503, 404, 'stopping' as const) }).map((values) =>
  named('end', values, async ({ store, now }) => {
    const running = await listAll(store, { states: ['running'] })
    const task = running[values.pick % Math.max(1, running.length)]
    if (task?.awaiting === 'worker')
      return store.acknowledge({ key: task, attempt: task.attempts, status: 'failed', retryable: true, detail: null, now, random: 0 })
    const { how } = values
    const result = how === 'stopping' ? ({ kind: 'not_called', reason: how } as const) : answered(how, now)
    return store.record(task ? [reportOf(task, result, NODE, now, 0)] : [])
  }),
)

const rescuing = fc.constant(named('rescue', '', ({ store, now }) => store.rescue({ now, limit: 2 })))
const passing = fc.constantFrom(0, 500, 1000, 20_000, 30_000, 61_000, -20_000).map((ms) =>
  named('wait', ms, (run) => {
    run.now += ms
    return Promise.resolve()
  }),
)

const steps: fc.Arbitrary<Step | 'reopen'> = fc.oneof(
  { arbitrary: putting, weight: 4 },
  { arbitrary: handling, weight: 2 },
  { arbitrary: unhandling, weight: 1 },
  { arbitrary: claiming, weight: 5 },
  { arbitrary: pulling, weight: 2 },
  { arbitrary: ending, weight: 5 },
  { arbitrary: rescuing, weight: 1 },
  { arbitrary: passing, weight: 4 },
  { arbitrary: fc.constant<'reopen'>('reopen'), weight: 1 },
)

export default area('limits', (test) => {
  test('are never exceeded and hold back nothing else, whatever happens in whatever order', async ({ store, reopen }) => {
    let opened = store
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 20, maxLength: 60, size: 'max' }), async (sequence) => {
        await clear(opened)
        let run: Run = { store: opened, now: DUE, handlers: new Map(), starts: new Map() }
        for (const step of sequence) {
          if (step === 'reopen') opened = await reopen()
          run = { ...run, store: opened }
          if (step !== 'reopen') await step(run)
        }
        await expectAllEnds(run)
      }),
      { numRuns: 60 },
    )
  })
})

async function waiting(store: Store): Promise<Task[]> {
  return listAll(store, { states: ['pending', 'retrying'] })
}

async function runningOf(store: Store): Promise<Map<string, number>> {
  const running = await listAll(store, { states: ['running'] })
  return new Map(NAMES.map((name) => [name, running.filter((task) => task.name === name).length]))
}

function forgetStarts(starts: Run['starts'], name: string): void {
  for (const start of starts.get(name) ?? []) start.counted = false
}

/** What has just been handed out of a name is within its limits; notes when it started. */
async function expectWithinLimits(
  { store, now, handlers, starts }: Run,
  name: string,
  tasks: readonly Task[],
  isPull: boolean,
): Promise<void> {
  const count = tasks.filter((task) => task.name === name).length
  if (count === 0) return
  const { paused, pull, concurrency = Infinity, rate } = handlers.get(name) ?? {}
  expect([paused ?? false, pull ?? false]).toEqual([false, isPull])
  expect((await runningOf(store)).get(name)).toBeLessThanOrEqual(concurrency)
  const all = starts.get(name) ?? []
  all.push(...Array.from({ length: count }, () => ({ at: now, counted: rate !== undefined })))
  starts.set(name, all)
  const times = all.filter(({ counted }) => counted).map(({ at }) => at)
  for (const from of times.filter((at) => at > now - 60_000 && at <= now))
    expect(times.filter((at) => at >= from && at < from + 60_000).length).toBeLessThanOrEqual(rate ?? Infinity)
}

interface Claimed {
  readonly before: readonly Task[]
  readonly running: number
  readonly result: ClaimResult
  readonly limit: number
}

/** A claim with places left has taken all that the limits of the name allow, and says when there is more. */
function expectNothingLeft({ now, handlers, starts }: Run, name: string, { before, running, result, limit }: Claimed): void {
  const { paused, pull, concurrency = Infinity, rate = Infinity } = handlers.get(name) ?? {}
  if (paused === true || pull === true || result.tasks.length >= limit) return
  const started = (starts.get(name) ?? []).map(({ at }) => at).filter((at) => at > now - PLACE_MS)
  const due = before.filter((task) => task.name === name && task.dueAt <= now).length
  const room = Math.max(0, Math.min(concurrency - running, rate - started.length))
  const claimed = result.tasks.filter((task) => task.name === name).length
  expect(claimed, `${name} has room for ${room}, and ${due} due`).toBeGreaterThanOrEqual(Math.min(due, room))
  const later = before.filter((task) => task.name === name && task.dueAt > now).map(({ dueAt }) => dueAt)
  if (claimed < room) expect(result.nextDue ?? Infinity).toBeLessThanOrEqual(Math.min(...later, Infinity))
  else if (running + claimed < concurrency && due > claimed)
    expect(result.nextDue ?? Infinity).toBeLessThanOrEqual(Math.max(now, ...started) + PLACE_MS)
}

/** With limits that let something through, everything is called in the end, at the times that the claims themselves name. */
async function expectAllEnds({ store, now }: Run): Promise<void> {
  for (const name of NAMES) await putHandler(store, name, { ...CALLBACK, concurrency: 2, rate: 3 }, now)
  await store.rescue({ now: now + 10 * LEASE_MS, limit: 1000 })
  for (let [turn, at]: [number, number | undefined] = [0, now]; at !== undefined; turn += 1) {
    const { tasks, nextDue }: ClaimResult = await store.claimDue(aClaim({ now: at }))
    await store.record(tasks.map((task) => reportOf(task, answered(200, Number(at)), NODE, Number(at), 0)))
    // The end of a call comes before every time: a node claims again.
    at = tasks.length > 0 ? at : nextDue
    if (turn > 1000) throw new Error('the claims come to no end')
  }
  expect(await waiting(store)).toEqual([])
}

async function clear(store: Store): Promise<void> {
  await store.rescue({ now: DUE + 1e9, limit: 10_000 })
  await store.remove({}, { now: DUE, limit: 10_000 })
  for (const name of NAMES) await store.removeHandler(name, { force: true })
}
