/** A row of a store, and the task or attempt that it stands for. */
import { rulesOf, underRules, withHandler, type AttemptRules, type Handler, type HandlerDefinition } from '../../domain/task/handler.ts'
import type { Attempt, AttemptOutcome } from '../../domain/task/attempt.ts'
import { deadlineOf, hostOf, isFinal, type Awaited, type Task, type TaskDefinition, type TaskState } from '../../domain/task/task.ts'
import { parseLane } from './lane-name.ts'
import { readDefinition } from './stored-json.ts'

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

/** The columns of an attempt, without those of its key in the store, and without the definition that it may keep. */
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
  /** JSON; only a history reads it */
  readonly definition?: string | null
}

/** Stands for a definition that cannot be read. Nobody knows its `delivery`, so a lost call is not made again. */
const UNKNOWN: TaskDefinition = { delivery: 'at_most_once' }

/** The row's own values. */
export function ownDefinition({ definition }: Pick<TaskRow, 'definition'>): TaskDefinition {
  const stored = readDefinition<TaskDefinition>(definition)
  return stored.ok ? stored.value : UNKNOWN
}

/** What a claim writes into `rules`. @param handler the one of the row's lane */
export function rulesText(handler: HandlerDefinition | undefined): string {
  return JSON.stringify(rulesOf(handler))
}

/** An attempt under way keeps the rules of its claim. */
function defaultsOf({ state, rules }: TaskRow, handler: Handler | undefined): HandlerDefinition | undefined {
  const kept = state === 'running' && rules !== null ? readDefinition<AttemptRules>(rules) : undefined
  return kept?.ok ? underRules(handler?.definition, kept.value) : handler?.definition
}

/** @param handler the one of the row's name: its values stand behind the row's own, unless these cannot be read */
export function toTask(row: TaskRow, handler: Handler | undefined): Task {
  const stored = readDefinition<TaskDefinition>(row.definition)
  const own = stored.ok ? stored.value : UNKNOWN
  const defaults = defaultsOf(row, handler)
  const definition = stored.ok ? withHandler(own, defaults, handler?.name) : own
  const { handler: waitsFor, host } = parseLane(row.lane)
  const windowFrom = row.window_from ?? row.trigger_at * 1000
  const isKnown = stored.ok && handler?.unreadable === undefined
  const mayFollowHandler = isKnown && own.max_delay === undefined && (waitsFor !== undefined || defaults !== undefined)
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
    error: errorOf(row, stored.ok ? unreadableHandler(row, handler) : stored.reason),
    created: row.created,
    updated: row.updated,
    rescheduledTo: row.rescheduled_to,
    rescheduledFrom: row.rescheduled_from,
    repeatedTo: row.repeated_to,
    errorCallback: null,
    ...(!stored.ok && { unreadable: stored.reason }),
  }
}

/** Why a waiting task waits for its handler. */
function unreadableHandler({ state }: TaskRow, handler: Handler | undefined): string | undefined {
  if (handler?.unreadable === undefined || isFinal(state)) return undefined
  return `it waits for its handler ${JSON.stringify(handler.name)}: ${handler.unreadable}`
}

/** The row's error, with the trouble of its definition. */
function errorOf({ error }: TaskRow, trouble: string | undefined): string | null {
  if (error === null || trouble === undefined || error.includes(trouble)) return error ?? trouble ?? null
  return `${trouble}; before that: ${error}`
}

export function toAttempt(row: AttemptRow): Attempt {
  const before = row.definition === undefined || row.definition === null ? undefined : readDefinition<TaskDefinition>(row.definition)
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
    ...(before?.ok && { definition: before.value }),
  }
}
