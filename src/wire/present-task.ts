/** A task on the wire. Only here do its fields get their JSON names. */
import { formatLocalTime, isTimeZone } from '../domain/time/time-zone.ts'
import { rfc3339 } from '../domain/time/trigger-time.ts'
import { shownDefinition, shownPayload, type JsonText } from './json-text.ts'
import { REDACTED, isSecretHeader } from './secret-headers.ts'
import type { Attempt, AttemptOutcome } from '../domain/task/attempt.ts'
import {
  withDefaults,
  type EffectiveDefinition,
  type ErrorCallbackProgress,
  type ExpectedStatuses,
  type JsonValue,
  type Task,
  type TaskDefinition,
  type TaskState,
} from '../domain/task/task.ts'
import { formatTaskKey } from '../domain/task/task-key.ts'

/** Unix seconds. A damaged row may hold any time and any zone. */
const LAST_LOCAL_TIME = 8e12

/** Values of the server for fields that a task leaves out. */
export interface ServerDefaults {
  /** seconds */
  readonly timeout: number
  readonly expectedStatus: ExpectedStatuses
}

/** The fields that look otherwise here. */
type PayloadField = 'payload' | 'payload_is_json' | 'error_payload' | 'error_payload_is_json' | 'templates'
type NullableField = PayloadField | 'callback' | 'error_callback' | 'ack_timeout' | 'repeat'

/** A time is RFC 3339 in UTC, unless its comment says Unix seconds. A field that does not apply is null. */
export interface WireTask extends Required<Omit<EffectiveDefinition, NullableField>> {
  readonly callback: string | null
  readonly payload: JsonValue | JsonText
  readonly error_callback: string | null
  readonly error_payload: JsonValue | JsonText
  /** minutes */
  readonly ack_timeout: number | null
  readonly repeat: string | null
  readonly task_name: string
  /** `<task_name>@<trigger_at>` */
  readonly key: string
  /** Unix seconds */
  readonly trigger_at: string
  readonly trigger_time: string
  /** the same time in the task's zone, with its offset; null where the task names neither a zone nor a `repeat` */
  readonly local_time: string | null
  readonly task_state: TaskState
  readonly run_id: string
  /** attempts started in this run */
  readonly attempts: number
  /** the attempts of this run whose node or worker was lost; they use up no retry */
  readonly lost: number
  readonly next_attempt: string | null
  /** Unix seconds: the end of the last attempt */
  readonly executed_at: string | null
  readonly response_status: number | null
  readonly response_body: string | null
  readonly error: string | null
  readonly created: string
  readonly updated: string
  /** the key of the copy that a reschedule made of this task */
  readonly rescheduled_to: string | null
  /** the key of this task before a reschedule moved it, or the key of the task that it is a copy of */
  readonly rescheduled_from: string | null
  /** the key of the task that follows this one in its series */
  readonly repeated_to: string | null
  /** the progress of the call of `error_callback`; null until the task ends badly */
  readonly error_callback_result: WireErrorCallbackResult | null
  /** every finished attempt over all runs, oldest first; only where the request has a key */
  readonly history?: readonly WireAttempt[]
}

export interface WireErrorCallbackResult {
  readonly state: TaskState
  readonly attempts: number
  readonly executed_at: string | null
  readonly response_status: number | null
  readonly error: string | null
}

export interface WireAttempt {
  readonly run_id: string
  readonly number: number
  /** null where an older program has recorded the attempt, and so are `lateness_ms` and `outcome` */
  readonly due: string | null
  readonly start: string
  /** from `due` to `start` */
  readonly lateness_ms: number | null
  readonly duration_ms: number
  readonly status: number | null
  readonly error: string | null
  readonly outcome: AttemptOutcome | null
  readonly node: string
  /** the task's own values of the run that ended with this attempt, where they were changed after it */
  readonly definition?: Readonly<Record<string, unknown>>
}

/** The members of a task that are no part of a definition. */
export const SHOWN_MEMBERS = [
  ...['key', 'trigger_time', 'local_time', 'task_state', 'run_id', 'attempts', 'lost', 'next_attempt', 'executed_at'],
  ...['response_status', 'response_body', 'error', 'created', 'updated', 'rescheduled_to', 'rescheduled_from', 'repeated_to'],
  ...['error_callback_result', 'history'],
] as const

export function presentTask(task: Task, defaults: ServerDefaults, history?: readonly Attempt[]): WireTask {
  const definition = withDefaults(task.definition)
  const isWaiting = task.state === 'pending' || task.state === 'retrying'
  // The times are the dearest part of this function. A new task has two equal pairs of them, so each pair is written once.
  const triggerTime = rfc3339(task.triggerAt * 1000)
  const dueTime = task.dueAt === task.triggerAt * 1000 ? triggerTime : rfc3339(task.dueAt)
  const created = rfc3339(task.created)
  return {
    task_name: task.name,
    key: formatTaskKey(task),
    trigger_at: String(task.triggerAt),
    trigger_time: triggerTime,
    local_time: localTime(task),
    task_state: task.state,
    callback: definition.callback ?? null,
    callback_method: definition.callback_method,
    payload: shownPayload(definition.payload, definition.payload_is_json),
    headers: redact(definition.headers),
    expected_http_status: task.definition.expected_http_status ?? defaults.expectedStatus,
    retry: definition.retry,
    max_delay: definition.max_delay,
    timeout: definition.timeout ?? defaults.timeout,
    error_callback: definition.error_callback ?? null,
    error_payload: shownPayload(definition.error_payload ?? null, definition.error_payload_is_json),
    delivery: definition.delivery,
    ack_timeout: definition.ack_timeout ?? null,
    repeat: definition.repeat ?? null,
    timezone: definition.timezone,
    spread: definition.spread,
    run_id: task.runId,
    attempts: task.attempts,
    lost: task.lost,
    next_attempt: isWaiting ? dueTime : null,
    executed_at: unixSeconds(task.executedAt),
    response_status: task.responseStatus,
    response_body: task.responseBody,
    error: task.error,
    created,
    updated: task.updated === task.created ? created : rfc3339(task.updated),
    rescheduled_to: keyAt(task.name, task.rescheduledTo),
    rescheduled_from: keyAt(task.name, task.rescheduledFrom),
    repeated_to: keyAt(task.name, task.repeatedTo),
    error_callback_result: task.errorCallback && presentErrorCallback(task.errorCallback),
    ...(history && { history: history.map(presentAttempt) }),
  }
}

function localTime({ triggerAt, definition: { repeat, timezone } }: Task): string | null {
  const zone = timezone ?? (repeat === undefined ? undefined : 'UTC')
  const isKnown = zone !== undefined && isTimeZone(zone) && Math.abs(triggerAt) < LAST_LOCAL_TIME
  return isKnown ? formatLocalTime(zone, triggerAt) : null
}

function presentErrorCallback(progress: ErrorCallbackProgress): WireErrorCallbackResult {
  return {
    state: progress.state,
    attempts: progress.attempts,
    executed_at: unixSeconds(progress.executedAt),
    response_status: progress.responseStatus,
    error: progress.error,
  }
}

export function presentAttempt(attempt: Attempt): WireAttempt {
  return {
    run_id: attempt.runId,
    number: attempt.number,
    due: attempt.dueAt === null ? null : rfc3339(attempt.dueAt),
    start: rfc3339(attempt.startedAt),
    lateness_ms: attempt.dueAt === null ? null : attempt.startedAt - attempt.dueAt,
    duration_ms: attempt.durationMs,
    status: attempt.status,
    error: attempt.error,
    outcome: attempt.outcome,
    node: attempt.node,
    ...(attempt.definition && { definition: presentDefinition(attempt.definition) }),
  }
}

function presentDefinition(own: TaskDefinition): Readonly<Record<string, unknown>> {
  return { ...shownDefinition(own), ...(own.headers && { headers: redact(own.headers) }) }
}

function unixSeconds(ms: number | null): string | null {
  return ms === null ? null : String(Math.floor(ms / 1000))
}

function keyAt(name: string, triggerAt: number | null): string | null {
  return triggerAt === null ? null : formatTaskKey({ name, triggerAt })
}

export function redact(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, isSecretHeader(name) ? REDACTED : value]))
}
