import { expect } from 'vitest'
import type { Task, TaskDefinition } from '../../../src/domain/task/task.ts'
import type { Acknowledgement, Store } from '../../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import {
  aClaim,
  anEntry,
  answered,
  claimAll,
  claimOne,
  DUE,
  finish,
  LEASE_MS,
  listAll,
  mustGet,
  NODE,
  putHandler,
} from './support/tasks.ts'

/** Five minutes, which the tasks here have until they are acknowledged. */
export const ACK_MS = 5 * 60_000
/** When the answer came that took the work on. */
export const ACCEPTED = DUE + 50
const SILENCE = 'accepted, but not acknowledged within 5 min'
/** What every entry that nobody works at any more has. */
const AT_REST = { awaiting: null, leaseUntil: null }

/** A task that was claimed at `DUE`, and whose answer at `ACCEPTED` took the work on. */
export async function accepted(store: Store, definition: Partial<TaskDefinition> = {}): Promise<Task> {
  const task = await claimOne(store, aTask({ definition: { ack_timeout: 5, ...definition } }))
  expect(await finish(store, task, answered(200, ACCEPTED, 'taken on'), ACCEPTED)).toBe(true)
  return mustGet(store, task)
}

/** An acknowledgement of the attempt that `task` is in; the jitter of a retry is none. */
export function ackOf(task: Task, fields: Partial<Acknowledgement> = {}): Acknowledgement {
  const { name, triggerAt, attempts: attempt } = task
  return { key: { name, triggerAt }, attempt, status: 'successful', retryable: true, detail: null, now: DUE + 9000, random: 0, ...fields }
}

export default area('an acknowledgement', (test) => {
  test('an expected answer of a task with ack_timeout leaves it running until it is acknowledged', async ({ store, reopen }) => {
    const task = await accepted(store)
    const fields = { state: 'running', attempts: 1, awaiting: 'ack', claimedBy: NODE, leaseUntil: ACCEPTED + ACK_MS, updated: ACCEPTED }
    expect(task).toMatchObject({ ...fields, responseStatus: 200, responseBody: 'taken on', error: null })
    expect(await store.rescue({ now: ACCEPTED + ACK_MS - 1, limit: 10 })).toEqual([])
    expect(await claimAll(store, ACCEPTED + 1)).toEqual([])
    expect(await mustGet(await reopen(), task)).toEqual(task)
  })

  for (const status of [404, 500] as const) {
    test(`an answer ${status} of a task with ack_timeout is a failure as always`, async ({ store }) => {
      const task = await claimOne(store, aTask({ definition: { ack_timeout: 5 } }))
      await finish(store, task, answered(status, ACCEPTED), ACCEPTED)
      const state = status === 404 ? 'failed' : 'retrying'
      expect(await mustGet(store, task)).toMatchObject({ state, responseStatus: status, ...AT_REST })
    })
  }

  test('success ends it: the answer stays, and the attempt lasted until now', async ({ store, reopen }) => {
    const task = await accepted(store)
    const now = DUE + 9000
    const after = { ...task, ...AT_REST, state: 'successful', executedAt: now, updated: now } as const
    expect(await store.acknowledge(ackOf(task, { now }))).toEqual({ status: 'acknowledged', task: after })
    const times = { dueAt: DUE, startedAt: ACCEPTED - 20, durationMs: 9000 - 30, deadline: DUE + 600_000 }
    const attempt = { runId: task.runId, number: 1, ...times, status: 200, error: null, outcome: 'successful', attemptsLeft: 1, node: NODE }
    const reopened = await reopen()
    expect(await reopened.get(task)).toEqual(after)
    expect(await reopened.history(task)).toEqual([attempt])
  })

  test('its detail takes the place of the answer', async ({ store }) => {
    const task = await accepted(store)
    await store.acknowledge(ackOf(task, { detail: '{"rows": 7} ä😀' }))
    expect(await mustGet(store, task)).toMatchObject({
      state: 'successful',
      responseStatus: 200,
      responseBody: '{"rows": 7} ä😀',
      error: null,
    })
  })

  test('a failure that may be tried again waits as long as after any failed call, and uses up a retry', async ({ store }) => {
    const task = await accepted(store)
    const now = DUE + 9000
    const result = await store.acknowledge(ackOf(task, { status: 'failed', detail: 'disk full', now, random: 0.5 }))
    const error = 'acknowledged as failed: disk full'
    expect(result).toMatchObject({ status: 'acknowledged', task: { state: 'retrying', dueAt: now + 750, lost: 0, error, ...AT_REST } })
    expect(await mustGet(store, task)).toEqual('task' in result && result.task)
    expect(await store.history(task)).toMatchObject([{ number: 1, startedAt: ACCEPTED - 20, durationMs: 9000 - 30, status: 200, error }])
    expect((await store.claimDue(aClaim({ now: now + 749 }))).nextDue).toBe(now + 750)
    const [second] = (await claimAll(store, now + 750)) as [Task]
    expect(second).toMatchObject({ attempts: 2, runId: task.runId, awaiting: null })
    await finish(store, second, answered(200, now + 800), now + 800)
    await store.acknowledge(ackOf(second, { status: 'failed', now: now + 900 }))
    expect(await mustGet(store, task)).toMatchObject({ state: 'failed', attempts: 2, error: 'acknowledged as failed', ...AT_REST })
    expect(await store.history(task)).toHaveLength(2)
    expect(await claimAll(store, now + 400_000)).toEqual([])
  })

  test('a lease of a changed clock is prolonged by one that a worker may ask for', async ({ store }) => {
    await putHandler(store, 'pulled', { pull: true })
    const DAY_MS = 86_400_000
    for (const [minute, given, got] of [[MINUTE, -500, 1000] as const, [MINUTE - 60, 40 * DAY_MS, DAY_MS] as const]) {
      await store.put([aTask({ name: 'pulled', triggerAt: minute })], { now: DUE - 9 })
      const worker = { now: DUE, node: NODE, leaseUntil: DUE + given, limit: 1 }
      const { tasks } = (await store.pull('pulled', worker)) as unknown as { tasks: [Task] }
      const ack = ackOf(tasks[0], { status: 'running', now: DUE + 9 })
      expect(await store.acknowledge(ack)).toMatchObject({ task: { leaseUntil: DUE + 9 + got } })
    }
  })

  test('a failure that may not be tried again ends it at once', async ({ store }) => {
    const task = await accepted(store, { retry: 9 })
    const error = 'acknowledged as failed: no such user'
    expect(await store.acknowledge(ackOf(task, { status: 'failed', retryable: false, detail: 'no such user' }))).toMatchObject({
      status: 'acknowledged',
      task: { state: 'failed', attempts: 1, error, ...AT_REST },
    })
    expect(await store.history(task)).toMatchObject([{ status: 200, error }])
  })

  test('after the window has closed success counts, and a failure ends it', async ({ store }) => {
    for (const status of ['successful', 'failed'] as const) {
      await store.remove({}, { now: DUE, limit: 10 })
      const task = await accepted(store, { retry: 9, ack_timeout: 60 })
      expect((await store.expire({ now: task.deadline + 1, limit: 10 })).tasks).toEqual([])
      expect(await store.acknowledge(ackOf(task, { status, now: task.deadline + 1 }))).toMatchObject({ task: { state: status } })
    }
    expect((await mustGet(store, aTask())).error).toContain('when the window closes')
  })

  test('running prolongs by the whole time, again and again, and is no attempt of its own', async ({ store, reopen }) => {
    const task = await accepted(store)
    for (const now of [DUE + 9000, DUE + 200_000, DUE + 499_999]) {
      const result = await store.acknowledge(ackOf(task, { status: 'running', now }))
      expect(result).toEqual({ status: 'acknowledged', task: { ...task, leaseUntil: now + ACK_MS, updated: now } })
    }
    const opened = await reopen()
    expect(await opened.rescue({ now: DUE + 499_998 + ACK_MS, limit: 10 })).toEqual([])
    expect(await opened.acknowledge(ackOf(task, { now: DUE + 600_000 }))).toMatchObject({ task: { state: 'successful' } })
    expect(await opened.history(task)).toMatchObject([{ number: 1, startedAt: ACCEPTED - 20, durationMs: 600_000 - 30, status: 200 }])
  })

  test('running prolongs by as much as before where the handler has no ack_timeout any more', async ({ store }) => {
    await putHandler(store, 'a-task', { callback: 'http://handler.test/', ack_timeout: 5 })
    await store.put([aTaskWithoutCallback()], { now: DUE - 9 })
    const [task] = (await claimAll(store)) as [Task]
    await finish(store, task, answered(200, ACCEPTED), ACCEPTED)
    await putHandler(store, 'a-task', { callback: 'http://handler.test/' })
    for (const now of [DUE + 9000, DUE + 200_000]) {
      const result = await store.acknowledge(ackOf(task, { status: 'running', now }))
      expect(result).toMatchObject({ status: 'acknowledged', task: { awaiting: 'ack', leaseUntil: now + ACK_MS } })
    }
    expect(await store.rescue({ now: DUE + 199_999 + ACK_MS, limit: 10 })).toEqual([])
    expect(await store.rescue({ now: DUE + 200_000 + ACK_MS, limit: 10 })).toMatchObject([{ state: 'retrying' }])
  })

  test('silence is a failed attempt like any other: the same wait, one retry fewer, no loss', async ({ store }) => {
    const task = await accepted(store)
    const over = ACCEPTED + ACK_MS
    const rescued = { ...task, ...AT_REST, state: 'retrying', error: SILENCE, dueAt: over + 500, executedAt: over, updated: over }
    expect(await store.rescue({ now: over, limit: 10 })).toEqual([rescued])
    expect(await mustGet(store, task)).toEqual(rescued)
    expect(await claimAll(store, over + 499)).toEqual([])
    const [second] = (await claimAll(store, over + 500)) as [Task]
    expect(second).toMatchObject({ attempts: 2, lost: 0 })
    await finish(store, second, answered(200, over + 600), over + 600)
    const [failed] = await store.rescue({ now: over + 600 + ACK_MS, limit: 10 })
    expect(failed).toMatchObject({ state: 'failed', attempts: 2, lost: 0, error: SILENCE })
    expect(await store.history(task)).toMatchObject([
      { number: 1, startedAt: ACCEPTED - 20, durationMs: ACK_MS + 20, status: 200, error: SILENCE },
      { number: 2, startedAt: over + 580, durationMs: ACK_MS + 20, status: 200, error: SILENCE },
    ])
  })

  test('silence of a task that is called at the most once fails it', async ({ store }) => {
    await accepted(store, { delivery: 'at_most_once' })
    expect(await store.rescue({ now: ACCEPTED + ACK_MS, limit: 10 })).toMatchObject([{ state: 'failed', error: SILENCE }])
  })

  test('a new process leaves alone what awaits its acknowledgement, and takes that', async ({ store, reopen }) => {
    const task = await accepted(store)
    const opened = await reopen()
    expect(await opened.rescue({ now: DUE + 1000, onlyNode: 'node-2', limit: 10 })).toEqual([])
    expect(await mustGet(opened, task)).toEqual(task)
    expect(await opened.acknowledge(ackOf(task))).toMatchObject({ status: 'acknowledged', task: { state: 'successful' } })
  })

  test('renewals of the node that made the call do not disturb', async ({ store }) => {
    const task = await accepted(store)
    await store.renew([task, { ...task, awaiting: null }], { leaseUntil: DUE + LEASE_MS })
    await store.renew([task], { leaseUntil: DUE + 999_999 })
    expect(await mustGet(store, task)).toEqual(task)
  })

  test('until it is acknowledged the entry is running for every other verb', async ({ store }) => {
    const task = await accepted(store)
    expect(await store.put([aTask()], { now: DUE + 99 })).toEqual([{ status: 'running' }])
    expect(await store.run(task, { now: DUE + 99 })).toBe('running')
    expect(await store.remove({}, { now: DUE + 99, limit: 10 })).toBe(0)
    expect(await store.prune({ before: DUE + 999_999, limit: 10 })).toBe(0)
    const request = { selection: {}, all: true, triggerAt: MINUTE + 600, now: DUE + 99, dryRun: false, limit: 10 }
    expect(await store.reschedule(request)).toMatchObject({ tasks: [] })
    expect(await listAll(store)).toEqual([task])
  })

  test('may come before the answer is recorded, which then changes nothing', async ({ store, reopen }) => {
    const task = await claimOne(store, aTask({ definition: { ack_timeout: 5 } }))
    const now = DUE + 40
    expect(await store.acknowledge(ackOf(task, { now, detail: 'quick' }))).toMatchObject({ task: { state: 'successful', ...AT_REST } })
    const [before, history] = [await mustGet(store, task), await store.history(task)]
    expect(before).toMatchObject({ responseStatus: null, responseBody: 'quick', executedAt: now })
    const times = { dueAt: DUE, startedAt: DUE, durationMs: 40, deadline: null }
    expect(history).toEqual([
      { runId: task.runId, number: 1, ...times, status: null, error: null, outcome: 'successful', attemptsLeft: 1, node: NODE },
    ])
    for (const status of [200, 500]) expect(await finish(store, task, answered(status, ACCEPTED, 'late'), ACCEPTED)).toBe(false)
    const opened = await reopen()
    expect(await mustGet(opened, task)).toEqual(before)
    expect(await opened.history(task)).toEqual(history)
  })

  test('before the answer is recorded it does not take over that of the attempt before', async ({ store }) => {
    const { dueAt } = await anEntry(store, 'retrying', { definition: { ack_timeout: 5 } })
    const [second] = (await claimAll(store, dueAt)) as [Task]
    await store.acknowledge(ackOf(second, { now: dueAt + 10 }))
    expect(await mustGet(store, second)).toMatchObject({ state: 'successful', attempts: 2, responseStatus: null, responseBody: null })
    expect(await store.history(second)).toMatchObject([{ status: 500 }, { number: 2, status: null, error: null }])
  })

  test('running before the answer is recorded prolongs, and the attempt still began with its claim', async ({ store }) => {
    const task = await claimOne(store, aTask({ definition: { ack_timeout: 5 } }))
    expect(await store.acknowledge(ackOf(task, { status: 'running', now: DUE + 30 }))).toMatchObject({
      status: 'acknowledged',
      task: { state: 'running', attempts: 1, leaseUntil: DUE + 30 + ACK_MS },
    })
    await store.renew([task], { leaseUntil: DUE + LEASE_MS })
    expect(await store.rescue({ now: DUE + 29 + ACK_MS, limit: 10 })).toEqual([])
    await store.acknowledge(ackOf(task, { now: DUE + 90_000 }))
    expect(await store.history(task)).toMatchObject([{ number: 1, startedAt: DUE, durationMs: 90_000 }])
  })

  test('the ack_timeout may be that of the handler, and what was accepted ends also when the handler is gone', async ({ store }) => {
    await putHandler(store, 'a-task', { callback: 'http://handler.test/', ack_timeout: 5 })
    await store.put([aTaskWithoutCallback()], { now: DUE - 9 })
    const [task] = (await claimAll(store)) as [Task]
    await finish(store, task, answered(200, ACCEPTED), ACCEPTED)
    expect(await mustGet(store, task)).toMatchObject({ awaiting: 'ack', leaseUntil: ACCEPTED + ACK_MS })
    expect(await store.removeHandler('a-task', { force: true })).toBe('removed')
    expect(await store.acknowledge(ackOf(task))).toMatchObject({ status: 'acknowledged', task: { state: 'successful' } })
  })
})
