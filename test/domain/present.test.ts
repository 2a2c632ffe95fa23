import { describe, expect, test } from 'vitest'
import { presentTask } from '../../src/wire/present-task.ts'
import { TASK_STATES } from '../../src/domain/task/task.ts'
import type { Attempt } from '../../src/domain/task/attempt.ts'
import type { TaskDefinition } from '../../src/domain/task/task.ts'
import { MINUTE } from '../support/a-task.ts'
import { expectTask } from '../support/wire.ts'
import { aRunningTask } from './running-task.ts'

const MINUTE_MS = MINUTE * 1000
const SERVER = { timeout: 15, expectedStatus: 200 }

describe('a task on the wire', () => {
  test('says of what was not asked for that it is not there, and shows every default', () => {
    const task = aRunningTask({ state: 'pending', attempts: 0, updated: MINUTE_MS - 3_600_000, claimedBy: null, leaseUntil: null })
    expect(expectTask(presentTask(task, SERVER))).toEqual({
      task_name: 'a-task',
      key: `a-task@${MINUTE}`,
      trigger_at: String(MINUTE),
      trigger_time: '2027-01-15T08:00:00.000Z',
      local_time: null,
      task_state: 'pending',
      callback: 'http://receiver.test/run',
      callback_method: 'GET',
      payload: '',
      headers: {},
      expected_http_status: 200,
      retry: 1,
      max_delay: 10,
      timeout: 15,
      error_callback: null,
      error_payload: null,
      delivery: 'at_least_once',
      ack_timeout: null,
      repeat: null,
      timezone: 'UTC',
      spread: 0,
      run_id: task.runId,
      attempts: 0,
      lost: 0,
      next_attempt: '2027-01-15T08:00:00.000Z',
      executed_at: null,
      response_status: null,
      response_body: null,
      error: null,
      created: '2027-01-15T07:00:00.000Z',
      updated: '2027-01-15T07:00:00.000Z',
      rescheduled_to: null,
      rescheduled_from: null,
      repeated_to: null,
      error_callback_result: null,
    })
  })

  test('shows what it was given', () => {
    const definition = {
      callback: 'http://receiver.test/other',
      error_callback: 'http://alarm.test/',
      ack_timeout: 30,
      repeat: '0 9 * * 1-5',
      timezone: 'Europe/Berlin',
      spread: 59,
      delivery: 'at_most_once',
      timeout: 1800,
      retry: 0,
    } satisfies TaskDefinition
    expect(presentTask(aRunningTask({ definition }), SERVER)).toMatchObject(definition)
  })

  test('has no callback where there is nothing to call', () => {
    const task = aRunningTask()
    expect(presentTask({ ...task, definition: {} }, SERVER).callback).toBeNull()
  })

  test('holds the keys of the tasks that it is bound to', () => {
    const task = aRunningTask({ rescheduledTo: MINUTE + 60, rescheduledFrom: MINUTE - 60, repeatedTo: MINUTE + 3600 })
    expect(presentTask(task, SERVER)).toMatchObject({
      rescheduled_to: `a-task@${MINUTE + 60}`,
      rescheduled_from: `a-task@${MINUTE - 60}`,
      repeated_to: `a-task@${MINUTE + 3600}`,
    })
  })

  test('tells how many of its attempts were lost', () => {
    expect(presentTask(aRunningTask({ attempts: 4, lost: 3 }), SERVER)).toMatchObject({ attempts: 4, lost: 3 })
  })

  test('tells what came of its error callback', () => {
    const outcome = { state: 'retrying', attempts: 2, executedAt: MINUTE_MS + 1999, responseStatus: 503, error: 'answered 503' } as const
    expect(presentTask(aRunningTask({ errorCallback: outcome }), SERVER).error_callback_result).toEqual({
      state: 'retrying',
      attempts: 2,
      executed_at: String(MINUTE + 1),
      response_status: 503,
      error: 'answered 503',
    })
    const waiting = { state: 'pending', attempts: 0, executedAt: null, responseStatus: null, error: null } as const
    expect(presentTask(aRunningTask({ errorCallback: waiting }), SERVER).error_callback_result).toEqual({
      state: 'pending',
      attempts: 0,
      executed_at: null,
      response_status: null,
      error: null,
    })
  })

  test.each(TASK_STATES)('that is %s has a next attempt if it waits for one', (state) => {
    const next = presentTask(aRunningTask({ state, dueAt: MINUTE_MS + 1500 }), SERVER).next_attempt
    expect(next).toBe(state === 'pending' || state === 'retrying' ? '2027-01-15T08:00:01.500Z' : null)
  })

  test.each([
    ['Authorization', true],
    ['X-Api-Key', true],
    ['Content-Type', false],
  ])('shows the header %s redacted: %s', (name, isRedacted) => {
    const { headers } = presentTask(aRunningTask({ definition: { headers: { [name]: 'value' } } }), SERVER)
    expect(headers).toEqual({ [name]: isRedacted ? 'redacted' : 'value' })
  })

  test('holds its attempts where they are asked for', () => {
    const task = aRunningTask()
    const times = { startedAt: MINUTE_MS + 5, durationMs: 7, deadline: MINUTE_MS + 600_000 }
    const attempt: Attempt = {
      runId: 'r',
      number: 1,
      dueAt: MINUTE_MS + 2,
      ...times,
      status: 503,
      error: 'answered 503',
      outcome: 'retrying',
      attemptsLeft: 1,
      node: 'n',
    }
    const history = [attempt, { ...attempt, dueAt: null, deadline: null, outcome: null }]
    const shown = {
      run_id: 'r',
      number: 1,
      start: '2027-01-15T08:00:00.005Z',
      duration_ms: 7,
      status: 503,
      error: 'answered 503',
      node: 'n',
    }
    expect(presentTask(task, SERVER)).not.toHaveProperty('history')
    expect(presentTask(task, SERVER, history).history).toEqual([
      { ...shown, due: '2027-01-15T08:00:00.002Z', lateness_ms: 3, outcome: 'retrying' },
      { ...shown, due: null, lateness_ms: null, outcome: null },
    ])
  })
})
