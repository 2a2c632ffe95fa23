/** A node that was told whom to tell tells of every run that ends badly while it has the store. */
import { expect } from 'vitest'
import type { ErrorReport } from '../../../src/domain/task/error-callback.ts'
import type { Task } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { accepted, ackOf } from './acknowledge.ts'
import { claimCallback } from './error-callbacks.ts'
import { area } from './support/area.ts'
import { ENDS, ERRORS, FAILED, failedTask } from './support/failing-tasks.ts'
import { runSql } from './support/raw-sql.ts'
import { answered, claimAll, DUE, finish, mustGet, putHandler } from './support/tasks.ts'

const KEY = { name: 'a-task', triggerAt: MINUTE }
const onFailure = { error_callback: 'http://node.test/alerts', error_payload: '[1.0]', error_payload_is_json: true } as const

/** The task as its one error callback tells of it. */
async function told(store: Store, now: number): Promise<{ host: string; task: Task }> {
  const callback = await claimCallback(store, now)
  await finish(store, callback, answered(200, now + 9), now + 9)
  return { host: callback.host, task: (callback.definition.payload as unknown as ErrorReport).task }
}

export default area('whom a node tells of bad ends', (test) => {
  test('hears once of each run, however it ends, where nobody else is to hear of it', async ({ reopen }) => {
    const store = await reopen({ onFailure })
    for (const { how, end, state } of ENDS) {
      const now = await end(store, {})
      const task = await mustGet(store, KEY)
      expect(task, how).toMatchObject({ state, errorCallback: { state: 'pending' } })
      expect(await told(store, now), how).toMatchObject({ host: 'node.test', task: { runId: task.runId, definition: onFailure } })
      expect(await claimAll(store, now + 999_999), how).toEqual([])
      await store.remove({}, { now: DUE, limit: 10 })
    }
  })

  test('hears of a task that cannot be read, and not of an error callback that fails', async (opened) => {
    const store = await opened.reopen({ onFailure })
    await store.put([aTask()], { now: DUE - 9 })
    await runSql(opened, `UPDATE tasks SET definition = '{"callback"'`)
    expect(await claimAll(store)).toEqual([])
    const callback = await claimCallback(store)
    expect(callback).toMatchObject({
      host: 'node.test',
      definition: { payload: { task: { unreadable: expect.stringContaining('JSON') as string } } },
    })
    await finish(store, callback, answered(404, FAILED), FAILED)
    expect(await claimAll(store, FAILED + 999_999)).toEqual([])
  })

  test('hears nothing where the task has an error callback of its own', async ({ reopen }) => {
    const store = await reopen({ onFailure })
    const { definition } = await failedTask(store)
    expect(await told(store, FAILED)).toMatchObject({ host: 'errors.test:8080', task: { definition } })
    expect(definition).toEqual({ callback: 'http://receiver.test/run', ...ERRORS })
  })

  test('gets the body that the handler gave at the claim, though a person acknowledges it later', async ({ reopen }) => {
    const store = await reopen({ onFailure })
    const said = { error_payload: '{ "text":"{id}" }', error_payload_is_json: true } as const
    await putHandler(store, 'a-*', said)
    const task = await accepted(store, {})
    await putHandler(store, 'a-*', { error_payload: 'other {id}' })
    await store.acknowledge(ackOf(task, { status: 'failed', retryable: false, detail: 'broken', now: DUE + 9000 }))
    const { host, task: ended } = await told(store, DUE + 9000)
    expect(ended.definition).toMatchObject({ ...said, error_callback: onFailure.error_callback, templates: { handler: 'a-*' } })
    expect(host).toBe('node.test')
  })
})
