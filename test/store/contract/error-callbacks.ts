import { expect } from 'vitest'
import { reportOf } from '../../../src/domain/attempt/attempt-report.ts'
import type { Task } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import {
  aClaim,
  answered,
  claimAll,
  claimOne,
  DUE,
  expireAll,
  finish,
  LEASE_MS,
  listAll,
  mustGet,
  NODE,
  putHandler,
  rooms,
} from './support/tasks.ts'
import { ENDS, ERRORS, FAILED, failedTask } from './support/failing-tasks.ts'

const KEY = { name: 'a-task', triggerAt: MINUTE }

/** Claims what is due, which must be error callbacks alone. */
export async function claimCallbacks(store: Store, now = FAILED): Promise<Task[]> {
  const tasks = await claimAll(store, now)
  for (const { name } of tasks) expect(name).toContain('@')
  return tasks
}

export async function claimCallback(store: Store, now = FAILED): Promise<Task> {
  const [callback, ...others] = await claimCallbacks(store, now)
  if (callback === undefined || others.length > 0) throw new Error(`${1 + others.length} error callbacks were claimed`)
  return callback
}

export default area('an error callback', (test) => {
  for (const { how, end, state, error, statuses } of ENDS) {
    test(`a task that ends ${how} is told of once, as it ended, with its attempts`, async ({ store, reopen }) => {
      const now = await end(store)
      const task = await mustGet(store, KEY)
      expect(task).toMatchObject({ state, error: expect.stringContaining(error) as string })
      const opened = await reopen()
      const callback = await claimCallback(opened, now)
      const attempts = await opened.history(KEY)
      expect(attempts.map(({ status }) => status)).toEqual(statuses)
      expect(callback.definition.payload).toEqual({ task: { ...task, errorCallback: null }, attempts })
      expect(await claimAll(opened, now + 999_999)).toEqual([])
    })
  }

  test('it is due at once, in the lane of its own host, with a run and a window of its own', async ({ store }) => {
    const task = await failedTask(store, { timeout: 17, max_delay: 3, retry: 5, headers: { Authorization: 'Bearer secret' } })
    expect(await store.claimDue(aClaim({ now: FAILED - 1 }))).toEqual({ tasks: [], nextDue: FAILED })
    const onlyItsHost = { hosts: rooms({ 'errors.test:8080': 1 }), capacityOfNewHost: 0 }
    const [callback] = (await store.claimDue(aClaim({ now: FAILED, ...onlyItsHost }))).tasks as [Task]
    expect(callback).toMatchObject({
      ...{ name: `a-task@${task.runId}`, triggerAt: MINUTE, state: 'running', host: 'errors.test:8080', attempts: 1, lost: 0 },
      ...{ dueAt: FAILED, deadline: FAILED + 180_000, claimedBy: NODE, leaseUntil: FAILED + LEASE_MS, errorCallback: null },
    })
    const { payload: _payload, ...definition } = callback.definition
    const { error_callback: url } = ERRORS
    expect(definition).toEqual({ callback: url, callback_method: 'POST', expected_http_status: '2xx', retry: 5, max_delay: 3, timeout: 17 })
    expect(callback.runId).not.toBe(task.runId)
  })

  test('a node without room for its host does not get it', async ({ store }) => {
    await failedTask(store)
    const full = rooms({ 'errors.test:8080': 0 })
    expect((await store.claimDue(aClaim({ now: FAILED, hosts: full }))).tasks).toEqual([])
    await claimCallback(store)
  })

  test('it is tried again at least once, after the same wait as a task, and as often as its task', async ({ store }) => {
    for (const [retry, attempts] of [
      [0, 2],
      [3, 4],
    ] as const) {
      await store.remove({}, { now: DUE, limit: 10 })
      await failedTask(store, { retry })
      let now = FAILED
      for (let n = 1; n <= attempts; n += 1) {
        const callback = await claimCallback(store, now)
        expect(callback.attempts).toBe(n)
        await finish(store, callback, answered(500, now + 10), now + 10)
        if (n === attempts) break
        now += 10 + 500 * 2 ** (n - 1)
        expect(await claimAll(store, now - 1)).toEqual([])
      }
      expect((await mustGet(store, KEY)).errorCallback).toMatchObject({ state: 'failed', attempts })
      expect(await claimAll(store, now + 900_000)).toEqual([])
    }
  })

  for (const [how, end] of [
    ['ends well', (store: Store, task: Task) => finish(store, task, answered(200, FAILED), FAILED)],
    ['is to be tried again', (store: Store, task: Task) => finish(store, task, answered(503, FAILED), FAILED)],
    ['is handed back', (store: Store, task: Task) => finish(store, task, { kind: 'not_called', reason: 'stopping' }, FAILED)],
    ['is lost and due again', (store: Store) => store.rescue({ now: DUE + LEASE_MS, limit: 1 })],
  ] as const) {
    test(`a task that ${how} is not told of`, async ({ store }) => {
      await end(store, await claimOne(store, aTask({ definition: { ...ERRORS, retry: 9 } })))
      expect(await mustGet(store, KEY)).toMatchObject({ errorCallback: null })
      expect((await claimAll(store, DUE + LEASE_MS)).filter(({ name }) => name !== 'a-task')).toEqual([])
    })
  }

  test('a task that asks for none, or is removed before it ends, is not told of', async ({ store }) => {
    const task = await claimOne(store)
    await finish(store, task, answered(404, FAILED), FAILED)
    expect(await mustGet(store, KEY)).toMatchObject({ state: 'failed', errorCallback: null })
    await store.put([aTask({ name: 'removed', triggerAt: MINUTE + 60, definition: ERRORS })], { now: FAILED })
    await store.remove({ name: 'removed' }, { now: FAILED, limit: 1 })
    expect(await claimAll(store, DUE + 900_000)).toEqual([])
  })

  test('however often and by whomever its end is written, a run is told of once', async ({ store, reopen }) => {
    const task = await claimOne(store, aTask({ definition: { ...ERRORS, delivery: 'at_most_once' } }))
    const now = DUE + LEASE_MS
    const outcome = reportOf(task, answered(404, now), NODE, now, 0)
    const writes = Array.from({ length: 10 }, (_, n) =>
      n % 3 === 2 ? store.rescue({ now, limit: 10 }) : store.record(n % 3 === 1 ? [outcome, outcome] : [outcome]),
    )
    expect((await Promise.all(writes)).flat().filter((written) => written !== false)).toHaveLength(1)
    const opened = await reopen()
    expect(await opened.rescue({ now, onlyNode: 'nobody', limit: 10 })).toEqual([])
    await claimCallback(opened, now)
    expect(await expireAll(opened, now + 999_999)).toEqual([])
    expect(await claimAll(opened, now + 999_999)).toEqual([])
  })

  test('each of two hundred tasks that end together is told of', async ({ store }) => {
    const names = Array.from({ length: 200 }, (_, n) => `n${n}`)
    await store.put(
      names.map((name) => aTask({ name, definition: ERRORS })),
      { now: DUE - 9 },
    )
    expect(await expireAll(store, DUE + 600_000, 33)).toHaveLength(200)
    const told = (await claimCallbacks(store, DUE + 600_000)).map(({ name }) => name.split('@')[0])
    expect(told.sort()).toEqual(names.sort())
    expect((await listAll(store)).filter(({ errorCallback }) => errorCallback?.state === 'running')).toHaveLength(200)
  })

  test('the handler may say where to, and the task knows better', async ({ store }) => {
    await putHandler(store, 'a-task', { callback: 'http://handler.test/', error_callback: 'http://default.test/', retry: 0 })
    for (const [definition, host] of [
      [{}, 'default.test'],
      [ERRORS, 'errors.test:8080'],
    ] as const) {
      await store.put([aTaskWithoutCallback({ definition })], { now: DUE - 9 })
      const [task] = (await claimAll(store)) as [Task]
      await finish(store, task, answered(503, FAILED), FAILED)
      expect(await claimCallback(store)).toMatchObject({ host })
    }
  })
})
