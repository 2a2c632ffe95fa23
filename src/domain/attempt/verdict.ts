/** What the result of one call means for its task. */
import { backoffMs, retryAfterMs } from './backoff.ts'
import { rfc3339 } from '../time/trigger-time.ts'
import { maxAttempts, withDefaults, type EffectiveDefinition, type Task } from '../task/task.ts'

interface Times {
  readonly startedAt: number
  readonly endedAt: number
}

/** The status of the answer came. It decides, whatever was wrong after it. */
interface Answered extends Times {
  readonly kind: 'answered'
  readonly status: number
  /** the first bytes of the body as text, as far as they came */
  readonly body: string
  readonly retryAfter?: string
  /** why the rest of the answer is missing, or is not valid HTTP */
  readonly error?: string
}

/** The plain result of one attempt. Times are epoch ms. */
export type CallResult =
  | Answered
  /** no status of an answer: refused, reset, timed out, not HTTP */
  | (Times & { readonly kind: 'unanswered'; readonly error: string })
  /** nobody knows whether the call was made: its worker died, or the node gave it up while it stopped */
  | (Times & { readonly kind: 'lost'; readonly error: string })
  /** the work of an accepted call, or of a pulled task, was acknowledged; `retryable` is whether a failure may be tried again */
  | (Times & { readonly kind: 'acknowledged'; readonly success: boolean; readonly retryable: boolean; readonly detail: string | null })
  /** an accepted call was not acknowledged in time */
  | (Times & { readonly kind: 'silent'; readonly error: string })
  /** no call was made; `lease_over`: another node may make it */
  | {
      readonly kind: 'not_called'
      readonly reason: 'early' | 'late' | 'stopping' | 'lease_over' | 'no_callback' | 'unreadable' | 'leads_elsewhere'
    }
  /** no call could be begun: the node is short of descriptors, ports, memory or threads */
  | { readonly kind: 'not_called'; readonly reason: 'shortage'; readonly error: string }

/** What becomes of a task. */
export type Verdict =
  | { readonly event: 'succeeded' }
  /** `at` is when the next attempt is due, epoch ms */
  | { readonly event: 'retry'; readonly at: number; readonly reason: string }
  /** `uncallable`: there is no URL to call, or a wrong one, or the definition cannot be read */
  | { readonly event: 'gave_up' | 'lost' | 'expired' | 'uncallable'; readonly reason: string }
  /** `reason` is there where it is worth telling */
  | { readonly event: 'released'; readonly reason?: string }
  /** the endpoint took on the work; its acknowledgement is awaited until `until`, epoch ms */
  | { readonly event: 'accepted'; readonly until: number }

type Result<Kind extends CallResult['kind']> = Extract<CallResult, { kind: Kind }>

/** After so many losses in one run a task fails, because it may be the task that kills the nodes. */
const MAX_LOST = 5
const TRANSIENT_4XX = new Set([408, 425, 429])

/** @param random a number in [0, 1), for the jitter of the wait */
export function judge(task: Task, result: CallResult, now: number, random: number): Verdict {
  switch (result.kind) {
    case 'not_called':
      return judgeUncalled(task, result)
    case 'lost':
      return judgeLoss(task, result.error)
    case 'acknowledged':
      return judgeAcknowledgement(task, result, now, random)
    case 'answered':
      return judgeAnswer(task, result, now, random)
    case 'unanswered':
    case 'silent':
      return judgeFailure(task, result.error, now, random)
  }
}

function judgeUncalled(task: Task, result: Result<'not_called'>): Verdict {
  switch (result.reason) {
    case 'late':
      return expiry(task)
    case 'early':
    case 'stopping':
    case 'lease_over':
      return { event: 'released' }
    case 'shortage':
      return { event: 'released', reason: result.error }
    case 'unreadable':
      return { event: 'uncallable', reason: task.unreadable ?? 'no request can be made of the stored definition' }
    case 'leads_elsewhere': {
      const name = JSON.stringify(task.name)
      return { event: 'uncallable', reason: `the name ${name} would lead the call to another path than the callback of its handler says` }
    }
    case 'no_callback': {
      const why = `the task has no callback of its own, and the name ${JSON.stringify(task.name)} has no handler with one any more`
      return { event: 'uncallable', reason: why }
    }
  }
}

function judgeAnswer(task: Task, answer: Result<'answered'>, now: number, random: number): Verdict {
  const definition = withDefaults(task.definition)
  if (isExpected(answer.status, definition.expected_http_status)) {
    if (definition.ack_timeout === undefined) return { event: 'succeeded' }
    return { event: 'accepted', until: now + definition.ack_timeout * 60_000 }
  }
  const unexpected = `answered ${answer.status}, expected ${[definition.expected_http_status].flat().join(' or ')}`
  // To the receiver the work is done, and another call would do it twice.
  const hasSucceeded = isExpected(answer.status, '2xx')
  const remedy = hasSucceeded ? '"expected_http_status":"2xx" would take it' : undefined
  const reason = [unexpected, remedy, answer.error].filter((part) => part !== undefined).join('; ')
  if (hasSucceeded || isPermanent(answer.status)) return { event: 'gave_up', reason }
  return judgeFailure(task, reason, now, random, retryAfterMs(answer.retryAfter, now))
}

function judgeAcknowledgement(task: Task, ack: Result<'acknowledged'>, now: number, random: number): Verdict {
  if (ack.success) return { event: 'succeeded' }
  const reason = ack.detail === null ? 'acknowledged as failed' : `acknowledged as failed: ${ack.detail}`
  return ack.retryable ? judgeFailure(task, reason, now, random) : { event: 'gave_up', reason }
}

/** A lost attempt is made again and uses up no retry, unless the task forbids a second call or was lost too often. */
function judgeLoss(task: Task, reason: string): Verdict {
  const { delivery } = withDefaults(task.definition)
  if (delivery === 'at_most_once') return { event: 'gave_up', reason: `${reason}; delivery is at_most_once, so it is not called again` }
  if (task.lost + 1 < MAX_LOST) return { event: 'lost', reason }
  return { event: 'gave_up', reason: `${reason}; given up because this run was lost ${MAX_LOST} times` }
}

/** The verdict on a task whose window has closed before its call. */
export function expiry(task: Pick<Task, 'deadline' | 'error'>): Verdict {
  const closed = `out of time: no call may start at or after ${rfc3339(task.deadline)}`
  return { event: 'expired', reason: task.error === null ? closed : `${closed}; before that: ${task.error}` }
}

/** @param asked the wait that the endpoint asks for, in ms: it may only lengthen the wait */
function judgeFailure(task: Task, reason: string, now: number, random: number, asked = 0): Verdict {
  if (maxAttempts(task) - task.attempts <= 0) return { event: 'gave_up', reason }
  const at = now + Math.max(backoffMs(task.attempts - task.lost, random), asked)
  if (at >= task.deadline) {
    const window = `no retry: it would be due at or after ${rfc3339(task.deadline)}, when the window closes`
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
