/** A task, its states, and its definition from the client. Times are epoch milliseconds unless a comment says seconds. */
import { createHash, randomUUID } from 'node:crypto'
import { formatTaskKey, type TaskKey } from './task-key.ts'
import type { Templates } from './template.ts'

/** Each state, and who moves it next. */
export const TASK_STATES = [
  /** waits for its minute; the tick moves it */
  'pending',
  /** claimed: its call is under way, or its acknowledgement is awaited; its node, the acknowledgement or the rescue moves it */
  'running',
  /** an attempt failed, another one is due at `dueAt`; the tick moves it */
  'retrying',
  /** the endpoint answered as expected, or the work was acknowledged as done; final */
  'successful',
  /** attempts used up, a permanent refusal, or out of time; final until a person reschedules it */
  'failed',
  /** its window passed before any attempt could be made; final until a person reschedules it */
  'skipped',
] as const

export type TaskState = (typeof TASK_STATES)[number]

export const WAITING_STATES = ['pending', 'retrying'] as const satisfies readonly TaskState[]
export const FINAL_STATES = ['successful', 'failed', 'skipped'] as const satisfies readonly TaskState[]
/** A reschedule without `all` takes these. */
export const FAILURE_STATES = ['failed', 'skipped'] as const satisfies readonly TaskState[]

export type CallMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
export type Delivery = 'at_least_once' | 'at_most_once'
/** A status such as 204, or a class such as `"2xx"`. */
export type ExpectedStatus = number | string
export type ExpectedStatuses = ExpectedStatus | readonly ExpectedStatus[]
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue }

/** The definition from the client, with wire names. An absent field takes its default when it is read, not when it is stored. */
export interface TaskDefinition {
  /** absent where the handler has a callback, or workers pull */
  readonly callback?: string
  readonly callback_method?: CallMethod
  readonly payload?: JsonValue
  /** `payload` is the text of a JSON value, as it came: written anew it would change */
  readonly payload_is_json?: true
  readonly headers?: Readonly<Record<string, string>>
  readonly expected_http_status?: ExpectedStatuses
  /** how many times a failed call is tried again */
  readonly retry?: number
  /** minutes */
  readonly max_delay?: number
  /** seconds; the server's setting where absent */
  readonly timeout?: number
  readonly delivery?: Delivery
  /** a URL that is called when the task ends `failed` or `skipped` */
  readonly error_callback?: string
  /** the body of that call, a template; it is kept as `payload` is */
  readonly error_payload?: JsonValue
  readonly error_payload_is_json?: true
  /** how many minutes an accepted call has until its acknowledgement */
  readonly ack_timeout?: number
  /** a cron expression: each task of the series is followed by the next one */
  readonly repeat?: string
  /** the IANA zone of `repeat` */
  readonly timezone?: string
  /** the first attempt falls into so many seconds from the start of the minute */
  readonly spread?: number
  /** the values that are those of the handler and hold placeholders; no row has this */
  readonly templates?: Templates
}

type ErrorFields = 'error_callback' | 'error_payload' | 'error_payload_is_json'
type WithoutDefault = 'payload_is_json' | 'callback' | 'timeout' | ErrorFields | 'ack_timeout' | 'repeat' | 'templates'

/** A definition with every default filled in, except the server's own `timeout`. */
export type EffectiveDefinition = Required<Omit<TaskDefinition, WithoutDefault>> & Pick<TaskDefinition, WithoutDefault>

export interface Task extends TaskKey {
  readonly state: TaskState
  /** its own values over the values of its handler at the time of the read or claim */
  readonly definition: TaskDefinition
  /** the host of the callback, as `host` or `host:port`: fairness is among hosts; empty where there is no callback */
  readonly host: string
  /** when the next attempt may start */
  readonly dueAt: number
  /** when its window began: at its minute, or when a person had it run or stored it within its minute */
  readonly windowFrom: number
  /** no attempt starts at or after this time */
  readonly deadline: number
  /** a UUID, the same over all attempts of one run */
  readonly runId: string
  /** attempts started in this run, lost ones included */
  readonly attempts: number
  /** how many of `attempts` were lost with their node or worker; they use up no retry */
  readonly lost: number
  /** whether a person started this run before its minute */
  readonly inAdvance: boolean
  /** whether the task is removed once this run succeeds */
  readonly removeAfter: boolean
  /** a running task that no node calls waits for this: the acknowledgement of an accepted call, or the worker that pulled it */
  readonly awaiting: Awaited | null
  readonly claimedBy: string | null
  readonly leaseUntil: number | null
  /** end of the last attempt */
  readonly executedAt: number | null
  readonly responseStatus: number | null
  readonly responseBody: string | null
  readonly error: string | null
  readonly created: number
  readonly updated: number
  /** Unix seconds: the `triggerAt` of the copy of this task */
  readonly rescheduledTo: number | null
  /** Unix seconds: the `triggerAt` that this task had, or that of the task it is a copy of */
  readonly rescheduledFrom: number | null
  /** Unix seconds: the `triggerAt` of the next task of the series, once that is stored */
  readonly repeatedTo: number | null
  /** the state of its error callback; null until the task has ended badly, and where it has none */
  readonly errorCallback: ErrorCallbackProgress | null
  /** why its stored definition cannot be read; absent where it can. Such a task is never called. */
  readonly unreadable?: string
}

export type Awaited = 'ack' | 'worker'

/** The state of an error callback. */
export type ErrorCallbackProgress = Pick<Task, 'state' | 'attempts' | 'executedAt' | 'responseStatus' | 'error'>

/** What keeps a task from being stored: a task of its name that has not ended, or `ever` each one that is kept. */
export type Unique = 'waiting' | 'ever'

/** A task that is to be stored as `pending`. */
export interface NewTask extends TaskKey {
  readonly definition: TaskDefinition
  readonly host: string
  readonly dueAt: number
  readonly windowFrom: number
  readonly deadline: number
  readonly runId: string
  readonly inAdvance: boolean
  readonly unique?: Unique
}

/**
 * @param now the time of its storing, epoch ms: a task of the present minute is due then, and its window begins then
 * @param atOnce a person wants it now, although its minute is a later one
 */
export function newTask(key: TaskKey, definition: TaskDefinition, now: number, atOnce = false): NewTask {
  const windowFrom = atOnce ? now : Math.max(key.triggerAt * 1000, now)
  return {
    name: key.name,
    triggerAt: key.triggerAt,
    definition,
    host: hostOf(definition),
    dueAt: atOnce ? now : Math.max(firstDueAt(key, definition), now),
    windowFrom,
    deadline: deadlineOf(windowFrom, definition),
    runId: randomUUID(),
    inAdvance: key.triggerAt * 1000 > windowFrom,
  }
}

/** A task that has just been stored. */
export function pendingTask({ unique, ...task }: NewTask, { created, now }: { created: number; now: number }): Task {
  return {
    ...task,
    state: 'pending',
    attempts: 0,
    lost: 0,
    removeAfter: false,
    awaiting: null,
    claimedBy: null,
    leaseUntil: null,
    executedAt: null,
    responseStatus: null,
    responseBody: null,
    error: null,
    created,
    updated: now,
    rescheduledTo: null,
    rescheduledFrom: null,
    repeatedTo: null,
    errorCallback: null,
  }
}

/** When the first attempt of a task may start, epoch ms. With `spread`, the key alone decides the second of the minute. */
export function firstDueAt(key: TaskKey, { spread = 0 }: TaskDefinition): number {
  const second = spread === 0 ? 0 : createHash('sha256').update(formatTaskKey(key)).digest().readUInt32BE() % (spread + 1)
  return (key.triggerAt + second) * 1000
}

/** The end of a window, at and after which no attempt may start; both epoch ms. */
export function deadlineOf(windowFrom: number, definition: TaskDefinition): number {
  return windowFrom + withDefaults(definition).max_delay * 60_000
}

/** The host of the callback, with its port where that is not the usual one; empty where there is no callback. */
export function hostOf({ callback }: Pick<TaskDefinition, 'callback'>): string {
  return callback === undefined ? '' : new URL(callback).host
}

export function withDefaults(definition: TaskDefinition): EffectiveDefinition {
  const delivery = definition.delivery ?? 'at_least_once'
  return {
    callback_method: 'GET',
    payload: '',
    headers: {},
    expected_http_status: 200,
    max_delay: 10,
    timezone: 'UTC',
    spread: 0,
    ...definition,
    // A handler may ask for `at_most_once` where the task itself has a `retry`.
    retry: delivery === 'at_most_once' ? 0 : (definition.retry ?? 1),
    delivery,
  }
}

/**
 * How many attempts this run may make at the most. A lost attempt allows another one. A retry that was decided before its handler allowed
 * less is the last attempt.
 */
export function maxAttempts(task: Pick<Task, 'definition' | 'lost' | 'attempts'>): number {
  return Math.max(task.attempts, 1 + withDefaults(task.definition).retry + task.lost)
}

export function isFinal(state: TaskState): boolean {
  return (FINAL_STATES as readonly TaskState[]).includes(state)
}
