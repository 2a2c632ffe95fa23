import { describe, expect, test } from 'vitest'
import { lossOf, outcomeOf } from '../../src/domain/outcome.ts'
import type { CallResult } from '../../src/domain/verdict.ts'
import { MINUTE } from '../support/a-task.ts'
import { aRunningTask } from './running-task.ts'

const STARTED = MINUTE * 1000 + 1005
const ENDED = STARTED + 120
const NOW = ENDED + 7
const TIMES = { startedAt: STARTED, endedAt: ENDED }
const attempt = { number: 1, startedAt: STARTED, durationMs: 120, node: 'node-2' }

describe('the outcome of a call', () => {
  test('that succeeded keeps status and body and holds no error', () => {
    const task = aRunningTask({ error: 'answered 500, expected 200' })
    expect(outcomeOf(task, { kind: 'answered', ...TIMES, status: 200, body: 'done' }, 'node-2', NOW, 0)).toEqual({
      task,
      settlement: { state: 'successful', dueAt: task.dueAt, attempts: 1, lost: 0, error: null },
      now: NOW,
      responseStatus: 200,
      responseBody: 'done',
      attempt: { ...attempt, runId: task.runId, status: 200, error: null },
    })
  })

  test('that is tried again holds when, and why', () => {
    const task = aRunningTask()
    const result: CallResult = { kind: 'answered', ...TIMES, status: 503, body: 'busy', retryAfter: '9' }
    expect(outcomeOf(task, result, 'node-2', NOW, 0)).toEqual({
      task,
      settlement: { state: 'retrying', dueAt: NOW + 9000, attempts: 1, lost: 0, error: 'answered 503, expected 200' },
      now: NOW,
      responseStatus: 503,
      responseBody: 'busy',
      attempt: { ...attempt, runId: task.runId, status: 503, error: 'answered 503, expected 200' },
    })
  })

  test.each([
    [undefined, null],
    [200, 200],
  ])('without a whole answer holds the error, and the status %s where there was one', (status, stored) => {
    const task = aRunningTask({ attempts: 2, responseStatus: 500, responseBody: 'of the attempt before' })
    const result: CallResult = { kind: 'unanswered', ...TIMES, error: 'reset', ...(status !== undefined && { status }) }
    expect(outcomeOf(task, result, 'node-2', NOW, 0)).toEqual({
      task,
      settlement: { state: 'failed', dueAt: task.dueAt, attempts: 2, lost: 0, error: 'reset' },
      now: NOW,
      responseStatus: stored,
      responseBody: null,
      attempt: { ...attempt, number: 2, runId: task.runId, status: stored, error: 'reset' },
    })
  })

  test('that was never made is no attempt, and gives its number back', () => {
    const before = { attempts: 2, responseStatus: 500, responseBody: 'busy', error: 'answered 500, expected 200' }
    const task = aRunningTask(before)
    expect(outcomeOf(task, { kind: 'not_called', reason: 'stopping' }, 'node-2', NOW, 0)).toEqual({
      task,
      settlement: { state: 'retrying', dueAt: task.dueAt, attempts: 1, lost: 0, error: before.error },
      now: NOW,
      responseStatus: 500,
      responseBody: 'busy',
    })
    expect(outcomeOf(aRunningTask(), { kind: 'not_called', reason: 'stopping' }, 'node-2', NOW, 0).settlement.state).toBe('pending')
    expect(outcomeOf(task, { kind: 'not_called', reason: 'late' }, 'node-2', NOW, 0).settlement).toMatchObject({
      state: 'failed',
      attempts: 1,
    })
    expect(outcomeOf(aRunningTask(), { kind: 'not_called', reason: 'late' }, 'node-2', NOW, 0).settlement).toMatchObject({
      state: 'skipped',
      attempts: 0,
    })
  })

  test('never has a negative duration, though the clock went back', () => {
    const result: CallResult = { kind: 'unanswered', startedAt: STARTED, endedAt: STARTED - 3_600_000, error: 'reset' }
    expect(outcomeOf(aRunningTask(), result, 'node-2', NOW, 0).attempt?.durationMs).toBe(0)
  })
})

describe('the outcome of a task whose node is gone', () => {
  test('is an attempt of that node, from the claim until now, and uses up no retry', () => {
    const task = aRunningTask({ definition: { retry: 0 } })
    const now = task.updated + 60_000
    const error = 'the node was lost while the call was under way; it is not known whether it was made'
    expect(lossOf(task, now)).toEqual({
      task,
      settlement: { state: 'retrying', dueAt: now, attempts: 1, lost: 1, error },
      now,
      responseStatus: null,
      responseBody: null,
      attempt: { runId: task.runId, number: 1, startedAt: task.updated, durationMs: 60_000, status: null, error, node: 'node-1' },
    })
  })

  test('is a failure with at_most_once', () => {
    const task = aRunningTask({ definition: { delivery: 'at_most_once' } })
    expect(lossOf(task, NOW).settlement).toMatchObject({
      state: 'failed',
      dueAt: task.dueAt,
      error: expect.stringContaining('at_most_once') as string,
    })
  })
})
