/** Random writes, claims, pulls and handlers, side by side or inside each other: no limit is ever exceeded, and nothing is forgotten. */
import { expect } from 'vitest'
import type { HandlerDefinition } from '../../../src/domain/task/handler.ts'
import { reportOf } from '../../../src/domain/attempt/attempt-report.ts'
import type { ClaimResult, Store } from '../../../src/store/store.ts'
import { aTaskWithoutCallback } from '../../support/a-task.ts'
import fc, { runs } from '../../support/fast-check.ts'
import { area } from './support/area.ts'
import { expectNothingLeft, expectWithinLimits, forgetStarts, handlerOf, waiting } from './support/limit-rules.ts'
import type { Run, Setting } from './support/limit-rules.ts'
import { aClaim, answered, DUE, LEASE_MS, listAll, NODE } from './support/tasks.ts'

const SETTINGS: readonly Setting[] = [
  { names: ['a', 'b', 'c'], handlers: ['a', 'b', 'c'] },
  { names: ['a', 'a.x', 'a.b', 'a.b.x', 'c'], handlers: ['a', 'a.b.*', 'a.*', '*'] },
]
const CALLBACK = { callback: 'http://host-0.test/' }
/** Longer than starts are remembered. */
const RUN_MS = 86_400_000

type Step = (run: Run) => Promise<unknown>
type Steps = fc.Arbitrary<Step>

export default area('limits', (test) => {
  test('are never exceeded and hold back nothing else, whichever handlers come and go in whatever order', async ({ store, reopen }) => {
    const histories = fc
      .constantFrom(...SETTINGS)
      .chain((setting) => fc.tuple(fc.constant(setting), fc.array(stepsOf(setting), { minLength: 20, maxLength: 60, size: 'max' })))
    let opened = store
    let from = DUE
    await fc.assert(
      fc.asyncProperty(histories, async ([setting, steps]) => {
        await clear(opened, from)
        from += RUN_MS
        let run: Run = { store: opened, setting, from, now: from, handlers: new Map(), starts: new Map() }
        for (const step of steps) {
          if (step === 'reopen') opened = await reopen()
          run = { ...run, store: opened }
          if (step !== 'reopen') await step(run)
        }
        await expectAllEnds(run)
      }),
      { numRuns: runs({ gate: 12, night: 200 }) },
    )
  })
})

function stepsOf({ names, handlers }: Setting): fc.Arbitrary<Step | 'reopen'> {
  const handlerNames = fc.constantFrom(...handlers)
  const [handling, unhandling] = [handlingOf(handlerNames), unhandlingOf(handlerNames)]
  return fc.oneof(
    { arbitrary: puttingOf(fc.constantFrom(...names)), weight: 5 },
    { arbitrary: handling, weight: 2 },
    { arbitrary: unhandling, weight: 1 },
    { arbitrary: changingAndClaiming(fc.oneof(handling, unhandling)), weight: 1 },
    { arbitrary: claiming, weight: 5 },
    { arbitrary: pullingOf(handlerNames), weight: 2 },
    { arbitrary: ending, weight: 5 },
    { arbitrary: rescuing, weight: 1 },
    { arbitrary: passing, weight: 4 },
    { arbitrary: fc.constant<'reopen'>('reopen'), weight: 1 },
  )
}

/** A step as it is shown in the report of a failure. */
function named(text: string, values: unknown, step: Step): Step {
  return Object.assign(step, { [fc.toStringMethod]: () => `${text} ${JSON.stringify(values)}` })
}

function puttingOf(names: fc.Arbitrary<string>): Steps {
  const callback = fc.constantFrom(undefined, 'http://host-0.test/', 'http://host-1.test/')
  const tasks = fc.record({ name: names, minute: fc.integer({ min: -9, max: 9 }), callback, count: fc.integer({ min: 1, max: 4 }) })
  return tasks.map((values) => {
    const { name, minute, callback, count } = values
    const definition = { max_delay: 525_600, ...(callback !== undefined && { callback }) }
    const task = (from: number) => (_: unknown, n: number) =>
      aTaskWithoutCallback({ name, triggerAt: from / 1000 + (minute + n) * 60, dueAt: from + minute * 7000 + n, definition })
    return named('put', values, ({ store, from, now }) => store.put(Array.from({ length: count }, task(from)), { now }))
  })
}

const optional = (max: number) => fc.option(fc.integer({ min: 1, max }), { nil: undefined })
const definitions = fc
  .record({
    concurrency: optional(3),
    rate: optional(3),
    paused: fc.constantFrom(false, false, true),
    pull: fc.constantFrom(false, false, true),
  })
  .map((limits): HandlerDefinition => ({ ...CALLBACK, ...(JSON.parse(JSON.stringify(limits)) as HandlerDefinition) }))

function handlingOf(names: fc.Arbitrary<string>): Steps {
  return fc.tuple(names, definitions).map(([name, definition]) =>
    named('handler', [name, definition], async (run) => {
      const before = run.handlers.get(name)
      if (definition.rate === undefined || before?.rate === undefined) forgetStarts(run, name)
      run.handlers.set(name, definition)
      await run.store.putHandler(name, definition, { now: run.now, force: true })
    }),
  )
}

function unhandlingOf(names: fc.Arbitrary<string>): Steps {
  return names.map((name) =>
    named('no handler', name, async (run) => {
      run.handlers.delete(name)
      forgetStarts(run, name)
      await run.store.removeHandler(name, { force: true })
    }),
  )
}

const claiming: Steps = fc.record({ node: fc.constantFrom('node-1', 'node-2'), limit: fc.constantFrom(1, 3, 99, 99) }).map((values) =>
  named('claim', values, async (run) => {
    const before = await waiting(run.store)
    const running = await listAll(run.store, { states: ['running'] })
    const result = await run.store.claimDue(aClaim({ now: run.now, ...values }))
    for (const handler of [...run.setting.handlers, undefined]) {
      expectNothingLeft(run, handler, { before, running, result, limit: values.limit })
    }
    for (const handler of run.setting.handlers) await expectWithinLimits(run, handler, result.tasks, false)
  }),
)

/** A claim that the store is asked for before the change of a handler is through. */
function changingAndClaiming(changes: Steps): Steps {
  return fc.tuple(changes, claiming).map(([change, claim]) =>
    named('at once', [fc.stringify(change), fc.stringify(claim)], async (run) => {
      const changed = change(run)
      const { tasks } = await run.store.claimDue(aClaim({ now: run.now, limit: 2 }))
      await changed
      for (const handler of run.setting.handlers) await expectWithinLimits(run, handler, tasks, false)
      await claim(run)
    }),
  )
}

function pullingOf(names: fc.Arbitrary<string>): Steps {
  return names.map((name) =>
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
}

const ending: Steps = fc.record({ pick: fc.nat(9), how: fc.constantFrom(200, 503, 404, 'stopping' as const) }).map((values) =>
  named('end', values, async ({ store, now }) => {
    const running = await listAll(store, { states: ['running'] })
    const task = running[values.pick % Math.max(1, running.length)]
    if (task?.awaiting === 'worker')
      return store.acknowledge({ key: task, attempt: task.attempts, status: 'failed', retryable: true, detail: null, now, random: 0 })
    if (task === undefined) return undefined
    const { how } = values
    // A rate counts calls from their start, and here each one starts with its claim.
    const called = (status: number) => ({ ...answered(status, now), startedAt: task.updated })
    const result = how === 'stopping' ? ({ kind: 'not_called', reason: how } as const) : called(how)
    return store.record([reportOf(task, result, NODE, now, 0)])
  }),
)

const rescuing: Steps = fc.constant(named('rescue', '', ({ store, now }) => store.rescue({ now, limit: 2 })))
const passing: Steps = fc.constantFrom(0, 500, 1000, 20_000, 30_000, 61_000, -20_000).map((ms) =>
  named('wait', ms, (run) => {
    run.now += ms
    return Promise.resolve()
  }),
)

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
  for (const name of new Set(SETTINGS.flatMap(({ handlers }) => handlers))) await store.removeHandler(name, { force: true })
}
