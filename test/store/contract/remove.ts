import { expect } from 'vitest'
import { TASK_STATES } from '../../../src/domain/task/task.ts'
import type { TaskState } from '../../../src/domain/task/task.ts'
import type { Selection } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, anEntry, claimAll, claimOne, DUE, listAll, rescheduleAll, seed } from './support/tasks.ts'

const FINAL_STATES = ['successful', 'failed', 'skipped'] as const

export default area('remove and prune', (test) => {
  test('remove takes all that is not running, and answers how many', async ({ store }) => {
    await seed(
      store,
      TASK_STATES.map((state) => ({ name: state, state })),
    )
    expect(await store.remove({}, { now: DUE, limit: 100 })).toBe(5)
    expect(await listAll(store)).toMatchObject([{ name: 'running', state: 'running' }])
    expect(await store.remove({}, { now: DUE, limit: 100 })).toBe(0)
  })

  test('remove takes what the filters let through', async ({ store }) => {
    const entries = [0, 60, 120].flatMap((later) =>
      ['a', 'b'].map((name) => ({ name, triggerAt: MINUTE + later, state: name === 'a' ? 'failed' : 'pending' }) as const),
    )
    const left = async (selection: Selection) => {
      await store.remove({}, { now: DUE, limit: 100 })
      await seed(store, entries)
      const removed = await store.remove(selection, { now: DUE, limit: 100 })
      const tasks = await listAll(store)
      expect(removed).toBe(6 - tasks.length)
      return tasks.map(({ name, triggerAt }) => `${name}${(triggerAt - MINUTE) / 60}`).join(' ')
    }
    expect(await left({ name: 'a' })).toBe('b0 b1 b2')
    expect(await left({ name: 'a', from: MINUTE + 60, to: MINUTE + 120 })).toBe('a0 b0 b1 a2 b2')
    expect(await left({ from: MINUTE + 60 })).toBe('a0 b0')
    expect(await left({ to: MINUTE + 60 })).toBe('a1 b1 a2 b2')
    expect(await left({ states: ['failed'] })).toBe('b0 b1 b2')
    expect(await left({ states: ['pending', 'running'] })).toBe('a0 a1 a2')
    expect(await left({ states: ['running'] })).toBe('a0 b0 a1 b1 a2 b2')
    expect(await left({ states: [] })).toBe('a0 b0 a1 b1 a2 b2')
    expect(await left({ name: 'a', states: ['pending'] })).toBe('a0 b0 a1 b1 a2 b2')
    expect(await left({ name: 'c' })).toBe('a0 b0 a1 b1 a2 b2')
  })

  test('remove takes the oldest where there are more than its limit', async ({ store }) => {
    await store.put(
      [3, 1, 2, 0].map((n) => aTask({ triggerAt: MINUTE + n * 60 })),
      { now: DUE },
    )
    expect(await store.remove({}, { now: DUE, limit: 3 })).toBe(3)
    expect(await listAll(store)).toMatchObject([{ triggerAt: MINUTE + 180 }])
  })

  test('remove finds the few that match behind thousands that do not', async ({ store }) => {
    await store.put(
      Array.from({ length: 4100 }, (_, n) => aTask({ triggerAt: MINUTE + n * 60 })),
      { now: DUE },
    )
    const [first, last] = [MINUTE + 10 * 60, MINUTE + 4099 * 60]
    for (const triggerAt of [first, last]) await anEntry(store, 'successful', { triggerAt })
    expect(await store.remove({ states: ['successful'] }, { now: DUE, limit: 5 })).toBe(2)
    expect(await store.counts()).toMatchObject({ pending: 4098, successful: 0 })
  })

  test('what was removed is not handed out, and its name is free with no history', async ({ store }) => {
    await anEntry(store, 'failed')
    await store.put([aTask({ name: 'waits' })], { now: DUE })
    await store.remove({}, { now: DUE, limit: 100 })
    expect(await claimAll(store)).toEqual([])
    expect(await store.history(aTask())).toEqual([])
    expect(await store.put([aTask()], { now: DUE + 5 })).toMatchObject([{ status: 'created', task: { created: DUE + 5 } }])
    expect(await store.history(aTask())).toEqual([])
  })

  test('prune takes final entries by when they were last changed, whatever their minute', async ({ store }) => {
    await seed(
      store,
      FINAL_STATES.map((state) => ({ name: `old-${state}`, triggerAt: MINUTE + 86_400, state })),
      DUE,
    )
    await seed(
      store,
      FINAL_STATES.map((state) => ({ name: `new-${state}`, triggerAt: MINUTE - 86_400, state })),
      DUE + 5000,
    )
    expect(await store.prune({ before: DUE, limit: 100 })).toBe(0)
    expect(await store.prune({ before: DUE + 5000, limit: 100 })).toBe(3)
    expect((await listAll(store)).map(({ name }) => name)).toEqual(['new-failed', 'new-skipped', 'new-successful'])
    expect(await store.prune({ before: DUE + 5001, limit: 100 })).toBe(3)
  })

  test('prune keeps what waits or runs, however old', async ({ store }) => {
    const kept: TaskState[] = ['pending', 'running', 'retrying']
    await seed(
      store,
      kept.map((name) => ({ name, triggerAt: MINUTE - 86_400, state: name })),
    )
    expect(await store.prune({ before: DUE + 400 * 86_400_000, limit: 100 })).toBe(0)
    expect(await listAll(store)).toHaveLength(3)
  })

  test('prune counts from the reschedule of an entry, which is its last change', async ({ store }) => {
    await anEntry(store, 'failed')
    await rescheduleAll(store, { selection: {}, all: false, triggerAt: MINUTE + 600, now: DUE + 5000, dryRun: false, limit: 10 })
    expect(await store.prune({ before: DUE + 5000, limit: 100 })).toBe(0)
    expect(await store.prune({ before: DUE + 5001, limit: 100 })).toBe(1)
    expect(await listAll(store)).toMatchObject([{ triggerAt: MINUTE + 600, rescheduledFrom: MINUTE }])
  })

  test('prune takes the oldest first, at most as many as asked for', async ({ store }) => {
    for (const n of [2, 0, 3, 1]) await anEntry(store, 'skipped', { name: `n${n}` }, DUE + n)
    expect(await store.prune({ before: DUE + 9, limit: 3 })).toBe(3)
    expect(await listAll(store)).toMatchObject([{ name: 'n3' }])
    expect(await store.prune({ before: DUE + 9, limit: 3 })).toBe(1)
    expect(await store.prune({ before: DUE + 9, limit: 3 })).toBe(0)
  })

  test('prune takes the attempts with their entry, and no others', async ({ store }) => {
    await anEntry(store, 'failed', { name: 'old' }, DUE)
    await anEntry(store, 'failed', { name: 'new' }, DUE + 5000)
    await store.prune({ before: DUE + 1, limit: 100 })
    expect(await store.history({ name: 'new', triggerAt: MINUTE })).toHaveLength(1)
    await claimOne(store, aTask({ name: 'old', host: 'old' }))
    expect(await store.history({ name: 'old', triggerAt: MINUTE })).toEqual([])
    expect((await store.claimDue(aClaim())).tasks).toEqual([])
  })
})
