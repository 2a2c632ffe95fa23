/** Series under random sequences of what nodes and people do, compared after every step with the entries that there should be. */
import fc, { runs } from '../../support/fast-check.ts'
import { expect } from 'vitest'
import { reportOf } from '../../../src/domain/attempt/attempt-report.ts'
import type { Task } from '../../../src/domain/task/task.ts'
import type { CallResult } from '../../../src/domain/attempt/verdict.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import type { OpenStore } from './support/area.ts'
import { aClaim, answered, DUE, expireAll, LEASE_MS, listAll, mustGet, NODE } from './support/tasks.ts'

/** `period` and `first` in seconds say what `repeat` says: its times are `first`, `first + period`, … from 1970 on. */
const PATTERNS = [
  { repeat: '*/5 * * * *', period: 300, first: 0 },
  { repeat: '* * * * *', period: 60, first: 0 },
  { repeat: '@hourly', period: 3600, first: 0 },
  { repeat: '30 */6 * * *', period: 6 * 3600, first: 1800 },
  { repeat: '17 3 * * *', period: 86_400, first: 3 * 3600 + 17 * 60 },
] as const
const RESULTS = [200, 404, 503, 'lost', 'stopping'] as const
const MINUTE_MS = 60_000
const TWO_DAYS_MS = 2 * 86_400_000

interface Series {
  readonly pattern: (typeof PATTERNS)[number]
  now: number
  /** the `triggerAt` of the entry that none follows yet */
  head: number
  /** of every entry that is stored */
  readonly stored: Set<number>
  /** claimed, and not yet recorded */
  readonly running: Task[]
}

interface Step {
  readonly text: string
  run(series: Series, opened: OpenStore): Promise<void>
}

export default area('a series of two days', (test) => {
  test('over two days no time of a series is lost, none comes twice, and one entry waits to be followed', async (opened) => {
    const definitions = fc.record({ pattern: fc.constantFrom(...PATTERNS), max_delay: fc.constantFrom(1, 4, 10, 60, 1440) })
    await fc.assert(
      fc.asyncProperty(definitions, fc.array(steps, { minLength: 40, maxLength: 80 }), async ({ pattern, max_delay }, list) => {
        const head = firstAfter(pattern, MINUTE - 1)
        const series: Series = { pattern, now: DUE, head, stored: new Set([head]), running: [] }
        await clear(opened.store)
        await opened.store.put([aTask({ triggerAt: head, definition: { repeat: pattern.repeat, max_delay, retry: 2 } })], { now: DUE })
        for (const step of list) {
          await step.run(series, opened)
          await expectSeries(series, opened.store)
          if (series.now > DUE + TWO_DAYS_MS) break
        }
      }),
      { numRuns: runs({ gate: 12, night: 100 }) },
    )
  })
})

function firstAfter({ period, first }: Series['pattern'], seconds: number): number {
  return first + (Math.floor((seconds - first) / period) + 1) * period
}

async function clear(store: Store): Promise<void> {
  await store.rescue({ now: DUE, onlyNode: 'nobody', limit: 1000 })
  await store.remove({}, { now: DUE, limit: 10_000 })
}

/** @param isStored whether the entry that was followed is still there */
function follow(series: Series, isStored = true): void {
  if (!isStored) series.stored.delete(series.head)
  series.head = firstAfter(series.pattern, Math.max(series.head, Math.floor(series.now / 1000)))
  series.stored.add(series.head)
}

async function expectSeries({ head, stored }: Series, store: Store): Promise<void> {
  const entries = await listAll(store)
  expect(entries.map(({ triggerAt }) => triggerAt)).toEqual([...stored].sort((one, other) => one - other))
  expect(entries.filter(({ repeatedTo }) => repeatedTo === null)).toMatchObject([{ triggerAt: head, state: 'pending' }])
  const followers = entries.flatMap(({ repeatedTo }) => (repeatedTo === null ? [] : [repeatedTo]))
  expect(followers).toEqual([...new Set(followers)].sort((one, other) => one - other))
  expect(new Set(entries.map(({ runId }) => runId)).size).toBe(entries.length)
}

const claim: Step = {
  text: 'claim',
  async run(series, { store }) {
    const { dueAt, deadline } = await headOf(series, store)
    const { tasks } = await store.claimDue(aClaim({ now: series.now }))
    const isHeadDue = dueAt <= series.now && series.now < deadline
    expect(tasks.some(({ triggerAt }) => triggerAt === series.head)).toBe(isHeadDue)
    series.running.push(...tasks)
    if (isHeadDue) follow(series)
  },
}

const expire: Step = {
  text: 'expire',
  async run(series, { store }) {
    const isOver = (await headOf(series, store)).deadline <= series.now
    const expired = await expireAll(store, series.now)
    expect(expired.some(({ triggerAt }) => triggerAt === series.head)).toBe(isOver)
    if (isOver) follow(series)
  },
}

const rescue: Step = {
  text: 'rescue',
  async run(series, { store }) {
    await store.rescue({ now: series.now, limit: 100 })
  },
}

const reopen: Step = {
  text: 'reopen',
  async run(series, opened) {
    await opened.reopen()
    await opened.store.rescue({ now: series.now, onlyNode: 'nobody', limit: 100 })
    series.running.length = 0
  },
}

const leaveOut: Step = {
  text: 'leave out',
  async run(series, { store }) {
    const selection = { name: 'a-task', from: series.head, to: series.head + 60 }
    expect(await store.remove(selection, { now: series.now, limit: 1, continueSeries: true })).toBe(1)
    follow(series, false)
  },
}

const runEarly: Step = {
  text: 'run early',
  async run(series, { store }) {
    expect(await store.run(await headOf(series, store), { now: series.now })).toMatchObject({ dueAt: series.now })
  },
}

const records = fc.constantFrom(...RESULTS).map((result): Step => ({
  text: `record ${result}`,
  async run(series, { store }) {
    const task = series.running.shift()
    // A rescue may have taken it: then nothing is written, and nothing of it follows.
    if (task) await store.record([reportOf(task, callResult(result, series.now), NODE, series.now, 0)])
  },
}))

const passing = fc
  .oneof(fc.integer({ min: 1, max: 90_000 }), fc.integer({ min: 1, max: 20 * MINUTE_MS }), fc.integer({ min: 1, max: 20 * 60 * MINUTE_MS }))
  .map((ms): Step => ({
    text: `${ms} ms pass`,
    run(series) {
      series.now += ms
      return Promise.resolve()
    },
  }))

/** Time stops where an entry is just due, just out of time, or a lease just over. */
const boundary = fc.constantFrom('due', 'deadline', 'lease').map((which): Step => ({
  text: `until the ${which}`,
  async run(series, { store }) {
    const { dueAt, deadline } = await headOf(series, store)
    series.now = Math.max(series.now, { due: dueAt, deadline, lease: series.now + LEASE_MS }[which])
  },
}))

const steps: fc.Arbitrary<Step> = fc
  .oneof(
    { weight: 6, arbitrary: fc.constant(claim) },
    { weight: 4, arbitrary: records },
    { weight: 3, arbitrary: passing },
    { weight: 3, arbitrary: boundary },
    { weight: 3, arbitrary: fc.constant(expire) },
    { weight: 1, arbitrary: fc.constantFrom(rescue, reopen, leaveOut, runEarly) },
  )
  .map((step) => ({ ...step, [fc.toStringMethod]: () => step.text }))

function headOf({ head }: Series, store: Store): Promise<Task> {
  return mustGet(store, { name: 'a-task', triggerAt: head })
}

function callResult(result: (typeof RESULTS)[number], now: number): CallResult {
  if (typeof result === 'number') return answered(result, now)
  return result === 'lost'
    ? { kind: 'lost', startedAt: now - 20, endedAt: now, error: 'its worker died' }
    : { kind: 'not_called', reason: 'stopping' }
}
