/** What happens in the same moment as the change of a handler, or to tasks that had ended before it. */
import { expect } from 'vitest'
import { maxAttempts, type Task } from '../../../src/domain/task/task.ts'
import { MINUTE, aTaskWithoutCallback } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { anEntry, claimAll, DUE, finishAll, LEASE_MS, putHandler } from './support/tasks.ts'

const CALLBACK = { callback: 'http://handler.test/run' }
const PULL = { pull: true }
const CHANGE = { now: DUE, force: false }

export default area('a handler that comes or goes', (test) => {
  test('decides nothing about an attempt that was claimed before it changed: neither its acknowledgement nor its loss', async ({
    store,
  }) => {
    const before = { ...CALLBACK, retry: 3, ack_timeout: 5, max_delay: 60, error_callback: 'http://alarm.test/' }
    await putHandler(store, 'a.*', before)
    await store.put([aTaskWithoutCallback({ name: 'a.acked' }), aTaskWithoutCallback({ name: 'a.lost' })], { now: DUE - 9 })
    const claimed = await claimAll(store)
    await putHandler(store, 'a.*', { ...CALLBACK, delivery: 'at_most_once', max_delay: 1 })
    for (const task of claimed) expect(await store.get(task)).toMatchObject({ definition: before, deadline: task.deadline })
    const ack = { key: { name: 'a.acked', triggerAt: MINUTE }, attempt: 1, retryable: true, detail: null, now: DUE + 5, random: 0 }
    expect(await store.acknowledge({ ...ack, status: 'running' })).toMatchObject({ task: { leaseUntil: DUE + 5 + 5 * 60_000 } })
    expect(await store.acknowledge({ ...ack, status: 'failed' })).toMatchObject({ status: 'acknowledged', task: { state: 'retrying' } })
    expect(await store.rescue({ now: DUE + LEASE_MS, limit: 9 })).toMatchObject([{ name: 'a.lost', state: 'retrying' }])
    for (const task of claimed) expect(await store.history(task)).toMatchObject([{ attemptsLeft: task.name === 'a.lost' ? 4 : 3 }])
    // The next attempt goes by the handler as it is then, and is the last one.
    await putHandler(store, 'a.*', { ...CALLBACK, max_delay: 60 })
    const again = (await claimAll(store, DUE + LEASE_MS)).find(({ name }) => name === 'a.acked') as Task
    expect(again.definition).not.toHaveProperty('ack_timeout')
    expect([again.attempts, maxAttempts(again)]).toEqual([2, 2])
  })

  test('serves what had ended before it, and is run again: for workers', async ({ store }) => {
    const task = await anEntry(store, 'failed', { name: 'a.x' })
    await putHandler(store, 'a.*', PULL)
    await store.run(task, { now: DUE })
    expect(await store.pull('a.*', aWorker())).toMatchObject({
      tasks: [{ name: 'a.x', attempts: 1 }],
    })
  })

  test('serves what had ended under another one, and is run again: though that one is paused', async ({ store }) => {
    await putHandler(store, 'a.*', CALLBACK)
    await store.put([aTaskWithoutCallback({ name: 'a.x' })], { now: DUE - 9 })
    const [task] = (await claimAll(store)) as [Task]
    await finishAll(store, [task], DUE, 404)
    await putHandler(store, 'a.x', { ...CALLBACK, concurrency: 1 })
    await putHandler(store, 'a.*', { ...CALLBACK, paused: true })
    await store.run(task, { now: DUE })
    expect(await claimAll(store)).toMatchObject([{ name: 'a.x' }])
  })

  test('is needed by what had ended under another one, and is run again', async ({ store }) => {
    await putHandler(store, 'a.*', CALLBACK)
    await store.put([aTaskWithoutCallback({ name: 'a.x' })], { now: DUE - 9 })
    const [task] = (await claimAll(store)) as [Task]
    await finishAll(store, [task], DUE, 404)
    await putHandler(store, 'a.x', CALLBACK)
    expect(await store.removeHandler('a.*', { force: false })).toBe('removed')
    await store.run(task, { now: DUE })
    expect(await store.removeHandler('a.x', { force: false })).toBe('needed')
  })

  test('that is paused takes its tasks from the workers of a shorter one at once', async ({ store }) => {
    await putHandler(store, 'a.*', PULL)
    await store.put(
      ['a.x', 'a.y'].map((name) => aTaskWithoutCallback({ name })),
      { now: DUE - 9 },
    )
    const handling = store.putHandler('a.x', { ...PULL, paused: true }, CHANGE)
    expect(await store.pull('a.*', aWorker())).toMatchObject({
      tasks: [{ name: 'a.y' }],
    })
    await handling
  })

  test('gets its tasks back from a worker that pulled from a shorter one when it came', async ({ store }) => {
    await putHandler(store, 'a.*', PULL)
    await store.put([aTaskWithoutCallback({ name: 'a.x' })], { now: DUE - 9 })
    const handling = store.putHandler('a.x', PULL, CHANGE)
    await store.pull('a.*', aWorker())
    await handling
    await store.rescue({ now: DUE + LEASE_MS, limit: 9 })
    expect(await store.pull('a.x', aWorker(DUE + LEASE_MS))).toMatchObject({
      tasks: [{ name: 'a.x' }],
    })
  })

  test('is needed by tasks of a longer one that goes in the same moment', async ({ store }) => {
    await putHandler(store, 'a.*', CALLBACK)
    await putHandler(store, 'a.x', CALLBACK)
    await store.put([aTaskWithoutCallback({ name: 'a.x' })], { now: DUE - 9 })
    const removing = ['a.x', 'a.*', 'a.x'].map((name) => store.removeHandler(name, { force: false }))
    expect(await Promise.all(removing)).toEqual(['removed', 'needed', 'unknown'])
    expect(await claimAll(store)).toMatchObject([{ name: 'a.x', definition: CALLBACK }])
  })
})

function aWorker(now = DUE) {
  return { now, node: 'node-1', leaseUntil: now + LEASE_MS, limit: 9 }
}
