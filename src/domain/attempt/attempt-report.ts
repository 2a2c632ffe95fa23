/** The report of an attempt: what the store writes about a claimed task once its call has a result. */
import type { Attempt, AttemptOutcome } from '../task/attempt.ts'
import { maxAttempts, withDefaults, type Task } from '../task/task.ts'
import { applyVerdict, type TaskUpdate } from './transitions.ts'
import { judge, type CallResult, type Verdict } from './verdict.ts'

/** What `store.record` writes. `attempt` is absent where no call was made. */
export interface AttemptReport {
  /** as it was claimed; its run id and attempt guard the write */
  readonly task: Task
  readonly update: TaskUpdate
  readonly now: number
  readonly responseStatus: number | null
  readonly responseBody: string | null
  readonly attempt?: Attempt
}

/** The events of a verdict on a call that was made. */
const OUTCOMES: Readonly<Partial<Record<Verdict['event'], AttemptOutcome>>> = {
  succeeded: 'successful',
  accepted: 'accepted',
  retry: 'retrying',
  gave_up: 'failed',
  lost: 'lost',
}

/** @param node the node that made the call @param random a number in [0, 1), for the jitter of a retry */
export function reportOf(task: Task, result: CallResult, node: string, now: number, random: number): AttemptReport {
  const verdict = judge(task, result, now, random)
  const update = applyVerdict(task, verdict, now)
  if (result.kind === 'not_called') {
    return { task, update, now, responseStatus: task.responseStatus, responseBody: task.responseBody }
  }
  const outcome = OUTCOMES[verdict.event]
  if (outcome === undefined) throw new Error(`a call that was made cannot lead to ${verdict.event}`)
  const { status, body } = responseOf(task, result)
  const attempt: Attempt = {
    runId: task.runId,
    number: task.attempts,
    dueAt: task.dueAt,
    startedAt: result.startedAt,
    durationMs: Math.max(0, result.endedAt - result.startedAt),
    deadline: result.kind === 'answered' || result.kind === 'unanswered' ? task.deadline : null,
    status,
    error:
      result.kind === 'acknowledged' ? update.error : result.kind === 'answered' ? (update.error ?? result.error ?? null) : result.error,
    outcome,
    attemptsLeft: attemptsLeft({ ...task, lost: update.lost }),
    node,
  }
  return { task, update, now, responseStatus: status, responseBody: body, attempt }
}

function attemptsLeft(task: Task): number {
  return withDefaults(task.definition).delivery === 'at_most_once' ? 0 : maxAttempts(task) - task.attempts
}

/** The answer of the endpoint. An accepted call keeps its answer, and the detail of its acknowledgement replaces the body. */
function responseOf(task: Task, result: Exclude<CallResult, { kind: 'not_called' }>): { status: number | null; body: string | null } {
  switch (result.kind) {
    case 'answered':
      return { status: result.status, body: result.body }
    case 'unanswered':
    case 'lost':
      return { status: null, body: null }
    case 'acknowledged':
      // Until its own answer is recorded, a task holds the answer of the attempt before.
      return task.awaiting === 'ack'
        ? { status: task.responseStatus, body: result.detail ?? task.responseBody }
        : { status: null, body: result.detail }
    case 'silent':
      return { status: task.responseStatus, body: task.responseBody }
  }
}

/** The attempt under way of a running task whose acknowledgement is awaited. */
export function acceptedAttempt(task: Task, now: number): Attempt {
  return {
    ...{ runId: task.runId, number: task.attempts, dueAt: task.dueAt, startedAt: task.updated, deadline: null },
    durationMs: Math.max(0, now - task.updated),
    ...{ status: null, error: null, outcome: 'accepted', attemptsLeft: attemptsLeft(task), node: task.claimedBy ?? 'unknown' },
  }
}

/** The report on a running task whose lease is over. */
export function lossOf(task: Task, now: number): AttemptReport {
  // The attempt counts from its claim, because nobody knows when its call began.
  const times = { startedAt: task.updated, endedAt: now }
  const node = task.claimedBy ?? 'unknown'
  if (task.awaiting === 'ack') {
    const minutes = withDefaults(task.definition).ack_timeout
    const error = `accepted, but not acknowledged${minutes === undefined ? '' : ` within ${minutes} min`}`
    return reportOf(task, { kind: 'silent', ...times, error }, node, now, 0)
  }
  const error =
    task.awaiting === 'worker'
      ? 'the worker that pulled it did not acknowledge it before its lease was over'
      : 'the node was lost while the call was under way; it is not known whether it was made'
  return reportOf(task, { kind: 'lost', ...times, error }, node, now, 0)
}
