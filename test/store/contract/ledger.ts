import { expect } from 'vitest'
import type { LedgerEntry } from '../../../src/domain/ledger.ts'
import type { Task } from '../../../src/domain/task.ts'
import type { KeySelection } from '../../../src/store/ledger.ts'
import { readLedger } from '../../../src/store/read-ledger.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import type { DefineTest, OpenStore } from './define-test.ts'
import { answered, anEntry, claimAll, claimOne, DUE, finish, keyOf, keysOf, listAll, rescheduleAll, seed } from './entries.ts'

const KEY = { name: 'a-task', triggerAt: MINUTE }

async function runsOf(store: Store, selection: KeySelection = {}, limit = 1000): Promise<LedgerEntry[]> {
  const all: LedgerEntry[] = []
  for (let after: KeyOfPage; ;) {
    const page = await store.runs(selection, { limit, ...(after && { after }) })
    expect(page.entries.length).toBeLessThanOrEqual(limit)
    all.push(...page.entries)
    if (page.next === undefined) return all
    after = page.next
  }
}

type KeyOfPage = Awaited<ReturnType<Store['runs']>>['next']

/** By minutes after `MINUTE`. */
async function removedRuns({ where }: OpenStore): Promise<Record<number, number>> {
  return readLedger(where, async (ledger) => {
    const minutes = [-1, 0, 1, 2, 3]
    const counts = await Promise.all(
      minutes.map(async (minute) => {
        const from = MINUTE + minute * 60
        return [minute, await ledger.removedRuns({ from, to: from + 60 })] as const
      }),
    )
    return Object.fromEntries(counts.filter(([, count]) => count > 0))
  })
}

export function describeLedger(test: DefineTest): void {
  test('tells each entry with the attempts of all its runs, and what it asks for itself', async ({ store }) => {
    await anEntry(store, 'failed', { definition: { retry: 0, delivery: 'at_most_once' } })
    await store.run(KEY, { now: DUE + 100 })
    const [again] = (await claimAll(store, DUE + 100)) as [Task]
    await finish(store, again, answered(200, DUE + 150), DUE + 150)
    await store.put([aTask({ name: 'waits', triggerAt: MINUTE + 60 })], { now: DUE })
    const [entry, waiting] = await runsOf(store)
    const history = await store.history(KEY)
    expect(history).toHaveLength(2)
    const { runId, windowFrom, deadline } = again
    expect(entry).toEqual({
      ...{ ...KEY, state: 'successful', runId, attempts: 1, windowFrom, deadline, leaseUntil: null, error: null },
      ...{ retry: 0, delivery: 'at_most_once', history: expect.arrayContaining(history) as unknown },
    })
    expect(entry?.history).toHaveLength(2)
    expect(waiting).toMatchObject({ name: 'waits', windowFrom: DUE + 60_000, retry: null, delivery: null, history: [] })
  })

  test('tells the attempts of a run in their order', async ({ store }) => {
    const { dueAt } = await anEntry(store, 'retrying', { definition: { retry: 20 } })
    for (let [attempt, now] = [2, dueAt]; attempt <= 12; attempt += 1) {
      const [task] = (await claimAll(store, now)) as [Task]
      await finish(store, task, answered(500, now), now)
      now += 400_000
    }
    const [entry] = await runsOf(store)
    expect(entry?.history.map(({ number }) => number)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1))
  })

  test('goes through all entries page by page, or through those of some names or minutes, error callbacks left out', async ({ store }) => {
    const callback = { error_callback: 'http://alarm.test/' }
    const entries = [0, 60, 120].flatMap((later) =>
      ['a', 'b.1', 'b.2'].map((name) => ({ name, triggerAt: MINUTE + later, state: 'failed', definition: callback }) as const),
    )
    await seed(store, entries)
    const all = await listAll(store)
    expect(all).toHaveLength(9)
    for (const limit of [1, 2, 4, 9, 10]) expect(keysOf(await runsOf(store, {}, limit))).toEqual(keysOf(all))
    const keysWhere = async (selection: KeySelection): Promise<string[]> => keysOf(await runsOf(store, selection, 2))
    expect(await keysWhere({ names: 'b.*' })).toEqual(keysOf(all.filter(({ name }) => name !== 'a')))
    expect(await keysWhere({ names: 'a' })).toEqual(keysOf(all.filter(({ name }) => name === 'a')))
    expect(await keysWhere({ from: MINUTE + 60, to: MINUTE + 120 })).toEqual(
      keysOf(all.filter(({ triggerAt }) => triggerAt === MINUTE + 60)),
    )
    expect(await keysWhere({ names: 'none*' })).toEqual([])
  })

  test('counts every run of what a person removes', async (opened) => {
    const { store } = opened
    await anEntry(store, 'failed')
    await store.run(KEY, { now: DUE + 100 })
    await store.put(
      [1, 1, 2].map((later, n) => aTask({ name: `n${n}`, triggerAt: MINUTE + later * 60 })),
      { now: DUE },
    )
    expect(await removedRuns(opened)).toEqual({})
    expect(await store.remove({}, { now: DUE + 200, limit: 3 })).toBe(3)
    expect(await removedRuns(opened)).toEqual({ 0: 2, 1: 2 })
    await store.remove({}, { now: DUE + 200, limit: 3 })
    expect(await removedRuns(opened)).toEqual({ 0: 2, 1: 2, 2: 1 })
  })

  test('counts what was run to be removed', async (opened) => {
    const { store } = opened
    await store.put([aTask()], { now: DUE - 9 })
    await store.run(KEY, { now: DUE, removeAfter: true })
    const [task] = (await claimAll(store)) as [Task]
    expect(await removedRuns(opened)).toEqual({})
    await finish(store, task, answered(200, DUE + 50), DUE + 50)
    expect(await removedRuns(opened)).toEqual({ 0: 1 })
  })

  test('counts a run that is replaced or moved before its first attempt; after one, its attempts stay', async (opened) => {
    const { store } = opened
    for (let time = 0; time < 3; time += 1) await store.put([aTask()], { now: DUE - 9 })
    expect(await removedRuns(opened)).toEqual({ 0: 2 })
    const moved = { all: true, now: DUE, limit: 10 }
    await rescheduleAll(store, { ...moved, selection: {}, triggerAt: MINUTE + 60, dryRun: true })
    expect(await removedRuns(opened)).toEqual({ 0: 2 })
    await rescheduleAll(store, { ...moved, selection: {}, triggerAt: MINUTE + 60, dryRun: false })
    expect(await removedRuns(opened)).toEqual({ 0: 3 })
    await store.remove({}, { now: DUE, limit: 10 })
    const { runId } = await anEntry(store, 'retrying', { triggerAt: MINUTE + 120 })
    await rescheduleAll(store, { ...moved, selection: {}, triggerAt: MINUTE + 180, dryRun: false })
    await store.put([aTask({ triggerAt: MINUTE + 180 })], { now: DUE })
    expect(await removedRuns(opened)).toEqual({ 0: 3, 1: 1, 3: 1 })
    const [entry] = await runsOf(store)
    expect(entry).toMatchObject({ triggerAt: MINUTE + 180, attempts: 0, history: [{ runId, outcome: 'retrying' }] })
  })

  for (const [state, removed] of [
    ['skipped', { 0: 1 }],
    ['failed', {}],
    ['successful', {}],
  ] as const) {
    test(`counts what was ${state} and is run again, or replaced, only where no attempt tells of it`, async (opened) => {
      const { store } = opened
      await anEntry(store, state)
      await store.run(KEY, { now: DUE + 100 })
      expect(await removedRuns(opened)).toEqual(removed)
      await store.remove({}, { now: DUE + 100, limit: 1 })
      const before = (await removedRuns(opened))[0] ?? 0
      await anEntry(store, state)
      await store.put([aTask()], { now: DUE + 100 })
      expect((await removedRuns(opened))[0]).toBe(before + (state === 'skipped' ? 1 : 0))
    })
  }

  test('counts nothing where a write is refused, nor what retention takes, which forgets the counts of old minutes', async (opened) => {
    const { store } = opened
    const task = await claimOne(store)
    await store.put([aTask()], { now: DUE })
    await store.remove({}, { now: DUE, limit: 10 })
    await store.put([aTask({ triggerAt: MINUTE + 60 })], { now: DUE })
    await store.put([aTask({ triggerAt: MINUTE + 60 })], { now: DUE, ifAbsent: true })
    expect(await removedRuns(opened)).toEqual({})
    await finish(store, task, answered(200, DUE + 50), DUE + 50)
    await store.remove({ from: MINUTE + 60 }, { now: DUE, limit: 10 })
    expect(await store.prune({ before: DUE + 60_000, limit: 10 })).toBe(1)
    expect(await removedRuns(opened)).toEqual({ 1: 1 })
    await store.prune({ before: DUE + 120_000, limit: 10 })
    expect(await removedRuns(opened)).toEqual({})
  })

  test('of one moment holds what there was then, and how many entries there must be', async ({ store, where }) => {
    await seed(store, [
      { state: 'failed', definition: { error_callback: 'http://alarm.test/' } },
      { name: 'other', state: 'pending' },
    ])
    await readLedger(where, async (ledger) => {
      const before = await ledger.runs({}, { limit: 10 })
      await store.put([aTask({ name: 'later' })], { now: DUE })
      await store.remove({ name: 'other' }, { now: DUE, limit: 1 })
      expect(keysOf(before.entries)).toEqual([keyOf(KEY), `other@${MINUTE}`])
      expect(await ledger.runs({}, { limit: 10 })).toEqual(before)
      expect(await ledger.counted()).toBe(2)
      expect(await ledger.removedRuns({ from: 0, to: MINUTE + 60 })).toBe(0)
    })
    await readLedger(where, async (ledger) => {
      expect(await ledger.counted()).toBe(2)
      expect(await ledger.removedRuns({ from: 0, to: MINUTE + 60 })).toBe(1)
      expect(await ledger.removedRuns({ from: 0, to: MINUTE })).toBe(0)
    })
  })
}
