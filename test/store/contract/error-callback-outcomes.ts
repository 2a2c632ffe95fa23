import { expect } from 'vitest'
import type { ErrorCallbackProgress, Task } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import {
  answered,
  claimAll,
  claimOne,
  DUE,
  expireAll,
  finish,
  LEASE_MS,
  listAll,
  mustGet,
  putHandler,
  rescheduleAll,
} from './support/tasks.ts'
import { claimCallback, claimCallbacks } from './error-callbacks.ts'
import { ERRORS, FAILED, failedTask } from './support/failing-tasks.ts'

const KEY = { name: 'a-task', triggerAt: MINUTE }
const UNTRIED: ErrorCallbackProgress = { state: 'pending', attempts: 0, executedAt: null, responseStatus: null, error: null }
const RESCHEDULE = { selection: {}, triggerAt: MINUTE + 600, now: FAILED + 99, dryRun: false, limit: 10 }

/** In the entry and in each list that holds it. */
async function expectOutcome(store: Store, outcome: ErrorCallbackProgress | null): Promise<void> {
  const task = await mustGet(store, KEY)
  expect(task.errorCallback).toEqual(outcome)
  expect(await listAll(store, { from: MINUTE, to: MINUTE + 60 })).toEqual([task])
  expect(await listAll(store, { name: 'a-task', states: [task.state] })).toEqual([task])
}

export default area('what came of an error callback', (test) => {
  test('its task shows how far it is, from the first moment on until it has arrived', async ({ store, reopen }) => {
    await failedTask(store)
    await expectOutcome(store, UNTRIED)
    const callback = await claimCallback(store)
    await expectOutcome(store, { ...UNTRIED, state: 'running', attempts: 1 })
    await finish(store, callback, answered(503, FAILED + 100), FAILED + 100)
    const error = 'answered 503, expected 2xx'
    const retrying = { state: 'retrying', attempts: 1, executedAt: FAILED + 95, responseStatus: 503, error } as const
    await expectOutcome(store, retrying)
    const opened = await reopen()
    await expectOutcome(opened, retrying)
    const again = await claimCallback(opened, FAILED + 600)
    await finish(opened, again, answered(202, FAILED + 700), FAILED + 700)
    await expectOutcome(opened, { state: 'successful', attempts: 2, executedAt: FAILED + 695, responseStatus: 202, error: null })
    expect(await opened.get(KEY)).toMatchObject({ state: 'failed', attempts: 1, responseStatus: 404, executedAt: FAILED - 5 })
    expect(await opened.history(KEY)).toHaveLength(1)
  })

  test('one that is refused has failed, and is told of to nobody', async ({ store }) => {
    await failedTask(store)
    await finish(store, await claimCallback(store), answered(404, FAILED + 100), FAILED + 100)
    const error = 'answered 404, expected 2xx'
    await expectOutcome(store, { state: 'failed', attempts: 1, executedAt: FAILED + 95, responseStatus: 404, error })
    expect(await claimAll(store, FAILED + 999_999)).toEqual([])
  })

  test('one whose window closes ends so, and is told of to nobody', async ({ store }) => {
    await failedTask(store)
    await expireAll(store, FAILED + 599_999)
    await expectOutcome(store, UNTRIED)
    await expireAll(store, FAILED + 600_000)
    const error = expect.stringContaining('out of time') as string
    await expectOutcome(store, { ...UNTRIED, state: 'skipped', error })
    expect(await claimAll(store, FAILED + 600_000)).toEqual([])
  })

  for (const [how, reopens] of [
    ['its lease is over', false],
    ['another node has opened the store', true],
  ] as const) {
    test(`after a crash in its call it is called again, in the same run, once ${how}`, async ({ store, reopen }) => {
      await failedTask(store)
      const lost = await claimCallback(store)
      const opened = reopens ? await reopen() : store
      const now = FAILED + LEASE_MS
      const which = reopens ? { onlyNode: 'node-2' } : {}
      expect(await opened.rescue({ now, ...which, limit: 10 })).toMatchObject([{ name: lost.name, state: 'retrying', lost: 1 }])
      const again = await claimCallback(opened, now)
      expect(again).toMatchObject({ runId: lost.runId, attempts: 2, definition: lost.definition })
      expect(await finish(opened, lost, answered(200, now), now)).toBe(false)
      expect(await finish(opened, again, answered(200, now + 10), now + 10)).toBe(true)
      await expectOutcome(opened, { state: 'successful', attempts: 2, executedAt: now + 5, responseStatus: 200, error: null })
    })
  }

  test('a node that stops hands it back, and it goes out again', async ({ store }) => {
    await failedTask(store)
    await finish(store, await claimCallback(store), { kind: 'not_called', reason: 'stopping' }, FAILED + 5)
    await expectOutcome(store, UNTRIED)
    expect(await claimCallback(store, FAILED + 6)).toMatchObject({ attempts: 1 })
  })

  test('a renewal keeps its lease as that of any call', async ({ store }) => {
    await failedTask(store)
    const callback = await claimCallback(store)
    await store.renew([callback], { leaseUntil: FAILED + 2 * LEASE_MS })
    expect(await store.rescue({ now: FAILED + 2 * LEASE_MS - 1, limit: 10 })).toEqual([])
    expect(await store.rescue({ now: FAILED + 2 * LEASE_MS, limit: 10 })).toHaveLength(1)
  })

  test('a task that is run again and fails again is told of again, with the attempts of that run', async ({ store }) => {
    const first = await failedTask(store, { retry: 0 })
    const told = await claimCallback(store)
    await finish(store, told, answered(200, FAILED + 100), FAILED + 100)
    await store.run(KEY, { now: DUE + 5000 })
    await expectOutcome(store, null)
    const [again] = (await claimAll(store, DUE + 5000)) as [Task]
    await finish(store, again, answered(503, DUE + 6000), DUE + 6000)
    await expectOutcome(store, UNTRIED)
    const callback = await claimCallback(store, DUE + 6000)
    expect(callback).toMatchObject({ name: `a-task@${again.runId}`, definition: { payload: { attempts: [{ number: 1, status: 503 }] } } })
    expect(callback.definition.payload).toMatchObject({ attempts: { length: 1 }, task: { runId: again.runId, responseStatus: 503 } })
    expect([callback.runId, callback.name]).not.toContain(told.runId)
    expect(again.runId).not.toBe(first.runId)
  })

  test('a task that is run again before it was told of is told of all the same', async ({ store }) => {
    const { runId } = await failedTask(store)
    await store.run(KEY, { now: FAILED + 5 })
    const claimed = await claimAll(store, FAILED + 5)
    expect(claimed.map(({ name }) => name).sort()).toEqual(['a-task', `a-task@${runId}`])
  })

  test('a copy of a failed task that fails is told of, and the first one still shows its own', async ({ store }) => {
    await failedTask(store)
    await finish(store, await claimCallback(store), answered(200, FAILED + 60), FAILED + 60)
    expect(await rescheduleAll(store, { ...RESCHEDULE, all: false })).toMatchObject([{ triggerAt: MINUTE + 600, errorCallback: null }])
    const [copy] = (await claimAll(store, DUE + 600_000)) as [Task]
    await finish(store, copy, answered(404, DUE + 600_050), DUE + 600_050)
    expect(await claimCallback(store, DUE + 600_050)).toMatchObject({ triggerAt: MINUTE + 600, name: `a-task@${copy.runId}` })
    const states = (await listAll(store)).map(({ errorCallback }) => errorCallback?.state)
    expect(states).toEqual(['successful', 'running'])
  })

  test('a new task under the key shows nothing of it', async ({ store }) => {
    await failedTask(store)
    await store.put([aTask({ definition: ERRORS })], { now: FAILED + 5 })
    await expectOutcome(store, null)
  })

  test('it is delivered also where its task was removed before', async ({ store, reopen }) => {
    const task = await failedTask(store)
    expect(await store.remove({}, { now: FAILED + 5, limit: 10 })).toBe(1)
    const opened = await reopen()
    const callback = await claimCallback(opened)
    expect(callback.definition.payload).toMatchObject({ task: { runId: task.runId, state: 'failed' }, attempts: [{ status: 404 }] })
    expect(await finish(opened, callback, answered(200, FAILED + 60), FAILED + 60)).toBe(true)
    expect(await opened.get(KEY)).toBeUndefined()
  })

  for (const [how, answers] of [
    ['delivered', [200]],
    ['given up', [500, 500]],
  ] as const) {
    test(`one that was ${how} is removed with its task`, async ({ store, reopen }) => {
      const { runId } = await failedTask(store)
      let now = FAILED
      for (const status of answers) {
        await finish(store, await claimCallback(store, now), answered(status, now + 10), now + 10)
        now += 600
      }
      expect(await store.remove({ name: 'a-task' }, { now, limit: 10 })).toBe(1)
      const opened = await reopen()
      expect(await opened.get({ name: `a-task@${runId}`, triggerAt: KEY.triggerAt })).toBeUndefined()
      expect(await opened.prune({ before: now + 999_999, limit: 10 })).toBe(0)
    })
  }

  test('one that is to be tried again stays where its task is removed, and that of another task is left alone', async ({ store }) => {
    await failedTaskOf(store, 'other')
    await finish(store, await claimCallback(store, FAILED + 20), answered(200, FAILED + 30), FAILED + 30)
    const other = await mustGet(store, { ...KEY, name: 'other' })
    await failedTask(store)
    await finish(store, await claimCallback(store, FAILED + 40), answered(500, FAILED + 50), FAILED + 50)
    expect(await store.remove({ name: 'a-task' }, { now: FAILED + 60, limit: 10 })).toBe(1)
    expect(await claimCallback(store, FAILED + 550)).toMatchObject({ attempts: 2, host: 'errors.test:8080' })
    expect(await mustGet(store, other)).toEqual(other)
    expect(other.errorCallback).toMatchObject({ state: 'successful' })
  })

  test('its outcome stays visible where the handler that asked for it says so no more', async ({ store }) => {
    await putHandler(store, 'a-task', ERRORS)
    const task = await claimOne(store)
    await finish(store, task, answered(404, FAILED), FAILED)
    await expectOutcome(store, UNTRIED)
    await putHandler(store, 'a-task', {})
    await expectOutcome(store, UNTRIED)
  })

  test('no list, count or change holds it', async ({ store }) => {
    await store.put([aTask({ name: 'other', triggerAt: MINUTE + 3600 })], { now: DUE - 9 })
    await failedTask(store)
    const { last } = await store.changes({ after: 0, limit: 1 })
    const expectHidden = async (): Promise<void> => {
      expect((await listAll(store, {}, 1)).map(({ name }) => name)).toEqual(['a-task', 'other'])
      expect(await listAll(store, { states: ['failed', 'running', 'retrying', 'successful', 'skipped'] })).toHaveLength(1)
      expect(await listAll(store, { from: MINUTE, to: MINUTE + 60 })).toHaveLength(1)
      expect(await store.counts()).toEqual({ pending: 1, running: 0, retrying: 0, successful: 0, failed: 1, skipped: 0 })
      expect(await store.changes({ after: last, limit: 10 })).toMatchObject({ changes: [], last })
    }
    await expectHidden()
    const callback = await claimCallback(store)
    await expectHidden()
    await finish(store, callback, answered(503, FAILED + 10), FAILED + 10)
    await expectHidden()
    await claimCallbacks(store, FAILED + 5000)
    await store.rescue({ now: FAILED + 5000 + LEASE_MS, limit: 10 })
    await expectHidden()
    await finish(store, await claimCallback(store, FAILED + 5000 + LEASE_MS), answered(204, FAILED + 90_000), FAILED + 90_000)
    await expectHidden()
  })

  test('no reschedule takes it, and no removal', async ({ store }) => {
    const { runId } = await failedTask(store)
    await finish(store, await claimCallback(store), answered(404, FAILED + 10), FAILED + 10)
    await failedTaskOf(store, 'waiting')
    expect(await rescheduleAll(store, { ...RESCHEDULE, all: true, dryRun: true })).toHaveLength(2)
    expect(await rescheduleAll(store, { ...RESCHEDULE, all: true })).toHaveLength(2)
    expect(await store.remove({ states: ['failed', 'skipped', 'pending'] }, { now: FAILED + 200, limit: 100 })).toBe(4)
    const callbacks = await claimCallbacks(store, FAILED + 200)
    expect(callbacks.map(({ name }) => name.split('@')[0])).toEqual(['waiting'])
    expect(callbacks.map(({ name }) => name)).not.toContain(`a-task@${runId}`)
  })

  test('prune takes it once it has ended, and leaves it alone before', async ({ store }) => {
    await failedTask(store)
    await rescheduleAll(store, { ...RESCHEDULE, all: false, now: DUE + 900_000 })
    expect(await store.prune({ before: DUE + 800_000, limit: 10 })).toBe(0)
    await finish(store, await claimCallback(store), answered(200, FAILED + 60), FAILED + 60)
    expect(await store.prune({ before: FAILED + 60, limit: 10 })).toBe(0)
    expect(await store.prune({ before: FAILED + 61, limit: 10 })).toBe(1)
    await expectOutcome(store, null)
  })

  test('it is delivered also where retention has taken its task before', async ({ store }) => {
    await failedTask(store)
    expect(await store.prune({ before: FAILED + 1, limit: 10 })).toBe(1)
    expect(await listAll(store)).toEqual([])
    await claimCallback(store, FAILED + 5)
  })
})

async function failedTaskOf(store: Store, name: string): Promise<void> {
  await store.put([{ ...aTask({ definition: ERRORS }), name }], { now: DUE - 9 })
  const [task] = (await claimAll(store)) as [Task]
  await finish(store, task, answered(404, FAILED + 20), FAILED + 20)
}
