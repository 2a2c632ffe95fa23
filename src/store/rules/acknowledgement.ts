/** What an acknowledgement comes to: a refusal, more time, or the end of the attempt. */
import { acceptedAttempt, reportOf, type AttemptReport } from '../../domain/attempt/attempt-report.ts'
import type { Attempt } from '../../domain/task/attempt.ts'
import type { Task } from '../../domain/task/task.ts'
import type { AckResult, Acknowledgement } from '../store.ts'

/** The shortest and the longest lease that a worker may ask for. A clock that was changed may have left another one. */
const LEASE_LIMITS_MS = [1000, 86_400_000] as const

export type AckRuling =
  | { readonly kind: 'refused'; readonly status: Exclude<AckResult['status'], 'acknowledged' | 'unknown'> }
  /** `leaseUntil` is epoch ms; `attempt` is there where the task's attempt has no record yet */
  | { readonly kind: 'prolonged'; readonly leaseUntil: number; readonly attempt?: Attempt }
  | { readonly kind: 'ended'; readonly report: AttemptReport }

/** @param task as it is stored */
export function rulingOf(task: Task, ack: Acknowledgement): AckRuling {
  if (ack.runId !== undefined && ack.runId !== task.runId) return { kind: 'refused', status: 'other_run' }
  if (task.state !== 'running') return { kind: 'refused', status: 'not_running' }
  if (ack.attempt !== task.attempts) return { kind: 'refused', status: 'other_attempt' }
  if (task.awaiting === null && task.definition.ack_timeout === undefined) return { kind: 'refused', status: 'unexpected' }
  const { now, status, retryable, detail, random } = ack
  if (status === 'running') return prolonged(task, now)
  const success = status === 'successful'
  const result = { kind: 'acknowledged', startedAt: task.updated, endedAt: now, success, retryable, detail } as const
  return { kind: 'ended', report: reportOf(task, result, task.claimedBy ?? 'unknown', now, random) }
}

/** A worker gets its lease once more, an accepted call its whole `ack_timeout`. */
function prolonged(task: Task, now: number): AckRuling {
  const { ack_timeout: minutes } = task.definition
  const hadMs = (task.leaseUntil ?? now) - task.updated
  const leaseUntil = now + (task.awaiting === 'worker' || minutes === undefined ? asLease(hadMs) : minutes * 60_000)
  return { kind: 'prolonged', leaseUntil, ...(task.awaiting !== 'ack' && { attempt: acceptedAttempt(task, now) }) }
}

function asLease(ms: number): number {
  const [shortest, longest] = LEASE_LIMITS_MS
  return Math.min(Math.max(ms, shortest), longest)
}
