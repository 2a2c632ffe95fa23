/** What is written about a claimed task once its call has a result: the last pure step before the store. */
import type { Attempt, Task } from './task.ts'
import { settle } from './transitions.ts'
import type { Settlement } from './transitions.ts'
import { judge } from './verdict.ts'
import type { CallResult } from './verdict.ts'

/** `attempt` and `executedAt` are absent where no call was made. */
export interface Outcome {
  /** as it was claimed: its run id and attempt are what guards the write */
  readonly task: Task
  readonly settlement: Settlement
  readonly now: number
  readonly responseStatus: number | null
  readonly responseBody: string | null
  readonly attempt?: Attempt
}

/**
 * @param node who made the call
 * @param random a number in [0, 1), for the jitter of a retry
 */
export function outcomeOf(task: Task, result: CallResult, node: string, now: number, random: number): Outcome {
  const settlement = settle(task, judge(task, result, now, random), now)
  if (result.kind === 'not_called') {
    return { task, settlement, now, responseStatus: task.responseStatus, responseBody: task.responseBody }
  }
  const status = result.kind === 'lost' ? null : (result.status ?? null)
  const attempt: Attempt = {
    runId: task.runId,
    number: task.attempts,
    startedAt: result.startedAt,
    durationMs: Math.max(0, result.endedAt - result.startedAt),
    status,
    error: result.kind === 'answered' ? settlement.error : result.error,
    node,
  }
  return { task, settlement, now, responseStatus: status, responseBody: result.kind === 'answered' ? result.body : null, attempt }
}

/** A task whose node is gone: it is not known whether the call was made, nor when it began after the claim. */
export function lossOf(task: Task, now: number): Outcome {
  const error = 'the node was lost while the call was under way; it is not known whether it was made'
  return outcomeOf(task, { kind: 'lost', startedAt: task.updated, endedAt: now, error }, task.claimedBy ?? 'unknown', now, 0)
}
