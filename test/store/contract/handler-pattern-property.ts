/** Random writes, claims, pulls and handlers of many names, inside each other: no limit is ever exceeded, and nothing is forgotten. */
import fc from '../../support/fast-check.ts'
import { expect } from 'vitest'
import type { HandlerDefinition } from '../../../src/domain/task/handler.ts'
import { reportOf } from '../../../src/domain/attempt/attempt-report.ts'
import type { Task } from '../../../src/domain/task/task.ts'
import type { ClaimResult, Store } from '../../../src/store/store.ts'
import { aTaskWithoutCallback } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, answered, DUE, LEASE_MS, listAll, NODE } from './support/tasks.ts'

const NAMES = ['a', 'a.x', 'a.b', 'a.b.x', 'c']
/** In the order in which they are asked whether they apply. */
const HANDLERS = ['a', 'a.b.*', 'a.*', '*']
const CALLBACK = { callback: 'http://host-0.test/' }
/** A rate is counted by whole seconds, so a place comes back after 61 of them at the latest. */
const PLACE_MS = 61_000

/** Longer than starts are remembered. */
const RUN_MS = 86_400_000

interface Run {
  readonly store: Store
  /** epoch ms, on a whole minute: each run is at a time of its own, for the store remembers starts */
  readonly from: number
  now: number
  readonly handlers: Map<string, HandlerDefinition>
  /** when attempts under a handler started; only those while it had a rate, which are the ones that it counts, are `counted` */
  readonly starts: Map<string, { at: number; counted: boolean }[]>
}

type Step = (run: Run) => Promise<unknown>

/** A step as it is shown in the report of a failure. */
function named(text: string, values: unknown, step: Step): Step {
  return Object.assign(step, { [fc.toStringMethod]: () => `${text} ${JSON.stringify(values)}` })
}

const handlerNames = fc.constantFrom(...HANDLERS)
const optional = (max: number) => fc.option(fc.integer({ min: 1, max }), { nil: undefined })

const tasks = fc.record({
  name: fc.constantFrom(...NAMES),
  minute: fc.integer({ min: -9, max: 9 }),
  callback: fc.constantFrom(undefined, 'http://host-0.test/', 'http://host-1.test/'),
  count: fc.integer({ min: 1, max: 4 }),
})
const putting = tasks.map((values) => {
  const { name, minute, callback, count } = values
  const definition = { max_delay: 525_600, ...(callback !== undefined && { callback }) }
  const task = (from: number) => (_: unknown, n: number) =>
    aTaskWithoutCallback({ name, triggerAt: from / 1000 + (minute + n) * 60, dueAt: from + minute * 7000 + n, definition })
  return named('put', values, ({ store, from, now }) => store.put(Array.from({ length: count }, task(from)), { now }))
})

const definitions = fc
  .record({
    concurrency: optional(3),
    rate: optional(3),
    paused: fc.constantFrom(false, false, true),
    pull: fc.constantFrom(false, false, true),
  })
  .map((limits): HandlerDefinition => ({ ...CALLBACK, ...(JSON.parse(JSON.stringify(limits)) as HandlerDefinition) }))
const handling = fc.tuple(handlerNames, definitions).map(([name, definition]) =>
  named('handler', [name, definition], async (run) => {
    const before = run.handlers.get(name)
    if (definition.rate === undefined || before?.rate === undefined) forgetStarts(run, name)
    run.handlers.set(name, definition)
    await run.store.putHandler(name, definition, { now: run.now, force: true })
  }),
)

const unhandling = handlerNames.map((name) =>
  named('no handler', name, async (run) => {
    run.handlers.delete(name)
    forgetStarts(run, name)
    await run.store.removeHandler(name, { force: true })
  }),
)

const claiming = fc.record({ node: fc.constantFrom('node-1', 'node-2'), limit: fc.constantFrom(1, 3, 99, 99) }).map((values) =>
  named('claim', values, async (run) => {
    const before = await waiting(run.store)
    const running = await listAll(run.store, { states: ['running'] })
    const result = await run.store.claimDue(aClaim({ now: run.now, ...values }))
    for (const handler of [...HANDLERS, undefined]) expectNothingLeft(run, handler, { before, running, result, limit: values.limit })
    for (const handler of HANDLERS) await expectWithinLimits(run, handler, result.tasks, false)
  }),
)

const pulling = handlerNames.map((name) =>
  named('pull', name, async (run) => {
    const { store, now, handlers } = run
    const due = (await waiting(store)).filter((task) => handlerOf(run, task) === name && task.dueAt <= now)
    const result = await store.pull(name, { now, node: NODE, leaseUntil: now + LEASE_MS, limit: 2 })
    const { pull, paused, concurrency, rate } = handlers.get(name) ?? {}
    expect(result === 'not_pulled').toBe(pull !== true)
    if (result === 'not_pulled') return
    expect(result.tasks.map((task) => handlerOf(run, task))).toEqual(result.tasks.map(() => name))
    if (!paused && concurrency === undefined && rate === undefined) expect(result.tasks).toHaveLength(Math.min(2, due.length))
    await expectWithinLimits(run, name, result.tasks, true)
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

/** A claim that the store is asked for before the change of a handler is through. */
const changingAndClaiming = fc.tuple(fc.oneof(handling, unhandling), claiming).map(([changing, claim]) =>
  named('at once', [fc.stringify(changing), fc.stringify(claim)], async (run) => {
    const changed = changing(run)
    const { tasks } = await run.store.claimDue(aClaim({ now: run.now, limit: 2 }))
    await changed
    for (const handler of HANDLERS) await expectWithinLimits(run, handler, tasks, false)
    await claim(run)
  }),
)

const steps: fc.Arbitrary<Step | 'reopen'> = fc.oneof(
  { arbitrary: putting, weight: 5 },
  { arbitrary: handling, weight: 2 },
  { arbitrary: unhandling, weight: 1 },
  { arbitrary: changingAndClaiming, weight: 1 },
  { arbitrary: claiming, weight: 5 },
  { arbitrary: pulling, weight: 2 },
  { arbitrary: ending, weight: 5 },
  { arbitrary: rescuing, weight: 1 },
  { arbitrary: passing, weight: 4 },
  { arbitrary: fc.constant<'reopen'>('reopen'), weight: 1 },
)

export default area('limits of handlers inside each other', (test) => {
  test('are never exceeded and hold back nothing of other handlers, whichever of them come and go', async ({ store, reopen }) => {
    let opened = store
    let from = DUE
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 20, maxLength: 60, size: 'max' }), async (sequence) => {
        await clear(opened, from)
        from += RUN_MS
        let run: Run = { store: opened, from, now: from, handlers: new Map(), starts: new Map() }
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

/** @returns the name of the handler that applies to a task */
function handlerOf({ handlers }: Run, { name }: Pick<Task, 'name'>): string | undefined {
  const applies = (handler: string) => (handler.endsWith('*') ? name.startsWith(handler.slice(0, -1)) : name === handler)
  return HANDLERS.find((handler) => handlers.has(handler) && applies(handler))
}

async function waiting(store: Store): Promise<Task[]> {
  return listAll(store, { states: ['pending', 'retrying'] })
}

function forgetStarts({ starts }: Run, handler: string): void {
  for (const start of starts.get(handler) ?? []) start.counted = false
}

/** What has just been handed out under a handler is within its limits; notes when it started. */
async function expectWithinLimits(run: Run, handler: string, tasks: readonly Task[], isPull: boolean): Promise<void> {
  const count = tasks.filter((task) => handlerOf(run, task) === handler).length
  if (count === 0) return
  const { now, handlers, starts } = run
  const { paused, pull, concurrency = Infinity, rate } = handlers.get(handler) ?? {}
  expect([paused ?? false, pull ?? false]).toEqual([false, isPull])
  const running = (await listAll(run.store, { states: ['running'] })).filter((task) => handlerOf(run, task) === handler)
  expect(running.length).toBeLessThanOrEqual(concurrency)
  const all = starts.get(handler) ?? []
  all.push(...Array.from({ length: count }, () => ({ at: now, counted: rate !== undefined })))
  starts.set(handler, all)
  const times = all.filter(({ counted }) => counted).map(({ at }) => at)
  for (const from of times.filter((at) => at > now - 60_000 && at <= now))
    expect(times.filter((at) => at >= from && at < from + 60_000).length).toBeLessThanOrEqual(rate ?? Infinity)
}

interface Claimed {
  readonly before: readonly Task[]
  readonly running: readonly Task[]
  readonly result: ClaimResult
  readonly limit: number
}

/** A claim with places left has taken all that the limits of a handler allow, and says when there is more. */
function expectNothingLeft(run: Run, handler: string | undefined, { before, running, result, limit }: Claimed): void {
  const { paused, pull, concurrency = Infinity, rate = Infinity } = run.handlers.get(handler ?? '') ?? {}
  if (paused === true || pull === true || result.tasks.length >= limit) return
  const isIts = (task: Task) => handlerOf(run, task) === handler
  const { now } = run
  const started = (run.starts.get(handler ?? '') ?? []).map(({ at }) => at).filter((at) => at > now - PLACE_MS)
  const due = before.filter((task) => isIts(task) && task.dueAt <= now).length
  const room = Math.max(0, Math.min(concurrency - running.filter(isIts).length, rate - started.length))
  const claimed = result.tasks.filter(isIts).length
  expect(claimed, `${handler ?? 'no handler'} has room for ${room}, and ${due} due`).toBeGreaterThanOrEqual(Math.min(due, room))
  const later = before.filter((task) => isIts(task) && task.dueAt > now).map(({ dueAt }) => dueAt)
  if (claimed < room) expect(result.nextDue ?? Infinity).toBeLessThanOrEqual(Math.min(...later, Infinity))
  else if (running.filter(isIts).length + claimed < concurrency && due > claimed)
    expect(result.nextDue ?? Infinity).toBeLessThanOrEqual(Math.max(now, ...started) + PLACE_MS)
}

/** With limits that let something through, everything is called in the end, at the times that the claims themselves name. */
async function expectAllEnds({ store, now, handlers }: Run): Promise<void> {
  for (const name of handlers.size > 0 ? handlers.keys() : ['*'])
    await store.putHandler(name, { ...CALLBACK, concurrency: 2, rate: 3 }, { now, force: true })
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

async function clear(store: Store, now: number): Promise<void> {
  await store.rescue({ now: now + RUN_MS, limit: 10_000 })
  await store.remove({}, { now, limit: 10_000 })
  for (const name of HANDLERS) await store.removeHandler(name, { force: true })
}
