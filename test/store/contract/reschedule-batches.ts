import fc, { runs } from '../../support/fast-check.ts'
import { expect } from 'vitest'
import { isFinal, TASK_STATES } from '../../../src/domain/task/task.ts'
import type { Task } from '../../../src/domain/task/task.ts'
import type { TaskKey } from '../../../src/domain/task/task-key.ts'
import type { RescheduleRequest, Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { DUE, keyOf, keysOf, listAll, rescheduleAll, seed } from './support/tasks.ts'
import type { Entry } from './support/tasks.ts'

const NOW = DUE + 1234
const STATES = ['failed', 'pending', 'skipped', 'successful', 'retrying'] as const
type KeyedEntry = Entry & TaskKey

export default area('reschedule in batches', (test) => {
  const entries: KeyedEntry[] = Array.from({ length: 1200 }, (_, n) => ({
    name: `name-${n % 3}`,
    triggerAt: MINUTE + Math.floor(n / 3) * 60,
    state: STATES[Math.floor(n / 7) % STATES.length] ?? 'failed',
  }))
  const targets = {
    before: MINUTE - 6000,
    'the first of': MINUTE,
    among: MINUTE + 200 * 60,
    'the last of': MINUTE + 399 * 60,
    after: MINUTE + 1000 * 60,
  }
  for (const [place, triggerAt] of Object.entries(targets)) {
    for (const all of [false, true]) {
      test(`takes each of 1200 entries once, for a minute ${place} theirs${all ? ', with all' : ''}`, async ({ store }) => {
        await seed(store, entries)
        await expectEachTakenOnce(store, entries, { triggerAt, all, limit: 100 })
      })
    }
  }

  test('takes each entry once, for any entries, minute and size of batch', async ({ store }) => {
    const entry = fc.record({
      name: fc.constantFrom('a', 'b'),
      triggerAt: fc.nat(9).map((n) => MINUTE + n * 60),
      state: fc.constantFrom(...TASK_STATES),
    })
    const scenario = fc.record({
      entries: fc.uniqueArray(entry, { selector: keyOf, maxLength: 20 }),
      triggerAt: fc.integer({ min: -2, max: 12 }).map((n) => MINUTE + n * 60),
      all: fc.boolean(),
      limit: fc.integer({ min: 1, max: 6 }),
    })
    await fc.assert(
      fc.asyncProperty(scenario, async ({ entries: some, ...request }) => {
        await store.rescue({ now: DUE, onlyNode: 'nobody', limit: 100 })
        await store.remove({}, { now: DUE, limit: 100 })
        await seed(store, some)
        await expectEachTakenOnce(store, some, request)
      }),
      { numRuns: runs({ gate: 30, night: 200 }) },
    )
  })

  test('gives thousands of entries of one name a minute each', async ({ store }) => {
    const failed = Array.from({ length: 3000 }, (_, n) => ({ name: 'a', triggerAt: MINUTE + n * 60, state: 'failed' as const }))
    await seed(store, failed)
    const made = await rescheduleAll(store, {
      selection: {},
      triggerAt: MINUTE + 9000 * 60,
      all: false,
      now: NOW,
      dryRun: false,
      limit: 500,
    })
    expect(made.map(({ triggerAt }) => triggerAt)).toEqual(failed.map((_, n) => MINUTE + (9000 + n) * 60))
  })

  test('goes on in a store opened again', async ({ store, reopen }) => {
    await seed(
      store,
      [0, 1, 2].map((n) => ({ name: `n${n}`, triggerAt: MINUTE, state: 'failed' as const })),
    )
    const request = { selection: {}, all: false, triggerAt: MINUTE + 600, now: NOW, dryRun: false, limit: 2 }
    const first = await store.reschedule(request)
    const tasks = [...first.tasks]
    const opened = await reopen()
    for (let next = first.next; next;) {
      const batch = await opened.reschedule({ ...request, after: next })
      tasks.push(...batch.tasks)
      next = batch.next
    }
    expect(keysOf(tasks).sort()).toEqual([0, 1, 2].map((n) => keyOf(aTask({ name: `n${n}`, triggerAt: MINUTE + 600 }))))
  })
})

type Batches = Pick<RescheduleRequest, 'triggerAt' | 'all' | 'limit'>

/** Every entry that may be taken leads to one new row, final ones stay beside it, and nothing else changes. */
async function expectEachTakenOnce(store: Store, entries: readonly KeyedEntry[], request: Batches): Promise<void> {
  const before = new Map((await listAll(store)).map((task) => [keyOf(task), task]))
  const isTaken = ({ state }: { state: string }) => (request.all ? state !== 'running' : state === 'failed' || state === 'skipped')
  const made = await rescheduleAll(store, { selection: {}, now: NOW, dryRun: false, ...request })
  const origin = ({ name, rescheduledFrom }: Task) => keyOf({ name, triggerAt: rescheduledFrom ?? 0 })
  expect(made.map(origin).sort()).toEqual(keysOf(entries.filter(isTaken)).sort())
  const expected = new Map([...before.values()].filter((task) => !isTaken(task) || isFinal(task.state)).map((task) => [keyOf(task), task]))
  for (const task of made) {
    const original = before.get(origin(task)) as Task
    if (isFinal(original.state)) expected.set(keyOf(original), { ...original, rescheduledTo: task.triggerAt, updated: NOW })
  }
  for (const task of made) {
    expect(expected.has(keyOf(task)), `${keyOf(task)} was free`).toBe(false)
    expect(task.triggerAt).toBeGreaterThanOrEqual(request.triggerAt)
    expected.set(keyOf(task), task)
  }
  expect(new Map((await listAll(store)).map((task) => [keyOf(task), task]))).toEqual(expected)
}
