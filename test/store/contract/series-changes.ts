import { expect } from 'vitest'
import type { Task, TaskDefinition } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { answered, claimAll, DUE, expireAll, finish, LEASE_MS, listAll, mustGet, rescheduleAll } from './support/tasks.ts'
import { aRepeating, minutesOf } from './series.ts'

const KEY = { name: 'a-task', triggerAt: MINUTE }
/** The selection of the entry of `MINUTE` alone. */
const BY_KEY = { name: 'a-task', from: MINUTE, to: MINUTE + 60 }
const RESCHEDULE = { selection: BY_KEY, triggerAt: MINUTE + 120, dryRun: false, limit: 10 }

/** A series whose first entry was claimed, has failed, and is final. */
async function failedHead(store: Store, definition: Partial<TaskDefinition> = {}): Promise<Task> {
  await store.put([aRepeating(definition)], { now: DUE - 9 })
  const [head] = (await claimAll(store)) as [Task]
  await finish(store, head, answered(404, DUE + 50), DUE + 50)
  return mustGet(store, KEY)
}

export default area('a series whose entries are changed', (test) => {
  test('an entry that is removed by its key is left out, and the series goes on', async ({ store, reopen }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    const { last } = await store.changes({ after: 0, limit: 1 })
    expect(await store.remove(BY_KEY, { now: DUE - 5, limit: 1, continueSeries: true })).toBe(1)
    const { changes } = await store.changes({ after: last, limit: 10 })
    expect(changes.map(({ kind, task }) => [kind, task.triggerAt]).sort()).toEqual([
      ['created', MINUTE + 300],
      ['deleted', MINUTE],
    ])
    const opened = await reopen()
    expect(await listAll(opened)).toMatchObject([{ triggerAt: MINUTE + 300, state: 'pending', attempts: 0, created: DUE - 5 }])
    expect(await claimAll(opened, DUE + 300_000)).toMatchObject([{ repeatedTo: MINUTE + 600 }])
  })

  test('an entry that is removed by its key long after its minute is followed by a future one', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    expect(await store.remove(BY_KEY, { now: DUE + 3_600_000, limit: 1, continueSeries: true })).toBe(1)
    expect(await minutesOf(store)).toEqual([65])
  })

  test('an entry that was followed already is removed by its key and nothing else', async ({ store }) => {
    await failedHead(store)
    const next = (await listAll(store))[1]
    expect(await store.remove(BY_KEY, { now: DUE + 99, limit: 1, continueSeries: true })).toBe(1)
    expect(await listAll(store)).toEqual([next])
  })

  test('an entry that is running is not removed, and not followed twice', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    await claimAll(store)
    expect(await store.remove(BY_KEY, { now: DUE + 99, limit: 1, continueSeries: true })).toBe(0)
    expect(await minutesOf(store)).toEqual([0, 5])
  })

  test('removed by its name a series ends', async ({ store, reopen }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    expect(await store.remove({ name: 'a-task' }, { now: DUE - 5, limit: 100 })).toBe(1)
    const opened = await reopen()
    expect(await claimAll(opened, DUE + 300_000)).toEqual([])
    expect(await listAll(opened)).toEqual([])
  })

  test('removed by its name while an entry is running a series ends with that one', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    const [head] = (await claimAll(store)) as [Task]
    expect(await store.remove({ name: 'a-task' }, { now: DUE + 5, limit: 100 })).toBe(1)
    await finish(store, head, answered(503, DUE + 50), DUE + 50)
    const [again] = (await claimAll(store, DUE + 9000)) as [Task]
    expect(again).toMatchObject({ triggerAt: MINUTE, attempts: 2 })
    await finish(store, again, answered(200, DUE + 9050), DUE + 9050)
    expect(await minutesOf(store)).toEqual([0])
  })

  test('neither a retry nor the end of its window doubles a series', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    const [head] = (await claimAll(store)) as [Task]
    await finish(store, head, answered(503, DUE + 50), DUE + 50)
    const [again] = (await claimAll(store, DUE + 9000)) as [Task]
    expect(again).toMatchObject({ triggerAt: MINUTE, attempts: 2, repeatedTo: MINUTE + 300 })
    await finish(store, again, { kind: 'not_called', reason: 'stopping' }, DUE + 9001)
    expect(await expireAll(store, DUE + 600_000)).toMatchObject([{ triggerAt: MINUTE, state: 'failed', repeatedTo: MINUTE + 300 }])
    expect(await minutesOf(store)).toEqual([0, 5])
  })

  for (const [how, reopens] of [
    ['after its lease', false],
    ['by a new process', true],
  ] as const) {
    test(`a rescue ${how} does not double a series`, async ({ store, reopen }) => {
      await store.put([aRepeating()], { now: DUE - 9 })
      await claimAll(store)
      const opened = reopens ? await reopen() : store
      const which = reopens ? { now: DUE + 5, onlyNode: 'node-2' } : { now: DUE + LEASE_MS }
      expect(await opened.rescue({ ...which, limit: 10 })).toMatchObject([{ state: 'retrying', repeatedTo: MINUTE + 300 }])
      expect(await claimAll(opened, which.now)).toMatchObject([{ triggerAt: MINUTE, attempts: 2 }])
      expect(await minutesOf(opened)).toEqual([0, 5])
    })
  }

  test('a final entry that is run again does not double its series', async ({ store }) => {
    const head = await failedHead(store)
    await store.run(head, { now: DUE + 9000 })
    expect(await claimAll(store, DUE + 9000)).toMatchObject([{ triggerAt: MINUTE, attempts: 1, repeatedTo: MINUTE + 300 }])
    expect(await minutesOf(store)).toEqual([0, 5])
  })

  test('a copy of a final entry is no part of the series', async ({ store, reopen }) => {
    await failedHead(store)
    expect(await rescheduleAll(store, { ...RESCHEDULE, all: false, now: DUE + 9000 })).toMatchObject([{ triggerAt: MINUTE + 120 }])
    const opened = await reopen()
    expect(await claimAll(opened, DUE + 120_000)).toMatchObject([{ triggerAt: MINUTE + 120 }])
    expect(await minutesOf(opened)).toEqual([0, 2, 5])
    expect(await claimAll(opened, DUE + 300_000)).toMatchObject([{ triggerAt: MINUTE + 300, repeatedTo: MINUTE + 600 }])
    expect(await minutesOf(opened)).toEqual([0, 2, 5, 10])
  })

  test('a copy that is out of time, or removed by its key, is followed by nothing', async ({ store }) => {
    await failedHead(store)
    await rescheduleAll(store, { ...RESCHEDULE, all: false, now: DUE + 9000 })
    const copy = { name: 'a-task', from: MINUTE + 120, to: MINUTE + 180 }
    expect(await store.remove(copy, { now: DUE + 9001, limit: 1, continueSeries: true })).toBe(1)
    expect(await minutesOf(store)).toEqual([0, 5])
    await rescheduleAll(store, { ...RESCHEDULE, all: true, now: DUE + 9002 })
    expect(await expireAll(store, DUE + 720_000)).toMatchObject([{ triggerAt: MINUTE + 120, state: 'skipped' }])
    expect(await minutesOf(store)).toEqual([0, 2, 5])
  })

  test('a waiting entry that moves takes its series along, which goes on after the new time', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    await rescheduleAll(store, { ...RESCHEDULE, triggerAt: MINUTE + 420, all: true, now: DUE - 5 })
    expect(await minutesOf(store)).toEqual([7])
    expect(await claimAll(store, DUE + 420_000)).toMatchObject([{ triggerAt: MINUTE + 420, repeatedTo: MINUTE + 600 }])
    expect(await minutesOf(store)).toEqual([7, 10])
  })

  test('a waiting entry that is replaced goes on as the new task says', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    await store.put([aRepeating({ repeat: '*/7 * * * *' })], { now: DUE - 5 })
    expect(await claimAll(store)).toMatchObject([{ repeatedTo: MINUTE + 420 }])
    expect(await minutesOf(store)).toEqual([0, 7])
    await store.put([aTask({ triggerAt: MINUTE + 420 })], { now: DUE + 5 })
    expect(await claimAll(store, DUE + 420_000)).toMatchObject([{ triggerAt: MINUTE + 420, repeatedTo: null }])
    expect(await minutesOf(store)).toEqual([0, 7])
  })

  test('a final entry that is put once more joins the series that it belonged to', async ({ store }) => {
    await failedHead(store)
    await store.put([aRepeating()], { now: DUE + 9000 })
    expect(await claimAll(store, DUE + 9000)).toMatchObject([{ triggerAt: MINUTE, repeatedTo: MINUTE + 300 }])
    expect(await minutesOf(store)).toEqual([0, 5])
  })

  test('a final entry that is put once more after its series has gone on does not double it', async ({ store }) => {
    await failedHead(store, { max_delay: 60 })
    for (const minutes of [5, 10]) {
      const [task] = (await claimAll(store, DUE + minutes * 60_000)) as [Task]
      await finish(store, task, answered(200, task.dueAt + 50), task.dueAt + 50)
    }
    expect(await minutesOf(store)).toEqual([0, 5, 10, 15])
    await store.put([aRepeating({ max_delay: 60 })], { now: DUE + 610_000 })
    expect(await claimAll(store, DUE + 610_000)).toMatchObject([{ triggerAt: MINUTE, repeatedTo: MINUTE + 900 }])
    expect(await minutesOf(store)).toEqual([0, 5, 10, 15])
  })

  test('an entry with an error callback is followed whether it fails or is skipped', async ({ store }) => {
    const definition = { error_callback: 'http://errors.test/' }
    await failedHead(store, definition)
    await expireAll(store, DUE + 900_000)
    expect(await listAll(store)).toMatchObject([
      { state: 'failed', repeatedTo: MINUTE + 300, errorCallback: { attempts: 0 } },
      { state: 'skipped', repeatedTo: MINUTE + 1200, errorCallback: { attempts: 0 } },
      { state: 'pending', repeatedTo: null, errorCallback: null },
    ])
  })

  test('an entry that is run early to be removed is followed too', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - 9000 })
    await store.run(KEY, { now: DUE - 5000, removeAfter: true })
    const [head] = (await claimAll(store, DUE - 5000)) as [Task]
    await finish(store, head, answered(200, DUE - 4000), DUE - 4000)
    expect(await minutesOf(store)).toEqual([5])
  })
})
