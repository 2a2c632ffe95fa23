import { describe, expect, test } from 'vitest'
import { lossOf, reportOf } from '../../src/domain/attempt/attempt-report.ts'
import type { CallResult } from '../../src/domain/attempt/verdict.ts'
import { MINUTE } from '../support/a-task.ts'
import { aRunningTask } from './running-task.ts'

const STARTED = MINUTE * 1000 + 1005
const ENDED = STARTED + 120
const NOW = ENDED + 7
const TIMES = { startedAt: STARTED, endedAt: ENDED }
const ENDED_LEASE = { awaiting: null, leaseUntil: null }
const { dueAt, deadline } = aRunningTask()
const attempt = { number: 1, dueAt, startedAt: STARTED, durationMs: 120, deadline, attemptsLeft: 1, node: 'node-2' }

describe('the report on a call', () => {
  test('that succeeded keeps status and body and holds no error', () => {
    const task = aRunningTask({ error: 'answered 500, expected 200' })
    expect(reportOf(task, { kind: 'answered', ...TIMES, status: 200, body: 'done' }, 'node-2', NOW, 0)).toEqual({
      task,
      update: { state: 'successful', dueAt: task.dueAt, attempts: 1, lost: 0, error: null, ...ENDED_LEASE },
      now: NOW,
      responseStatus: 200,
      responseBody: 'done',
      attempt: { ...attempt, runId: task.runId, status: 200, error: null, outcome: 'successful' },
    })
  })

  test('that is tried again holds when, and why', () => {
    const task = aRunningTask()
    const result: CallResult = { kind: 'answered', ...TIMES, status: 503, body: 'busy', retryAfter: '9' }
    expect(reportOf(task, result, 'node-2', NOW, 0)).toEqual({
      task,
      update: { state: 'retrying', dueAt: NOW + 9000, attempts: 1, lost: 0, error: 'answered 503, expected 200', ...ENDED_LEASE },
      now: NOW,
      responseStatus: 503,
      responseBody: 'busy',
      attempt: { ...attempt, runId: task.runId, status: 503, error: 'answered 503, expected 200', outcome: 'retrying' },
    })
  })

  test('without an answer holds the error and no status', () => {
    const task = aRunningTask({ attempts: 2, responseStatus: 500, responseBody: 'of the attempt before' })
    expect(reportOf(task, { kind: 'unanswered', ...TIMES, error: 'reset' }, 'node-2', NOW, 0)).toEqual({
      task,
      update: { state: 'failed', dueAt: task.dueAt, attempts: 2, lost: 0, error: 'reset', ...ENDED_LEASE },
      now: NOW,
      responseStatus: null,
      responseBody: null,
      attempt: { ...attempt, number: 2, runId: task.runId, status: null, error: 'reset', outcome: 'failed', attemptsLeft: 0 },
    })
  })

  test('with an expected status whose answer broke off is a success, and its attempt says what was wrong', () => {
    const task = aRunningTask()
    expect(reportOf(task, { kind: 'answered', ...TIMES, status: 200, body: 'do', error: 'cut short' }, 'node-2', NOW, 0)).toMatchObject({
      update: { state: 'successful', error: null },
      responseStatus: 200,
      attempt: { status: 200, error: 'cut short', outcome: 'successful' },
    })
  })

  test('that was never made is no attempt, and gives its number back', () => {
    const before = { attempts: 2, responseStatus: 500, responseBody: 'busy', error: 'answered 500, expected 200' }
    const task = aRunningTask(before)
    expect(reportOf(task, { kind: 'not_called', reason: 'stopping' }, 'node-2', NOW, 0)).toEqual({
      task,
      update: { state: 'retrying', dueAt: task.dueAt, attempts: 1, lost: 0, error: before.error, ...ENDED_LEASE },
      now: NOW,
      responseStatus: 500,
      responseBody: 'busy',
    })
    expect(reportOf(aRunningTask(), { kind: 'not_called', reason: 'stopping' }, 'node-2', NOW, 0).update.state).toBe('pending')
    expect(reportOf(task, { kind: 'not_called', reason: 'late' }, 'node-2', NOW, 0).update).toMatchObject({
      state: 'failed',
      attempts: 1,
    })
    expect(reportOf(aRunningTask(), { kind: 'not_called', reason: 'late' }, 'node-2', NOW, 0).update).toMatchObject({
      state: 'skipped',
      attempts: 0,
    })
  })

  test('never has a negative duration, though the clock went back', () => {
    const result: CallResult = { kind: 'unanswered', startedAt: STARTED, endedAt: STARTED - 3_600_000, error: 'reset' }
    expect(reportOf(aRunningTask(), result, 'node-2', NOW, 0).attempt?.durationMs).toBe(0)
  })
})

describe('the report on an accepted call', () => {
  test('awaits its acknowledgement for ack_timeout minutes from then on, and keeps the answer as an attempt without an error', () => {
    const task = aRunningTask({ definition: { ack_timeout: 30, expected_http_status: 202 } })
    expect(reportOf(task, { kind: 'answered', ...TIMES, status: 202, body: 'ticket 7' }, 'node-2', NOW, 0)).toEqual({
      task,
      update: { state: 'running', dueAt: task.dueAt, attempts: 1, lost: 0, error: null, awaiting: 'ack', leaseUntil: NOW + 1_800_000 },
      now: NOW,
      responseStatus: 202,
      responseBody: 'ticket 7',
      attempt: { ...attempt, runId: task.runId, status: 202, error: null, outcome: 'accepted' },
    })
  })
})

describe('the report on an acknowledgement', () => {
  const accepted = { awaiting: 'ack', responseStatus: 202, responseBody: 'ticket 7', definition: { ack_timeout: 30 } } as const

  test.each([
    [null, 'ticket 7'],
    ['42 rows', '42 rows'],
  ])('that says successful keeps the status of the answer, and with the detail %j the body %j', (detail, body) => {
    const task = aRunningTask(accepted)
    expect(reportOf(task, { kind: 'acknowledged', ...TIMES, success: true, retryable: true, detail }, 'node-2', NOW, 0)).toEqual({
      task,
      update: { state: 'successful', dueAt: task.dueAt, attempts: 1, lost: 0, error: null, ...ENDED_LEASE },
      now: NOW,
      responseStatus: 202,
      responseBody: body,
      attempt: { ...attempt, runId: task.runId, deadline: null, status: 202, error: null, outcome: 'successful' },
    })
  })

  test('that says failed is tried again, with what it says as the reason', () => {
    const task = aRunningTask(accepted)
    const error = 'acknowledged as failed: no space'
    const report = reportOf(task, { kind: 'acknowledged', ...TIMES, success: false, retryable: true, detail: 'no space' }, 'node-2', NOW, 0)
    expect(report).toMatchObject({
      update: { state: 'retrying', dueAt: NOW + 500, error, ...ENDED_LEASE },
      attempt: { status: 202, error, outcome: 'retrying' },
    })
  })
})

describe('the report on a task whose node is gone', () => {
  test('is an attempt of that node, from the claim until now, and uses up no retry', () => {
    const task = aRunningTask({ definition: { retry: 0 } })
    const now = task.updated + 60_000
    const error = 'the node was lost while the call was under way; it is not known whether it was made'
    expect(lossOf(task, now)).toEqual({
      task,
      update: { state: 'retrying', dueAt: now, attempts: 1, lost: 1, error, ...ENDED_LEASE },
      now,
      responseStatus: null,
      responseBody: null,
      attempt: {
        ...{ runId: task.runId, number: 1, dueAt, startedAt: task.updated, durationMs: 60_000, deadline: null },
        ...{ status: null, error, outcome: 'lost', attemptsLeft: 1, node: 'node-1' },
      },
    })
  })

  test('is a failure with at_most_once', () => {
    const task = aRunningTask({ definition: { delivery: 'at_most_once' } })
    expect(lossOf(task, NOW)).toMatchObject({
      update: { state: 'failed', dueAt: task.dueAt, error: expect.stringContaining('at_most_once') as string },
      attempt: { outcome: 'failed', attemptsLeft: 0 },
    })
  })

  test('counts as a failed attempt, not as a lost one, where an accepted call was not acknowledged in time', () => {
    const task = aRunningTask({ awaiting: 'ack', responseStatus: 202, responseBody: 'ticket 7', definition: { ack_timeout: 30 } })
    const error = 'accepted, but not acknowledged within 30 min'
    expect(lossOf(task, NOW)).toMatchObject({
      update: { state: 'retrying', dueAt: NOW + 500, attempts: 1, lost: 0, error, ...ENDED_LEASE },
      responseStatus: 202,
      responseBody: 'ticket 7',
      attempt: { number: 1, status: 202, error, outcome: 'retrying', node: 'node-1' },
    })
    const last = aRunningTask({ awaiting: 'ack', definition: { ack_timeout: 30, retry: 0 } })
    expect(lossOf(last, NOW).update).toMatchObject({ state: 'failed', lost: 0, error })
  })

  test('is a lost attempt where a worker that pulled it let its lease run out', () => {
    const task = aRunningTask({ awaiting: 'worker', claimedBy: 'worker of node-1', definition: { retry: 0 } })
    const error = 'the worker that pulled it did not acknowledge it before its lease was over'
    expect(lossOf(task, NOW)).toMatchObject({
      update: { state: 'retrying', dueAt: NOW, attempts: 1, lost: 1, error, ...ENDED_LEASE },
      attempt: { status: null, error, outcome: 'lost', node: 'worker of node-1' },
    })
  })
})
