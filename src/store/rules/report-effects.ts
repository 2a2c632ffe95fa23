/** What a report, or a window that has closed, does to a task. The stores write it; this decides it. */
import type { AttemptReport } from '../../domain/attempt/attempt-report.ts'
import { applyVerdict } from '../../domain/attempt/transitions.ts'
import { expiry } from '../../domain/attempt/verdict.ts'
import type { ErrorCallbackProgress, Task } from '../../domain/task/task.ts'
import { CHANGE_OF_STATE, type ChangeKind } from '../../domain/task/task-change.ts'

const NO_ANSWER = { executedAt: null, responseStatus: null, error: null }
/** The progress of an error callback that was stored just now. */
export const FRESH_ERROR_CALLBACK: ErrorCallbackProgress = { state: 'pending', attempts: 0, ...NO_ANSWER }

/** The task once its report is written. @param executedAt epoch ms, as the store keeps it: that of an earlier attempt where the report has none */
export function taskAfter({ task, update, now, responseStatus, responseBody }: AttemptReport, executedAt: number | null): Task {
  return { ...task, ...update, responseStatus, responseBody, executedAt, updated: now }
}

/** What listeners learn. A call that was handed back is no retry. */
export function changeKindOf({ attempt, update }: AttemptReport): ChangeKind {
  return attempt === undefined && update.state === 'retrying' ? 'updated' : CHANGE_OF_STATE[update.state]
}

/**
 * Why a claimed task must not be called: its definition cannot be read, or its handler allows less time now than when its row was written.
 * @param now epoch ms
 * @returns undefined for a task to call
 */
export function whyUncallable({ unreadable, deadline }: Task, now: number): 'unreadable' | 'late' | undefined {
  if (unreadable !== undefined) return 'unreadable'
  return now < deadline ? undefined : 'late'
}

/** By which second (Unix time) an attempt was counted at its claim, and by which one it counts. */
export interface CorrectedStart {
  readonly claimed: number
  readonly called: number
}

/** A call may start later than it was claimed, and a rate limits starts. @returns undefined where it did not */
export function correctedStart({ task, attempt }: AttemptReport): CorrectedStart | undefined {
  if (attempt === undefined || task.state !== 'running' || task.awaiting !== null) return undefined
  const [claimed, called] = [secondOf(task.updated), secondOf(attempt.startedAt)]
  return called > claimed ? { claimed, called } : undefined
}

function secondOf(ms: number): number {
  return Math.floor(ms / 1000)
}

/** The end of a waiting task whose row is out of time, or its later deadline (epoch ms) where its handler allows more time now. */
export function expiryOf(task: Task, now: number): { readonly extendedTo: number } | { readonly report: AttemptReport } {
  if (task.deadline > now) return { extendedTo: task.deadline }
  const { responseStatus, responseBody } = task
  return { report: { task, update: applyVerdict(task, expiry(task), now), now, responseStatus, responseBody } }
}
