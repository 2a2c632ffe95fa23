import { expect } from 'vitest'
import type { Task } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { anEntry, claimAll, DUE, listAll, mustGet, rescheduleAll } from './support/tasks.ts'

const names = Array.from({ length: 1000 }, (_, n) => `task-${n}`)

/** A second of its minute that is not the first. */
const LATER = Array.from({ length: 60 }, (_, n) => aTask({ name: `n${n}`, definition: { spread: 59 } })).find(({ dueAt }) => dueAt > DUE)

async function putSpread(store: Store, spread?: number): Promise<Task[]> {
  const definition = spread === undefined ? {} : { spread }
  await store.put(
    names.map((name) => aTask({ name, definition })),
    { now: DUE - 9 },
  )
  return listAll(store)
}

function secondsOf(tasks: readonly Task[]): number[] {
  return tasks.map(({ dueAt, triggerAt }) => dueAt / 1000 - triggerAt)
}

export default area('spread', (test) => {
  test('spreads the tasks of a minute over all of its seconds', async ({ store }) => {
    const perSecond = Object.groupBy(secondsOf(await putSpread(store, 59)), (second) => second)
    expect(Object.keys(perSecond).map(Number)).toEqual(Array.from({ length: 60 }, (_, second) => second))
    for (const seconds of Object.values(perSecond)) expect(seconds?.length).toBeLessThan(1000 / 60 + 25)
  })

  for (const spread of [1, 10, 58]) {
    test(`of ${spread} stays within ${spread} s of the minute, and reaches both ends`, async ({ store }) => {
      const seconds = new Set(secondsOf(await putSpread(store, spread)))
      expect([...seconds].sort((one, other) => one - other)).toEqual(Array.from({ length: spread + 1 }, (_, second) => second))
    })
  }

  test('of 0, and none, starts with the minute', async ({ store }) => {
    for (const spread of [0, undefined]) expect(new Set(secondsOf(await putSpread(store, spread)))).toEqual(new Set([0]))
  })

  test('gives the same key the same second, whenever it is stored', async ({ store, reopen }) => {
    const before = secondsOf(await putSpread(store, 59))
    expect(secondsOf(await putSpread(store, 59))).toEqual(before)
    await store.remove({}, { now: DUE, limit: 1000 })
    expect(secondsOf(await putSpread(store, 59))).toEqual(before)
    expect(secondsOf(await listAll(await reopen()))).toEqual(before)
  })

  test('gives the minutes of one name seconds of their own', async ({ store }) => {
    await store.put(
      Array.from({ length: 60 }, (_, n) => aTask({ triggerAt: MINUTE + n * 60, definition: { spread: 59 } })),
      { now: DUE - 9 },
    )
    expect(new Set(secondsOf(await listAll(store))).size).toBeGreaterThan(25)
  })

  test('the window still counts from the minute', async ({ store }) => {
    const task = LATER as Task
    await store.put([task], { now: DUE - 9 })
    expect(await mustGet(store, task)).toMatchObject({ windowFrom: DUE, deadline: DUE + 600_000 })
    expect((await store.expire({ now: DUE + 599_999, limit: 1 })).tasks).toEqual([])
    expect((await store.expire({ now: DUE + 600_000, limit: 1 })).tasks).toMatchObject([{ state: 'skipped' }])
  })

  test('a task is handed out from its second on, and not before', async ({ store }) => {
    const task = LATER as Task
    await store.put([task], { now: DUE - 9 })
    expect(await claimAll(store, task.dueAt - 1)).toEqual([])
    expect(await claimAll(store, task.dueAt)).toMatchObject([{ name: task.name, triggerAt: MINUTE }])
  })

  test('a claim in each second of the minute hands out a part of the tasks, and after it all are out', async ({ store }) => {
    await putSpread(store, 59)
    let claimed = 0
    for (let second = 0; second < 60; second += 1) {
      const tasks = await claimAll(store, DUE + second * 1000)
      expect(new Set(secondsOf(tasks))).toEqual(new Set([second]))
      claimed += tasks.length
    }
    expect(claimed).toBe(1000)
  })

  for (const [state, all] of [
    ['pending', true],
    ['failed', false],
  ] as const) {
    test(`a ${state} entry that is rescheduled gets the second of its new key`, async ({ store }) => {
      await anEntry(store, state, { definition: { spread: 59 } })
      for (const n of [1, 2, 3, 4, 5]) {
        const triggerAt = MINUTE + n * 3600
        const [task] = await rescheduleAll(store, { selection: {}, all, triggerAt, now: DUE + 99, dryRun: false, limit: 10 })
        expect(task?.dueAt).toBe(aTask({ triggerAt, definition: { spread: 59 } }).dueAt)
        if (state === 'failed') break
      }
    })
  }

  test('a task that a person has run starts at once', async ({ store }) => {
    const task = LATER as Task
    await store.put([task], { now: DUE - 9000 })
    expect(await store.run(task, { now: DUE - 5000 })).toMatchObject({ dueAt: DUE - 5000, deadline: DUE - 5000 + 600_000 })
    expect(await claimAll(store, DUE - 5000)).toMatchObject([{ name: task.name }])
  })
})
