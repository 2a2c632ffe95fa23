/** A row of a store, and the task or attempt that it stands for. */
import { rulesOf, underRules, withHandler, type AttemptRules, type HandlerDefinition } from '../../domain/task/handler.ts'
import { deadlineOf, hostOf } from '../../domain/task/task.ts'
import type { Attempt, AttemptOutcome, Awaited, Task, TaskDefinition, TaskState } from '../../domain/task/task.ts'
import { parseLane } from './lane-name.ts'

export interface TaskRow {
  readonly id: number
  readonly name: string
  readonly trigger_at: number
  readonly state: TaskState
  readonly lane: string
  readonly due_at: number
  readonly deadline: number
  readonly lease_until: number | null
  readonly claimed_by: string | null
  readonly run_id: string
  readonly attempts: number
  readonly lost: number
  readonly in_advance: 0 | 1
  readonly executed_at: number | null
  readonly response_status: number | null
  readonly response_body: string | null
  readonly error: string | null
  readonly created: number
  readonly updated: number
  readonly rescheduled_to: number | null
  readonly rescheduled_from: number | null
  readonly definition: string
  readonly window_from: number | null
  readonly awaiting: Awaited | null
  readonly remove_after: 0 | 1
  readonly repeated_to: number | null
  /** JSON; null where an older program has claimed it */
  readonly rules: string | null
}

/** The columns of an attempt, without those of its key in the store. */
export const ATTEMPT_COLUMNS = 'run_id, number, due_at, started_at, duration_ms, deadline, status, error, outcome, attempts_left, node'

export interface AttemptRow {
  readonly run_id: string
  readonly number: number
  readonly due_at: number | null
  readonly started_at: number
  readonly duration_ms: number
  readonly deadline: number | null
  readonly status: number | null
  readonly error: string | null
  readonly outcome: AttemptOutcome | null
  readonly attempts_left: number | null
  readonly node: string
}

/** What a claim writes into `rules`. @param handler the one of the row's lane */
export function rulesText(handler: HandlerDefinition | undefined): string {
  return JSON.stringify(rulesOf(handler))
}

/** @param current the handler of the row's name: its values stand behind the row's own. An attempt under way keeps those of its claim. */
export function toTask(row: TaskRow, current: HandlerDefinition | undefined): Task {
  const isRuled = row.state === 'running' && row.rules !== null
  const handler = isRuled ? underRules(current, JSON.parse(row.rules) as AttemptRules) : current
  const own = JSON.parse(row.definition) as TaskDefinition
  const definition = withHandler(own, handler)
  const { handler: waitsFor, host } = parseLane(row.lane)
  const windowFrom = row.window_from ?? row.trigger_at * 1000
  const mayFollowHandler = own.max_delay === undefined && (waitsFor !== undefined || handler !== undefined)
  return {
    name: row.name,
    triggerAt: row.trigger_at,
    state: row.state,
    definition,
    host: host === '' ? hostOf(definition) : host,
    dueAt: row.due_at,
    windowFrom,
    deadline: mayFollowHandler ? deadlineOf(windowFrom, definition) : row.deadline,
    leaseUntil: row.lease_until,
    claimedBy: row.claimed_by,
    runId: row.run_id,
    attempts: row.attempts,
    lost: row.lost,
    inAdvance: row.in_advance === 1,
    removeAfter: row.remove_after === 1,
    awaiting: row.awaiting,
    executedAt: row.executed_at,
    responseStatus: row.response_status,
    responseBody: row.response_body,
    error: row.error,
    created: row.created,
    updated: row.updated,
    rescheduledTo: row.rescheduled_to,
    rescheduledFrom: row.rescheduled_from,
    repeatedTo: row.repeated_to,
    errorCallback: null,
  }
}

export function toAttempt(row: AttemptRow): Attempt {
  return {
    runId: row.run_id,
    number: row.number,
    dueAt: row.due_at,
    startedAt: row.started_at,
    durationMs: row.duration_ms,
    deadline: row.deadline,
    status: row.status,
    error: row.error,
    outcome: row.outcome,
    attemptsLeft: row.attempts_left,
    node: row.node,
  }
}
