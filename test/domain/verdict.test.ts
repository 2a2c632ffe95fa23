import fc from '../support/fast-check.ts'
import { describe, expect, test } from 'vitest'
import { maxAttempts } from '../../src/domain/task/task.ts'
import type { TaskDefinition } from '../../src/domain/task/task.ts'
import { expiry, judge } from '../../src/domain/attempt/verdict.ts'
import type { CallResult, Verdict } from '../../src/domain/attempt/verdict.ts'
import { MINUTE } from '../support/a-task.ts'
import { aRunningTask } from './running-task.ts'

const STARTED = MINUTE * 1000 + 1000
const NOW = STARTED + 250
const WINDOW_END = MINUTE * 1000 + 600_000
const NO_JITTER = 0

function answered(status: number, retryAfter?: string): CallResult {
  return { kind: 'answered', startedAt: STARTED, endedAt: NOW, status, body: '', ...(retryAfter !== undefined && { retryAfter }) }
}

const REFUSED: CallResult = { kind: 'unanswered', startedAt: STARTED, endedAt: NOW, error: 'connect ECONNREFUSED' }
const LOST: CallResult = { kind: 'lost', startedAt: STARTED, endedAt: NOW, error: 'the worker died' }

function eventOf(status: number, expected: TaskDefinition['expected_http_status']): Verdict['event'] {
  return judge(
    aRunningTask({ definition: expected === undefined ? {} : { expected_http_status: expected } }),
    answered(status),
    NOW,
    NO_JITTER,
  ).event
}

describe('an answer', () => {
  test('with the expected status is a success, whatever its class', () => {
    for (let status = 100; status < 600; status += 1) expect(eventOf(status, status), String(status)).toBe('succeeded')
  })

  test('with another status is tried again, but for another 2xx and for a 4xx that is no passing condition', () => {
    for (let status = 100; status < 600; status += 1) {
      if (status === 200) continue
      const isPermanent = status < 300 ? status >= 200 : status >= 400 && status < 500 && ![408, 425, 429].includes(status)
      expect(eventOf(status, undefined), String(status)).toBe(isPermanent ? 'gave_up' : 'retry')
    }
  })

  test.each<[TaskDefinition['expected_http_status'], number[], number[]]>([
    [undefined, [200], [201, 204, 301, 500]],
    [204, [204], [200, 500]],
    ['2xx', [200, 204, 299], [199, 300, 500]],
    ['1xx', [100, 199], [200]],
    ['5xx', [500, 599], [200, 499]],
    [
      [200, 202],
      [200, 202],
      [201, 204],
    ],
    [
      ['2xx', 404],
      [200, 299, 404],
      [403, 301],
    ],
    [
      [404, '3xx'],
      [301, 399, 404],
      [200, 500],
    ],
    [['4xx'], [400, 408, 429, 499], [200, 500]],
  ])('is measured against expected_http_status %j', (expected, good, bad) => {
    for (const status of good) expect(eventOf(status, expected), String(status)).toBe('succeeded')
    for (const status of bad) expect(eventOf(status, expected), String(status)).not.toBe('succeeded')
  })

  test('that is not expected is named with what was expected', () => {
    const task = aRunningTask({ definition: { expected_http_status: ['2xx', 404] } })
    expect(judge(task, answered(410), NOW, NO_JITTER)).toEqual({ event: 'gave_up', reason: 'answered 410, expected 2xx or 404' })
    expect(judge(task, answered(503), NOW, NO_JITTER)).toMatchObject({ event: 'retry', reason: 'answered 503, expected 2xx or 404' })
  })

  test('that is another success than the expected one is no reason for a second call, and the sentence says what would take it', () => {
    const reason = 'answered 204, expected 200; "expected_http_status":"2xx" would take it'
    expect(judge(aRunningTask(), answered(204, '1'), NOW, NO_JITTER)).toEqual({ event: 'gave_up', reason })
  })
})

describe('a retry', () => {
  test.each<[string, CallResult]>([
    ['a 500', answered(500)],
    ['no answer', REFUSED],
    ['a 500 that broke off', { ...answered(500), error: 'cut short' } as CallResult],
  ])('after %s waits for the backoff of its number', (_, result) => {
    expect(judge(aRunningTask(), result, NOW, NO_JITTER)).toMatchObject({ event: 'retry', at: NOW + 500 })
    const third = aRunningTask({ attempts: 3, definition: { retry: 5 } })
    expect(judge(third, result, NOW, 0.5)).toMatchObject({ event: 'retry', at: NOW + 3000 })
  })

  test('counts the backoff without the attempts that were lost', () => {
    expect(judge(aRunningTask({ attempts: 4, lost: 3 }), answered(500), NOW, NO_JITTER)).toMatchObject({ event: 'retry', at: NOW + 500 })
  })

  test('is judged by a status that came, whatever was wrong after it', () => {
    const cut = (status: number): CallResult => ({
      kind: 'answered',
      startedAt: STARTED,
      endedAt: NOW,
      status,
      body: '',
      error: 'cut short',
    })
    expect(judge(aRunningTask(), cut(200), NOW, NO_JITTER)).toEqual({ event: 'succeeded' })
    expect(judge(aRunningTask(), cut(404), NOW, NO_JITTER)).toEqual({ event: 'gave_up', reason: 'answered 404, expected 200; cut short' })
  })

  test.each([
    ['0', 950],
    ['7', 7000],
    ['-5', 950],
    ['9'.repeat(300), 3_600_000],
    ['Fri, 15 Jan 2027 08:01:01 GMT', 61_000 - 1250],
    ['Fri, 15 Jan 2027 07:00:00 GMT', 950],
    ['Fri, 15 Jan 2038 07:00:00 GMT', 3_600_000],
  ])('waits as long as Retry-After: %s asks, never less than its own backoff and never more than an hour', (header, ms) => {
    for (const status of [503, 429, 302]) {
      expect(judge(aRunningTask({ deadline: Infinity }), answered(status, header), NOW, 0.9)).toMatchObject({
        event: 'retry',
        at: NOW + ms,
      })
    }
  })

  test('falls back to the backoff where Retry-After is garbage', () => {
    expect(judge(aRunningTask(), answered(503, 'soon 5'), NOW, NO_JITTER)).toMatchObject({ event: 'retry', at: NOW + 500 })
  })

  test('is not made after a permanent refusal, whatever its Retry-After says', () => {
    expect(judge(aRunningTask(), answered(403, '1'), NOW, NO_JITTER).event).toBe('gave_up')
  })

  test.each([
    [0, 1],
    [1, 2],
    [5, 6],
    [100, 101],
  ])('is made while attempts are left: with retry %d the attempt %d is the last', (retry, last) => {
    const definition = { retry }
    expect(judge(aRunningTask({ attempts: last, definition }), answered(500), NOW, NO_JITTER)).toEqual({
      event: 'gave_up',
      reason: 'answered 500, expected 200',
    })
    if (last > 1) expect(judge(aRunningTask({ attempts: last - 1, definition }), answered(500), NOW, NO_JITTER).event).toBe('retry')
  })

  test('that was lost leaves the number of retries as it was', () => {
    const definition = { retry: 1 }
    expect(judge(aRunningTask({ attempts: 4, lost: 3, definition }), REFUSED, NOW, NO_JITTER).event).toBe('retry')
    expect(judge(aRunningTask({ attempts: 5, lost: 3, definition }), REFUSED, NOW, NO_JITTER).event).toBe('gave_up')
    expect(maxAttempts(aRunningTask({ lost: 3, definition }))).toBe(5)
  })

  test('is one by default and none for at_most_once', () => {
    expect(maxAttempts(aRunningTask())).toBe(2)
    expect(maxAttempts(aRunningTask({ definition: { delivery: 'at_most_once' } }))).toBe(1)
  })
})

describe('the window', () => {
  test('lets a retry be due until its last millisecond, and none at its end', () => {
    const now = WINDOW_END - 500
    expect(judge(aRunningTask(), answered(500), now - 1, NO_JITTER)).toMatchObject({ event: 'retry', at: WINDOW_END - 1 })
    expect(judge(aRunningTask(), answered(500), now, NO_JITTER)).toEqual({
      event: 'gave_up',
      reason: 'answered 500, expected 200; no retry: it would be due at or after 2027-01-15T08:10:00.000Z, when the window closes',
    })
  })

  test('ends the task where Retry-After points to its end or beyond', () => {
    expect(judge(aRunningTask(), answered(503, '599'), WINDOW_END - 599_001, NO_JITTER).event).toBe('retry')
    expect(judge(aRunningTask(), answered(503, '599'), WINDOW_END - 599_000, NO_JITTER).event).toBe('gave_up')
    expect(judge(aRunningTask(), answered(429, '9'.repeat(300)), NOW, NO_JITTER).event).toBe('gave_up')
  })

  test('does not turn a late success into a failure', () => {
    expect(judge(aRunningTask(), answered(200), WINDOW_END + 1, NO_JITTER)).toEqual({ event: 'succeeded' })
  })

  test('that has closed before the call is told with the reason and what was wrong before', () => {
    const late: CallResult = { kind: 'not_called', reason: 'late' }
    const closed = 'out of time: no call may start at or after 2027-01-15T08:10:00.000Z'
    expect(judge(aRunningTask(), late, WINDOW_END, NO_JITTER)).toEqual({ event: 'expired', reason: closed })
    expect(expiry({ deadline: WINDOW_END, error: 'answered 500, expected 200' })).toEqual({
      event: 'expired',
      reason: `${closed}; before that: answered 500, expected 200`,
    })
  })
})

test('a retry is due after now and before the end of the window, whatever the receiver does', () => {
  const results = fc.oneof(
    fc
      .tuple(fc.integer({ min: 100, max: 599 }), fc.option(fc.oneof(fc.nat().map(String), fc.string())))
      .map(([status, header]) => answered(status, header ?? undefined)),
    fc.constant(REFUSED),
  )
  const nows = fc.integer({ min: NOW, max: WINDOW_END + 60_000 })
  const attempts = fc.integer({ min: 1, max: 12 })
  fc.assert(
    fc.property(results, nows, attempts, fc.double({ min: 0, max: 0.999, noNaN: true }), (result, now, attempt, random) => {
      const verdict = judge(aRunningTask({ attempts: attempt, definition: { retry: 9 } }), result, now, random)
      if (verdict.event !== 'retry') return
      expect(attempt).toBeLessThan(10)
      expect(verdict.at).toBeGreaterThanOrEqual(now)
      expect(verdict.at).toBeLessThan(WINDOW_END)
    }),
  )
})

describe('a lost call', () => {
  test('is made again where a second call does no harm', () => {
    expect(judge(aRunningTask(), LOST, NOW, NO_JITTER)).toEqual({ event: 'lost', reason: 'the worker died' })
    expect(judge(aRunningTask({ definition: { retry: 0 } }), LOST, NOW, NO_JITTER).event).toBe('lost')
  })

  test('is never made again with at_most_once', () => {
    expect(judge(aRunningTask({ definition: { delivery: 'at_most_once' } }), LOST, NOW, NO_JITTER)).toEqual({
      event: 'gave_up',
      reason: 'the worker died; delivery is at_most_once, so it is not called again',
    })
  })

  test('fails the task the fifth time in one run', () => {
    expect(judge(aRunningTask({ attempts: 4, lost: 3 }), LOST, NOW, NO_JITTER).event).toBe('lost')
    expect(judge(aRunningTask({ attempts: 5, lost: 4 }), LOST, NOW, NO_JITTER)).toEqual({
      event: 'gave_up',
      reason: 'the worker died; given up because this run was lost 5 times',
    })
  })
})

test.each(['stopping', 'early', 'lease_over'] as const)('a call that was not begun (%s) is released', (reason) => {
  expect(judge(aRunningTask(), { kind: 'not_called', reason }, NOW, NO_JITTER)).toEqual({ event: 'released' })
})

test('a call that the node could not begin for want of a resource is released with the reason, and its window may close then', () => {
  const verdict = judge(aRunningTask(), { kind: 'not_called', reason: 'shortage', error: 'no descriptors' }, NOW, NO_JITTER)
  expect(verdict).toEqual({ event: 'released', reason: 'no descriptors' })
  const reason = expect.stringMatching(/^out of time: .*; before that: no descriptors$/) as string
  expect(expiry(aRunningTask({ error: 'no descriptors' }))).toEqual({ event: 'expired', reason })
})

test('a task that has nothing to call is uncallable, with the reason and no retry', () => {
  expect(judge(aRunningTask({ name: 'orphan' }), { kind: 'not_called', reason: 'no_callback' }, NOW, NO_JITTER)).toEqual({
    event: 'uncallable',
    reason: 'the task has no callback of its own, and the name "orphan" has no handler with one any more',
  })
})
