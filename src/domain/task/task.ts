/** A task, its states, and its definition as a client gave it. Times are epoch milliseconds unless a name says seconds. */
import { createHash, randomUUID } from 'node:crypto'
import { formatTaskKey } from './task-key.ts'
import type { TaskKey } from './task-key.ts'

/** Each state, and who moves it next. */
export const TASK_STATES = [
  /** waits for its minute; the tick moves it */
  'pending',
  /** claimed: its call is under way or its acknowledgement awaited; its node or an acknowledgement moves it, or the rescue after its lease */
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
/** The states that a reschedule takes unless it is told to take all. */
export const FAILURE_STATES = ['failed', 'skipped'] as const satisfies readonly TaskState[]

export type CallMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
export type Delivery = 'at_least_once' | 'at_most_once'
/** A status such as 204, or a class such as `"2xx"`. */
export type ExpectedStatus = number | string
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue }

/** What a client asked for, with wire names. A field that is absent takes its default when it is read, not when it is stored. */
export interface TaskDefinition {
  /** absent where the handler has one, or where workers pull */
  readonly callback?: string
  readonly callback_method?: CallMethod
  readonly payload?: JsonValue
  readonly headers?: Readonly<Record<string, string>>
  readonly expected_http_status?: ExpectedStatus | readonly ExpectedStatus[]
  /** how many times a failed call is tried again */
  readonly retry?: number
  /** minutes */
  readonly max_delay?: number
  /** seconds; the server's setting where absent */
  readonly timeout?: number
  readonly delivery?: Delivery
  /** a URL that is told when the task ends `failed` or `skipped` */
  readonly error_callback?: string
  /** minutes that an accepted call has until it is acknowledged */
  readonly ack_timeout?: number
  /** a cron expression: each entry is followed by the next one */
  readonly repeat?: string
  /** the IANA zone of `repeat` */
  readonly timezone?: string
  /** seconds of its minute over which the first attempt may fall */
  readonly spread?: number
}

type WithoutDefault = 'callback' | 'timeout' | 'error_callback' | 'ack_timeout' | 'repeat'

/** A definition with every default filled in, except the server's own `timeout`. */
export type EffectiveDefinition = Required<Omit<TaskDefinition, WithoutDefault>> & Pick<TaskDefinition, WithoutDefault>

export interface Task extends TaskKey {
  readonly state: TaskState
  /** its own values over those of its handler, as they are when it is read or claimed */
  readonly definition: TaskDefinition
  /** the host that the call goes to, as `host` or `host:port`: what fairness is measured over; empty where there is nothing to call */
  readonly host: string
  /** when the next attempt may start */
  readonly dueAt: number
  /** when its window began: its minute, or the time at which a person had it run */
  readonly windowFrom: number
  /** no attempt starts at or after this */
  readonly deadline: number
  /** a UUID, the same over all attempts of one run */
  readonly runId: string
  /** attempts started in this run, lost ones included */
  readonly attempts: number
  /** those of `attempts` that were lost with their node or worker and use up no retry */
  readonly lost: number
  /** whether this run was started by a person before its minute */
  readonly inAdvance: boolean
  /** whether it is removed once this run succeeds */
  readonly removeAfter: boolean
  /** what a running task waits for while no node calls it: the acknowledgement of an accepted call, or the worker that pulled it */
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
  /** Unix seconds: the `triggerAt` of the entry of the same name that this one was copied to */
  readonly rescheduledTo: number | null
  /** Unix seconds: the `triggerAt` that this one had, or that of the entry it is a copy of */
  readonly rescheduledFrom: number | null
  /** Unix seconds: the `triggerAt` of the entry that follows this one in its series, once that is stored */
  readonly repeatedTo: number | null
  /** what came of telling `error_callback`; null until the task has ended badly, and where there is none */
  readonly errorCallback: ErrorCallbackProgress | null
}

export type Awaited = 'ack' | 'worker'

/** How far the delivery of an error callback is. */
export type ErrorCallbackProgress = Pick<Task, 'state' | 'attempts' | 'executedAt' | 'responseStatus' | 'error'>

/** One finished attempt. */
export interface Attempt {
  readonly runId: string
  /** 1-based within its run */
  readonly number: number
  /** when it was due; null where an older program has recorded it */
  readonly dueAt: number | null
  readonly startedAt: number
  readonly durationMs: number
  /** from when on no request might be made; null where nobody knows of a request */
  readonly deadline: number | null
  readonly status: number | null
  readonly error: string | null
  /** what it led to; null where an older program has recorded it */
  readonly outcome: AttemptOutcome | null
  /** how many more might follow it in its run, as its task and handler were then; null where an older program has recorded it */
  readonly attemptsLeft: number | null
  readonly node: string
}

/** `accepted`: its acknowledgement is awaited. `retrying`: another one follows. `lost`: another one follows, and it uses up no retry. */
export type AttemptOutcome = 'successful' | 'accepted' | 'retrying' | 'failed' | 'lost'

/** What a store needs to make a `pending` row of a definition. */
export interface NewTask extends TaskKey {
  readonly definition: TaskDefinition
  readonly host: string
  readonly dueAt: number
  readonly deadline: number
  readonly runId: string
}

/** @param now when it is stored, epoch ms: one of the present minute is due then, not when that began */
export function newTask(key: TaskKey, definition: TaskDefinition, now: number): NewTask {
  return {
    name: key.name,
    triggerAt: key.triggerAt,
    definition,
    host: hostOf(definition),
    dueAt: Math.max(firstDueAt(key, definition), now),
    deadline: deadlineOf(key.triggerAt * 1000, definition),
    runId: randomUUID(),
  }
}

/** A task as it is when it has just been stored. */
export function pendingTask(task: NewTask, { created, now }: { created: number; now: number }): Task {
  return {
    ...task,
    state: 'pending',
    windowFrom: task.triggerAt * 1000,
    attempts: 0,
    lost: 0,
    inAdvance: false,
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

/** When the first attempt of an entry may start, epoch ms: with `spread`, at a second of its minute that only the key decides. */
export function firstDueAt(key: TaskKey, { spread = 0 }: TaskDefinition): number {
  const second = spread === 0 ? 0 : createHash('sha256').update(formatTaskKey(key)).digest().readUInt32BE() % (spread + 1)
  return (key.triggerAt + second) * 1000
}

/** From when on no attempt may start, both epoch ms. */
export function deadlineOf(windowFrom: number, definition: TaskDefinition): number {
  return windowFrom + withDefaults(definition).max_delay * 60_000
}

/** The host of the callback, with its port where that is not the usual one; empty where there is nothing to call. */
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
    // A handler may promise one call at the most where the task itself asks for more.
    retry: delivery === 'at_most_once' ? 0 : (definition.retry ?? 1),
    delivery,
  }
}

/** How many attempts this run may make at the most; a lost attempt makes room for another one. */
export function maxAttempts(task: Pick<Task, 'definition' | 'lost'>): number {
  return 1 + withDefaults(task.definition).retry + task.lost
}

export function isFinal(state: TaskState): boolean {
  return (FINAL_STATES as readonly TaskState[]).includes(state)
}
