import { expect } from 'vitest'
import type { LedgerTask } from '../../../src/domain/ledger/account.ts'
import type { Task } from '../../../src/domain/task/task.ts'
import type { KeySelection, PastRunCount } from '../../../src/store/ledger.ts'
import { readLedger } from '../../../src/store/open-store.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import type { OpenStore } from './support/area.ts'
import {
  answered,
  anEntry,
  claimAll,
  claimOne,
  DUE,
  expireAll,
  finish,
  keyOf,
  keysOf,
  listAll,
  rescheduleAll,
  seed,
} from './support/tasks.ts'

const KEY = { name: 'a-task', triggerAt: MINUTE }

async function runsOf(store: Store, selection: KeySelection = {}, limit = 1000): Promise<LedgerTask[]> {
  const all: LedgerTask[] = []
  for (let after: KeyOfPage; ;) {
    const page = await store.runs(selection, { limit, ...(after && { after }) })
    expect(page.tasks.length).toBeLessThanOrEqual(limit)
    all.push(...page.tasks)
    if (page.next === undefined) return all
    after = page.next
  }
}

type KeyOfPage = Awaited<ReturnType<Store['runs']>>['next']

/** Of one standing, by minutes after `MINUTE`. */
async function pastRuns({ where }: OpenStore, standing: PastRunCount['standing'] = 'removed'): Promise<Record<number, number>> {
  return readLedger(where, async (ledger) => {
    const minutes = [-1, 0, 1, 2, 3]
    const counts = await Promise.all(
      minutes.map(async (minute) => {
        const from = MINUTE + minute * 60
        const counts = await ledger.pastRuns({ from, to: from + 60 })
        return [minute, counts.find((count) => count.standing === standing)?.n ?? 0] as const
      }),
    )
    return Object.fromEntries(counts.filter(([, count]) => count > 0))
  })
}

export default area('the ledger', (test) => {
  test('tells each entry with the attempts of all its runs', async ({ store }) => {
    await anEntry(store, 'failed')
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
      history: expect.arrayContaining(history) as unknown,
    })
    expect(entry?.history).toHaveLength(2)
    expect(waiting).toMatchObject({ name: 'waits', windowFrom: DUE + 60_000, history: [] })
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
    expect(await pastRuns(opened)).toEqual({})
    expect(await store.remove({}, { now: DUE + 200, limit: 3 })).toBe(3)
    expect(await pastRuns(opened)).toEqual({ 0: 2, 1: 2 })
    await store.remove({}, { now: DUE + 200, limit: 3 })
    expect(await pastRuns(opened)).toEqual({ 0: 2, 1: 2, 2: 1 })
  })

  test('counts what was run to be removed', async (opened) => {
    const { store } = opened
    await store.put([aTask()], { now: DUE - 9 })
    await store.run(KEY, { now: DUE, removeAfter: true })
    const [task] = (await claimAll(store)) as [Task]
    expect(await pastRuns(opened)).toEqual({})
    await finish(store, task, answered(200, DUE + 50), DUE + 50)
    expect(await pastRuns(opened)).toEqual({ 0: 1 })
  })

  test('counts a run that is replaced or moved before its first attempt; after one, its attempts stay', async (opened) => {
    const { store } = opened
    for (let time = 0; time < 3; time += 1) await store.put([aTask()], { now: DUE - 9 })
    expect(await pastRuns(opened)).toEqual({ 0: 2 })
    const moved = { all: true, now: DUE, limit: 10 }
    await rescheduleAll(store, { ...moved, selection: {}, triggerAt: MINUTE + 60, dryRun: true })
    expect(await pastRuns(opened)).toEqual({ 0: 2 })
    await rescheduleAll(store, { ...moved, selection: {}, triggerAt: MINUTE + 60, dryRun: false })
    expect(await pastRuns(opened)).toEqual({ 0: 3 })
    await store.remove({}, { now: DUE, limit: 10 })
    const { runId } = await anEntry(store, 'retrying', { triggerAt: MINUTE + 120 })
    await rescheduleAll(store, { ...moved, selection: {}, triggerAt: MINUTE + 180, dryRun: false })
    await store.put([aTask({ triggerAt: MINUTE + 180 })], { now: DUE })
    expect(await pastRuns(opened)).toEqual({ 0: 3, 1: 1, 3: 1 })
    const [entry] = await runsOf(store)
    expect(entry).toMatchObject({ triggerAt: MINUTE + 180, attempts: 0, history: [{ runId, outcome: 'retrying' }] })
  })

  test('counts what was skipped and is run again, or replaced, as skipped: no attempt tells of it', async (opened) => {
    const { store } = opened
    await anEntry(store, 'skipped')
    await store.run(KEY, { now: DUE + 100 })
    expect(await pastRuns(opened, 'skipped')).toEqual({ 0: 1 })
    await store.remove({}, { now: DUE + 100, limit: 1 })
    await anEntry(store, 'skipped')
    await store.put([aTask()], { now: DUE + 100 })
    expect(await pastRuns(opened, 'skipped')).toEqual({ 0: 2 })
    expect(await pastRuns(opened)).toEqual({ 0: 1 })
  })

  for (const again of ['run', 'put'] as const) {
    test(`leaves it to its attempts to tell of what had ended after some: ${again}`, async (opened) => {
      const { store } = opened
      const { deadline } = await anEntry(store, 'retrying')
      await anEntry(store, 'successful', { name: 'done' })
      await expireAll(store, deadline)
      for (const name of [KEY.name, 'done']) {
        if (again === 'run') await store.run({ ...KEY, name }, { now: deadline + 100 })
        else await store.put([aTask({ name })], { now: deadline + 100 })
      }
      expect(await pastRuns(opened)).toEqual({})
      expect((await runsOf(store)).map(({ history }) => history.map(({ outcome }) => outcome))).toEqual([['failed'], ['successful']])
    })
  }

  for (const payload of ['a\u0000b', '\ud800']) {
    test(`is read whatever a task carries: ${JSON.stringify(payload)}`, async ({ store }) => {
      await store.put([aTask({ definition: { payload } })], { now: DUE })
      expect(await runsOf(store)).toMatchObject([KEY])
    })
  }

  test('counts nothing where a write is refused, nor what retention takes, which forgets the counts of old minutes', async (opened) => {
    const { store } = opened
    const task = await claimOne(store)
    await store.put([aTask()], { now: DUE })
    await store.remove({}, { now: DUE, limit: 10 })
    await store.put([aTask({ triggerAt: MINUTE + 60 })], { now: DUE })
    await store.put([aTask({ triggerAt: MINUTE + 60 })], { now: DUE, ifAbsent: true })
    expect(await pastRuns(opened)).toEqual({})
    await finish(store, task, answered(200, DUE + 50), DUE + 50)
    await store.remove({ from: MINUTE + 60 }, { now: DUE, limit: 10 })
    expect(await store.prune({ before: DUE + 60_000, limit: 10 })).toBe(1)
    expect(await pastRuns(opened)).toEqual({ 1: 1 })
    await store.prune({ before: DUE + 120_000, limit: 10 })
    expect(await pastRuns(opened)).toEqual({})
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
      expect(keysOf(before.tasks)).toEqual([keyOf(KEY), `other@${MINUTE}`])
      expect(await ledger.runs({}, { limit: 10 })).toEqual(before)
      expect(await ledger.counted()).toBe(2)
      expect(await ledger.pastRuns({ from: 0, to: MINUTE + 60 })).toEqual([])
    })
    await readLedger(where, async (ledger) => {
      expect(await ledger.counted()).toBe(2)
      expect(await ledger.pastRuns({ from: 0, to: MINUTE + 60 })).toEqual([{ standing: 'removed', n: 1 }])
      expect(await ledger.pastRuns({ from: 0, to: MINUTE })).toEqual([])
    })
  })
})
