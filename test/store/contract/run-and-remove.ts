import { expect } from 'vitest'
import type { Task } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { ackOf } from './acknowledge.ts'
import { area } from './support/area.ts'
import { anEntry, answered, claimAll, DUE, finish, finishAll, LEASE_MS, listAll, mustGet, rescheduleAll } from './support/tasks.ts'

const KEY = { name: 'a-task', triggerAt: MINUTE }
/** When the person asks, a day before the minute. */
const NOW = DUE - 86_400_000

/** A task that was run to be removed, and claimed. */
async function claimToRemove(store: Store, definition = {}): Promise<Task> {
  await store.put([aTask({ definition })], { now: NOW - 9 })
  await store.run(KEY, { now: NOW, removeAfter: true })
  const [task] = await claimAll(store, NOW)
  if (task === undefined) throw new Error('nothing was claimed')
  return task
}

async function expectGone(store: Store): Promise<void> {
  expect(await store.get(KEY)).toBeUndefined()
  expect(await listAll(store)).toEqual([])
  expect(await store.history(KEY)).toEqual([])
}

export default area('run and remove', (test) => {
  test('calls a pending entry in advance, and removes it once that succeeded', async ({ store, reopen }) => {
    await store.put([aTask()], { now: NOW - 9 })
    const before = await mustGet(store, KEY)
    const { last } = await store.changes({ after: 0, limit: 1 })
    const asked = { ...before, dueAt: NOW, windowFrom: NOW, deadline: NOW + 600_000, inAdvance: true, removeAfter: true, updated: NOW }
    expect(await store.run(KEY, { now: NOW, removeAfter: true })).toEqual(asked)
    expect(await mustGet(store, KEY)).toEqual(asked)
    const [task] = (await claimAll(store, NOW)) as [Task]
    expect(task).toMatchObject({ inAdvance: true, removeAfter: true, attempts: 1, runId: before.runId })
    expect(await finish(store, task, answered(200, NOW + 50, 'ok'), NOW + 50)).toBe(true)
    await expectGone(store)
    const { changes } = await store.changes({ after: last, limit: 10 })
    expect(changes.map(({ kind }) => kind)).toEqual(['updated', 'processing', 'completed', 'deleted'])
    for (const { task: told } of changes.slice(2)) expect(told).toMatchObject({ state: 'successful', responseBody: 'ok', attempts: 1 })
    await expectGone(await reopen())
  })

  test('calls a retrying entry at once, in the run that it is in', async ({ store }) => {
    const before = await anEntry(store, 'retrying')
    expect(await store.run(KEY, { now: DUE + 100, removeAfter: true })).toMatchObject({ state: 'retrying', removeAfter: true })
    const [task] = (await claimAll(store, DUE + 100)) as [Task]
    expect(task).toMatchObject({ attempts: 2, runId: before.runId })
    await finish(store, task, answered(200, DUE + 150), DUE + 150)
    await expectGone(store)
  })

  for (const state of ['successful', 'failed', 'skipped'] as const) {
    test(`leaves a ${state} entry as it is`, async ({ store }) => {
      const before = await anEntry(store, state)
      const { last } = await store.changes({ after: 0, limit: 1 })
      expect(await store.run(KEY, { now: DUE + 99, removeAfter: true })).toBe('final')
      expect(await listAll(store)).toEqual([before])
      expect(await store.changes({ after: last, limit: 1 })).toMatchObject({ changes: [] })
    })
  }

  test('leaves a running entry as it is, and knows nothing of an unknown one', async ({ store }) => {
    const before = await anEntry(store, 'running')
    expect(await store.run(KEY, { now: DUE + 99, removeAfter: true })).toBe('running')
    expect(await store.run({ ...KEY, name: 'other' }, { now: DUE + 99, removeAfter: true })).toBe('unknown')
    expect(await listAll(store)).toEqual([before])
    await finish(store, before, answered(200, DUE + 99), DUE + 99)
    expect(await mustGet(store, KEY)).toMatchObject({ state: 'successful' })
  })

  test('a failed call leaves the entry with its attempts, and a later success removes it', async ({ store, reopen }) => {
    const task = await claimToRemove(store)
    await finish(store, task, answered(503, NOW + 50), NOW + 50)
    expect(await mustGet(store, KEY)).toMatchObject({ state: 'retrying', removeAfter: true, inAdvance: true })
    const opened = await reopen()
    expect(await opened.history(KEY)).toMatchObject([{ number: 1, status: 503 }])
    const [again] = (await claimAll(opened, NOW + 9000)) as [Task]
    await finish(opened, again, answered(200, NOW + 9050), NOW + 9050)
    await expectGone(opened)
  })

  test('one that fails for good stays as any failed task', async ({ store }) => {
    const task = await claimToRemove(store)
    await finish(store, task, answered(404, NOW + 50), NOW + 50)
    expect(await mustGet(store, KEY)).toMatchObject({ state: 'failed', attempts: 1, responseStatus: 404 })
    expect(await store.history(KEY)).toHaveLength(1)
    expect(await store.run(KEY, { now: NOW + 99, removeAfter: true })).toBe('final')
    expect(await store.remove({}, { now: NOW + 99, limit: 10 })).toBe(1)
  })

  test('one that has failed and is run again, or copied, is not removed', async ({ store }) => {
    const task = await claimToRemove(store)
    await finish(store, task, answered(404, NOW + 50), NOW + 50)
    const request = { selection: {}, all: false, triggerAt: MINUTE + 600, now: NOW + 60, dryRun: false, limit: 10 }
    expect(await rescheduleAll(store, request)).toMatchObject([{ removeAfter: false, inAdvance: false }])
    expect(await store.run(KEY, { now: DUE + 600_000 })).toMatchObject({ removeAfter: false })
    await finishAll(store, await claimAll(store, DUE + 600_000), DUE + 600_050)
    expect(await listAll(store)).toMatchObject([{ state: 'successful' }, { state: 'successful' }])
  })

  test('one whose window closes first stays, skipped', async ({ store }) => {
    await store.put([aTask()], { now: NOW - 9 })
    await store.run(KEY, { now: NOW, removeAfter: true })
    expect((await store.expire({ now: NOW + 600_000, limit: 10 })).tasks).toMatchObject([{ state: 'skipped', attempts: 0 }])
    expect(await mustGet(store, KEY)).toMatchObject({ state: 'skipped' })
  })

  test('a new task under its key is not removed', async ({ store }) => {
    await store.put([aTask()], { now: NOW - 9 })
    await store.run(KEY, { now: NOW, removeAfter: true })
    expect(await store.put([aTask()], { now: NOW + 5 })).toMatchObject([{ status: 'replaced', task: { removeAfter: false } }])
    const [task] = (await claimAll(store)) as [Task]
    await finish(store, task, answered(200, DUE + 50), DUE + 50)
    expect(await mustGet(store, KEY)).toMatchObject({ state: 'successful', removeAfter: false, inAdvance: false })
  })

  for (const [how, reopens] of [
    ['its lease is over', false],
    ['the store is opened by another node', true],
  ] as const) {
    test(`after a crash in its call it is called again once ${how}, and then removed`, async ({ store, reopen }) => {
      const lost = await claimToRemove(store)
      const opened = reopens ? await reopen() : store
      const now = NOW + LEASE_MS
      const which = reopens ? { onlyNode: 'node-2' } : {}
      expect(await opened.rescue({ now, ...which, limit: 10 })).toMatchObject([{ state: 'retrying', removeAfter: true, inAdvance: true }])
      const [task] = (await claimAll(opened, now)) as [Task]
      expect(await finish(opened, lost, answered(200, now), now)).toBe(false)
      expect(await mustGet(opened, KEY)).toEqual(task)
      expect(await finish(opened, task, answered(200, now + 50), now + 50)).toBe(true)
      await expectGone(opened)
    })
  }

  test('a second result comes to nothing, and to nothing for a new task of its key', async ({ store }) => {
    const task = await claimToRemove(store)
    const finishes = [1, 2, 3].map(() => finish(store, task, answered(200, NOW + 50), NOW + 50))
    expect(await Promise.all(finishes)).toEqual([true, false, false])
    await store.put([aTask()], { now: NOW + 60 })
    const fresh = await mustGet(store, KEY)
    expect(await finish(store, task, answered(200, NOW + 70), NOW + 70)).toBe(false)
    expect(await listAll(store)).toEqual([fresh])
  })

  test('removes the one entry and no other of the same batch', async ({ store }) => {
    await store.put(
      ['a', 'b', 'c'].map((name) => aTask({ name })),
      { now: NOW - 9 },
    )
    await store.run({ name: 'b', triggerAt: MINUTE }, { now: DUE, removeAfter: true })
    await finishAll(store, await claimAll(store), DUE + 50)
    expect((await listAll(store)).map(({ name }) => name)).toEqual(['a', 'c'])
  })

  test('an accepted call removes nothing until it is acknowledged', async ({ store, reopen }) => {
    const task = await claimToRemove(store, { ack_timeout: 5 })
    await finish(store, task, answered(200, NOW + 50), NOW + 50)
    const opened = await reopen()
    expect(await mustGet(opened, KEY)).toMatchObject({ state: 'running', awaiting: 'ack', removeAfter: true })
    const now = NOW + 9000
    const after = { state: 'successful', awaiting: null, leaseUntil: null, executedAt: now, responseStatus: 200, responseBody: 'done' }
    expect(await opened.acknowledge(ackOf(task, { now, detail: 'done' }))).toMatchObject({ status: 'acknowledged', task: after })
    await expectGone(opened)
    expect(await opened.acknowledge(ackOf(task, { now }))).toEqual({ status: 'unknown' })
  })
})
