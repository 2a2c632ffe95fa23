/** What the result of one call means for its task. */
import { backoffMs, retryAfterMs } from './backoff.ts'
import { maxAttempts, withDefaults } from './task.ts'
import type { EffectiveDefinition, Task } from './task.ts'

/** The plain outcome of one HTTP call. Times are epoch ms. */
export type CallResult =
  | {
      readonly kind: 'answered'
      readonly startedAt: number
      readonly endedAt: number
      readonly status: number
      /** the first bytes of the body as text */
      readonly body: string
      readonly retryAfter?: string
    }
  /** no complete answer: refused, reset, timed out, too slow, not valid HTTP */
  | { readonly kind: 'unanswered'; readonly startedAt: number; readonly endedAt: number; readonly error: string; readonly status?: number }
  /** nobody knows whether the call was made: its worker died, or the node gave it up while it stopped */
  | { readonly kind: 'lost'; readonly startedAt: number; readonly endedAt: number; readonly error: string }
  /** no call was made */
  | { readonly kind: 'not_called'; readonly reason: 'late' | 'stopping' }

/** What becomes of a running task. */
export type Verdict =
  | { readonly event: 'succeeded' }
  /** `at` is when the next attempt is due, epoch ms */
  | { readonly event: 'retry'; readonly at: number; readonly reason: string }
  | { readonly event: 'gave_up'; readonly reason: string }
  | { readonly event: 'lost'; readonly reason: string }
  | { readonly event: 'expired'; readonly reason: string }
  | { readonly event: 'released' }

/** After so many losses in one run a task fails: it may be what kills the nodes. */
const MAX_LOST = 5
const TRANSIENT_4XX = new Set([408, 425, 429])

/** @param random a number in [0, 1), for the jitter of the wait */
export function judge(task: Task, result: CallResult, now: number, random: number): Verdict {
  if (result.kind === 'not_called') return result.reason === 'late' ? expiry(task) : { event: 'released' }
  if (result.kind === 'lost') return judgeLoss(task, result.error)
  const definition = withDefaults(task.definition)
  if (result.kind === 'answered') {
    if (isExpected(result.status, definition.expected_http_status)) return { event: 'succeeded' }
    if (isPermanent(result.status)) return { event: 'gave_up', reason: unexpected(result.status, definition) }
  }
  const reason = result.kind === 'answered' ? unexpected(result.status, definition) : result.error
  return judgeFailure(task, result, reason, now, random)
}

/** A lost attempt is made again without using up a retry, unless the task forbids a second call or was lost too often. */
function judgeLoss(task: Task, reason: string): Verdict {
  if (withDefaults(task.definition).delivery === 'at_most_once') {
    return { event: 'gave_up', reason: `${reason}; delivery is at_most_once, so it is not called again` }
  }
  if (task.lost + 1 >= MAX_LOST) {
    return { event: 'gave_up', reason: `${reason}; given up because this run was lost ${MAX_LOST} times` }
  }
  return { event: 'lost', reason }
}

/** The end of a task that waits and whose window has closed. */
export function expiry(task: Pick<Task, 'deadline' | 'error'>): Verdict {
  const closed = `out of time: no call may start at or after ${new Date(task.deadline).toISOString()}`
  return { event: 'expired', reason: task.error === null ? closed : `${closed}; before that: ${task.error}` }
}

function judgeFailure(task: Task, result: CallResult, reason: string, now: number, random: number): Verdict {
  const left = maxAttempts(task) - task.attempts
  if (left <= 0) return { event: 'gave_up', reason }
  const asked = result.kind === 'answered' ? retryAfterMs(result.retryAfter, now) : undefined
  const at = now + (asked ?? backoffMs(task.attempts - task.lost, random))
  if (at >= task.deadline) {
    const window = `no retry: it would be due at or after ${new Date(task.deadline).toISOString()}, when the window closes`
    return { event: 'gave_up', reason: `${reason}; ${window}` }
  }
  return { event: 'retry', at, reason }
}

function isExpected(status: number, expected: EffectiveDefinition['expected_http_status']): boolean {
  if (typeof expected === 'object') return expected.some((one) => isExpected(status, one))
  return typeof expected === 'number' ? status === expected : status.toString().startsWith(expected.charAt(0))
}

function isPermanent(status: number): boolean {
  return status >= 400 && status < 500 && !TRANSIENT_4XX.has(status)
}

function unexpected(status: number, definition: EffectiveDefinition): string {
  const expected = [definition.expected_http_status].flat().join(' or ')
  return `answered ${status}, expected ${expected}`
}
