import { expect } from 'vitest'
import { reportOf } from '../../../src/domain/attempt/attempt-report.ts'
import type { AttemptReport } from '../../../src/domain/attempt/attempt-report.ts'
import type { Attempt } from '../../../src/domain/task/attempt.ts'
import type { Task } from '../../../src/domain/task/task.ts'
import type { TaskUpdate } from '../../../src/domain/attempt/transitions.ts'
import type { CallResult } from '../../../src/domain/attempt/verdict.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, anEntry, answered, claimAll, claimOne, DUE, finish, LEASE_MS, listAll, mustGet, NODE, seed } from './support/tasks.ts'

const NOT_CALLED: CallResult = { kind: 'not_called', reason: 'stopping' }
const AT_MOST_ONCE = { delivery: 'at_most_once' } as const

export default area('record', (test) => {
  test('writes every field of an outcome, and its attempt', async ({ store, reopen }) => {
    const task = await claimOne(store, aTask({ definition: { retry: 5 } }))
    const outcome: AttemptReport = {
      task,
      update: { state: 'retrying', dueAt: DUE + 1001, attempts: 1, lost: 3, error: 'why “so”', awaiting: null, leaseUntil: null },
      now: DUE + 1002,
      responseStatus: 503,
      responseBody: 'body \u0000 ä😀\r\n',
      attempt: {
        ...{ runId: task.runId, number: 1, dueAt: DUE + 1, startedAt: DUE + 1003, durationMs: 1004, deadline: DUE + 2 },
        ...{ status: 504, error: 'attempt', outcome: 'retrying', attemptsLeft: 7, node: 'node-9' },
      },
    }
    expect(await store.record([outcome])).toEqual([true])
    const expected: Task = {
      ...task,
      ...outcome.update,
      executedAt: DUE + 2007,
      responseStatus: 503,
      responseBody: 'body \u0000 ä😀\r\n',
      updated: DUE + 1002,
    }
    expect(await store.get(task)).toEqual(expected)
    expect(await store.history(task)).toEqual([outcome.attempt])
    const reopened = await reopen()
    expect(await reopened.get(task)).toEqual(expected)
    expect(await reopened.history(task)).toEqual([outcome.attempt])
  })

  test('keeps an accepted task running until its acknowledgement is late', async ({ store, reopen }) => {
    const task = await claimOne(store)
    const update: TaskUpdate = { ...task, state: 'running', awaiting: 'ack', leaseUntil: DUE + 999_001 }
    const times = { dueAt: DUE, startedAt: DUE + 3, durationMs: 4, deadline: DUE + 600_000 }
    const attempt: Attempt = {
      runId: task.runId,
      number: 1,
      ...times,
      status: 202,
      error: null,
      outcome: 'accepted',
      attemptsLeft: 1,
      node: NODE,
    }
    expect(await store.record([{ task, update: update, now: DUE + 9, responseStatus: 202, responseBody: 'later', attempt }])).toEqual([
      true,
    ])
    const accepted = { leaseUntil: DUE + 999_001, awaiting: 'ack', responseStatus: 202, responseBody: 'later', executedAt: DUE + 7 }
    const expected = { ...task, ...accepted, updated: DUE + 9 }
    expect(await mustGet(store, task)).toEqual(expected)
    expect(await claimAll(store, DUE + 9)).toEqual([])
    expect(await mustGet(await reopen(), task)).toEqual(expected)
  })

  for (const [state, status] of [
    ['successful', 200],
    ['retrying', 503],
    ['failed', 404],
  ] as const) {
    test(`moves a running task to ${state}`, async ({ store }) => {
      const task = await claimOne(store)
      expect(await finish(store, task, answered(status, DUE + 50, 'ok'), DUE + 50)).toBe(true)
      expect(await mustGet(store, task)).toMatchObject({
        state,
        responseStatus: status,
        responseBody: 'ok',
        executedAt: DUE + 45,
        leaseUntil: null,
      })
    })
  }

  test('gives the number of an attempt back that was never made, and keeps what was known before', async ({ store }) => {
    const { dueAt } = await anEntry(store, 'retrying')
    const before = await mustGet(store, aTask())
    const [task] = await claimAll(store, dueAt)
    expect(await finish(store, task as Task, NOT_CALLED, dueAt + 3)).toBe(true)
    expect(await mustGet(store, aTask())).toEqual({ ...before, claimedBy: NODE, updated: dueAt + 3 })
    expect(await store.history(aTask())).toHaveLength(1)
    expect(await claimAll(store, dueAt + 4)).toMatchObject([{ attempts: 2, runId: before.runId }])
  })

  test('hands a first attempt that was never made back to pending, due as it was', async ({ store }) => {
    const task = await claimOne(store)
    await finish(store, task, NOT_CALLED, DUE + 3)
    expect(await mustGet(store, task)).toMatchObject({ state: 'pending', attempts: 0, executedAt: null, dueAt: DUE })
    expect(await store.history(task)).toEqual([])
    expect(await claimAll(store, DUE + 3)).toMatchObject([{ attempts: 1 }])
  })

  test('hands back a task whose call could not be begun with the reason, and uses nothing up', async ({ store }) => {
    const task = await claimOne(store)
    await finish(store, task, { kind: 'not_called', reason: 'shortage', error: 'no descriptors' }, DUE + 3)
    expect(await mustGet(store, task)).toMatchObject({ state: 'pending', attempts: 0, dueAt: DUE, error: 'no descriptors' })
    expect(await store.history(task)).toEqual([])
  })

  test('ends a claimed task whose window closed before the call as skipped, with no attempt', async ({ store }) => {
    const task = await claimOne(store)
    await finish(store, task, { kind: 'not_called', reason: 'late' }, task.deadline)
    expect(await mustGet(store, task)).toMatchObject({
      state: 'skipped',
      attempts: 0,
      executedAt: null,
      error: expect.stringContaining('out of time') as string,
    })
    expect(await store.history(task)).toEqual([])
  })

  test('answers in the order of the outcomes, each for itself', async ({ store }) => {
    await store.put(
      ['a', 'b', 'c'].map((name) => aTask({ name })),
      { now: DUE },
    )
    const [a, b, c] = (await claimAll(store)).sort((one, other) => one.name.localeCompare(other.name)) as [Task, Task, Task]
    const outcomes = [c, { ...b, attempts: 2 }, a, c, { ...a, name: 'unknown' }, b].map((task) =>
      reportOf(task, answered(200, DUE), NODE, DUE + 1, 0),
    )
    expect(await store.record(outcomes)).toEqual([true, false, true, false, false, true])
    expect((await listAll(store)).map(({ state }) => state)).toEqual(['successful', 'successful', 'successful'])
    expect(await store.history(b)).toHaveLength(1)
    expect(await store.record([])).toEqual([])
  })

  test('writes the result of an attempt once', async ({ store }) => {
    const task = await claimOne(store)
    expect(await finish(store, task, answered(200, DUE + 50), DUE + 50)).toBe(true)
    await expectFenced(store, task)
  })

  test('changes nothing for a late result after a rescue', async ({ store }) => {
    const task = await claimOne(store)
    await store.rescue({ now: DUE + LEASE_MS, limit: 10 })
    await expectFenced(store, task)
  })

  test('changes nothing for a late result while the next attempt is under way', async ({ store }) => {
    const task = await claimOne(store)
    await store.rescue({ now: DUE + LEASE_MS, limit: 10 })
    const [next] = await claimAll(store, DUE + LEASE_MS)
    expect(next).toMatchObject({ attempts: 2, runId: task.runId })
    await expectFenced(store, task)
    expect(await finish(store, next as Task, answered(200, DUE + LEASE_MS), DUE + LEASE_MS)).toBe(true)
  })

  test('changes nothing for a late result of a run that a new task has replaced', async ({ store }) => {
    const task = await claimOne(store)
    await store.rescue({ now: DUE + LEASE_MS, limit: 10 })
    await store.put([aTask({ definition: { payload: 'new' } })], { now: DUE + LEASE_MS })
    await expectFenced(store, task)
    await store.claimDue(aClaim({ now: DUE + LEASE_MS }))
    await expectFenced(store, task)
  })

  test('changes nothing for a late result of a run that a person has started again', async ({ store }) => {
    const task = await claimOne(store, aTask({ definition: AT_MOST_ONCE }))
    await store.rescue({ now: DUE + LEASE_MS, limit: 10 })
    expect(await store.run(task, { now: DUE + LEASE_MS })).toMatchObject({ state: 'pending' })
    await expectFenced(store, task)
    expect(await claimAll(store, DUE + LEASE_MS)).toMatchObject([{ attempts: 1 }])
    await expectFenced(store, task)
  })

  test('changes nothing for a late result of an entry that is gone, or there again', async ({ store }) => {
    const task = await claimOne(store)
    await store.rescue({ now: DUE + LEASE_MS, limit: 10 })
    await store.remove({}, { now: DUE, limit: 10 })
    expect(await finish(store, task, answered(200, DUE), DUE + LEASE_MS)).toBe(false)
    await claimOne(store)
    await expectFenced(store, task)
  })

  test('tells the attempts of all runs, oldest first', async ({ store }) => {
    const { dueAt, runId } = await anEntry(store, 'retrying')
    const [second] = await claimAll(store, dueAt)
    await finish(store, second as Task, answered(404, dueAt + 100), dueAt + 100)
    await store.run(aTask(), { now: dueAt + 200 })
    const [again] = await claimAll(store, dueAt + 200)
    await finish(store, again as Task, answered(200, dueAt + 300), dueAt + 300)
    expect((again as Task).runId).not.toBe(runId)
    const { runId: newRunId, deadline: newDeadline } = again as Task
    const same = { durationMs: 15, node: NODE }
    const first = { runId, deadline: (second as Task).deadline, ...same }
    expect(await store.history(aTask())).toEqual([
      {
        ...first,
        number: 1,
        dueAt: DUE - 1,
        startedAt: DUE - 20,
        status: 500,
        error: 'answered 500, expected 200',
        outcome: 'retrying',
        attemptsLeft: 1,
      },
      {
        ...first,
        number: 2,
        dueAt,
        startedAt: dueAt + 80,
        status: 404,
        error: 'answered 404, expected 200',
        outcome: 'failed',
        attemptsLeft: 0,
      },
      {
        ...{ runId: newRunId, number: 1, dueAt: dueAt + 200, startedAt: dueAt + 280, deadline: newDeadline, ...same },
        ...{ status: 200, error: null, outcome: 'successful', attemptsLeft: 1 },
      },
    ])
  })

  test('tells the attempts of a run in their order also where the clock was set back between them', async ({ store }) => {
    const { dueAt } = await anEntry(store, 'retrying')
    const [second] = await claimAll(store, dueAt)
    await finish(store, second as Task, answered(404, dueAt - 3_600_000), dueAt - 3_600_000)
    expect((await store.history(aTask())).map(({ number }) => number)).toEqual([1, 2])
  })

  test('keeps the attempts of two entries of one name apart', async ({ store }) => {
    await seed(store, [{ state: 'successful' }, { state: 'failed', triggerAt: MINUTE + 60 }])
    expect(await store.history(aTask())).toMatchObject([{ status: 200 }])
    expect(await store.history(aTask({ triggerAt: MINUTE + 60 }))).toMatchObject([{ status: 404 }])
  })
})

/** A result of this claim is refused and leaves entry and history as they are. */
async function expectFenced(store: Store, task: Task): Promise<void> {
  const [before, attempts] = [await store.get(task), await store.history(task)]
  expect(await finish(store, task, answered(201, DUE + 99, 'late'), DUE + 99)).toBe(false)
  expect(await finish(store, task, NOT_CALLED, DUE + 99)).toBe(false)
  expect(await store.get(task)).toEqual(before)
  expect(await store.history(task)).toEqual(attempts)
}
