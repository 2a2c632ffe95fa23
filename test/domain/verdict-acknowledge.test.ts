/** What is made of an accepted call, and of what is said about it later. */
import { describe, expect, test } from 'vitest'
import { judge } from '../../src/domain/attempt/verdict.ts'
import type { CallResult } from '../../src/domain/attempt/verdict.ts'
import { MINUTE } from '../support/a-task.ts'
import { aRunningTask } from './running-task.ts'

const STARTED = MINUTE * 1000 + 1000
const NOW = STARTED + 250
const WINDOW_END = MINUTE * 1000 + 600_000
const NO_JITTER = 0
const ACKNOWLEDGED = { kind: 'acknowledged', startedAt: STARTED, endedAt: NOW, success: false, retryable: true, detail: null } as const

function answered(status: number): CallResult {
  return { kind: 'answered', startedAt: STARTED, endedAt: NOW, status, body: '' }
}

describe('a call of a task with ack_timeout', () => {
  const definition = { ack_timeout: 30, expected_http_status: '2xx', retry: 2 }

  test('is accepted, not successful, by the expected status, and awaited from then on', () => {
    for (const status of [200, 202, 299]) {
      const verdict = judge(aRunningTask({ definition }), answered(status), NOW, NO_JITTER)
      expect(verdict).toEqual({ event: 'accepted', until: NOW + 30 * 60_000 })
    }
  })

  test('is accepted also where its acknowledgement is due after the window: no call starts then', () => {
    expect(judge(aRunningTask({ definition }), answered(200), WINDOW_END - 1, NO_JITTER)).toMatchObject({ event: 'accepted' })
  })

  test('is judged as any other by every other status', () => {
    const { ack_timeout: _, ...plain } = definition
    for (let status = 100; status < 600; status += 1) {
      if (status >= 200 && status < 300) continue
      expect(judge(aRunningTask({ definition }), answered(status), NOW, NO_JITTER).event).toBe(
        judge(aRunningTask({ definition: plain }), answered(status), NOW, NO_JITTER).event,
      )
    }
  })

  test('that nobody acknowledges in time is a failed attempt: tried again while attempts and window are left', () => {
    const silent: CallResult = { kind: 'silent', startedAt: STARTED, endedAt: NOW, error: 'accepted, but not acknowledged' }
    const reason = 'accepted, but not acknowledged'
    expect(judge(aRunningTask({ definition }), silent, NOW, NO_JITTER)).toEqual({ event: 'retry', at: NOW + 500, reason })
    expect(judge(aRunningTask({ definition, attempts: 3 }), silent, NOW, NO_JITTER)).toEqual({ event: 'gave_up', reason })
    expect(judge(aRunningTask({ definition }), silent, WINDOW_END, NO_JITTER)).toMatchObject({
      event: 'gave_up',
      reason: expect.stringContaining(`${reason}; no retry`) as string,
    })
    const once = { ack_timeout: 30, delivery: 'at_most_once' } as const
    expect(judge(aRunningTask({ definition: once }), silent, NOW, NO_JITTER)).toEqual({ event: 'gave_up', reason })
  })
})

describe('an acknowledgement', () => {
  test('of success ends the task, whenever it comes', () => {
    expect(judge(aRunningTask(), { ...ACKNOWLEDGED, success: true }, WINDOW_END + 1, NO_JITTER)).toEqual({ event: 'succeeded' })
  })

  test('of failure is tried again after the backoff, unless it says that this is of no use', () => {
    expect(judge(aRunningTask(), ACKNOWLEDGED, NOW, NO_JITTER)).toEqual({ event: 'retry', at: NOW + 500, reason: 'acknowledged as failed' })
    expect(judge(aRunningTask(), { ...ACKNOWLEDGED, retryable: false }, NOW, NO_JITTER)).toEqual({
      event: 'gave_up',
      reason: 'acknowledged as failed',
    })
  })

  test('of failure uses up an attempt and needs time to be left', () => {
    expect(judge(aRunningTask({ attempts: 2 }), ACKNOWLEDGED, NOW, NO_JITTER).event).toBe('gave_up')
    expect(judge(aRunningTask({ attempts: 2, lost: 1 }), ACKNOWLEDGED, NOW, NO_JITTER).event).toBe('retry')
    expect(judge(aRunningTask(), ACKNOWLEDGED, WINDOW_END - 500, NO_JITTER).event).toBe('gave_up')
  })

  test('gives its detail as the reason', () => {
    const told = { ...ACKNOWLEDGED, detail: 'no space left' }
    expect(judge(aRunningTask(), told, NOW, NO_JITTER)).toMatchObject({ reason: 'acknowledged as failed: no space left' })
  })
})
