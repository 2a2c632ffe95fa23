/** A task, its states, and its definition as a client gave it. Times are epoch milliseconds unless a name says seconds. */
import { randomUUID } from 'node:crypto'
import type { TaskKey } from './task-key.ts'

/** Each state, and who moves it next. */
export const TASK_STATES = [
  /** waits for its minute; the tick moves it */
  'pending',
  /** claimed by a node, its call is under way; that node moves it, or the rescue after its lease */
  'running',
  /** an attempt failed, another one is due at `dueAt`; the tick moves it */
  'retrying',
  /** the endpoint answered as expected; final */
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
  readonly callback: string
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
}

/** A definition with every default filled in, except the server's own `timeout`. */
export type EffectiveDefinition = Required<Omit<TaskDefinition, 'timeout'>> & Pick<TaskDefinition, 'timeout'>

export interface Task extends TaskKey {
  readonly state: TaskState
  readonly definition: TaskDefinition
  /** the host that the call goes to, as `host` or `host:port`: what fairness is measured over */
  readonly lane: string
  /** when the next attempt may start */
  readonly dueAt: number
  /** no attempt starts at or after this */
  readonly deadline: number
  /** a UUID, the same over all attempts of one run */
  readonly runId: string
  /** attempts started in this run, lost ones included */
  readonly attempts: number
  /** those of `attempts` that were lost with their node and use up no retry */
  readonly lost: number
  /** whether this run was started by a person before its minute */
  readonly inAdvance: boolean
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
}

/** One finished attempt. */
export interface Attempt {
  readonly runId: string
  /** 1-based within its run */
  readonly number: number
  readonly startedAt: number
  readonly durationMs: number
  readonly status: number | null
  readonly error: string | null
  readonly node: string
}

/** What a store needs to make a `pending` row of a definition. */
export interface NewTask extends TaskKey {
  readonly definition: TaskDefinition
  readonly lane: string
  readonly dueAt: number
  readonly deadline: number
  readonly runId: string
}

export function newTask(key: TaskKey, definition: TaskDefinition): NewTask {
  return {
    name: key.name,
    triggerAt: key.triggerAt,
    definition,
    lane: laneOf(definition),
    ...windowOf(key.triggerAt * 1000, definition),
    runId: randomUUID(),
  }
}

/** When the first attempt may start, and from when on none may: both epoch ms. */
export function windowOf(startMs: number, definition: TaskDefinition): { dueAt: number; deadline: number } {
  return { dueAt: startMs, deadline: startMs + withDefaults(definition).max_delay * 60_000 }
}

export function withDefaults(definition: TaskDefinition): EffectiveDefinition {
  const delivery = definition.delivery ?? 'at_least_once'
  return {
    callback_method: 'GET',
    payload: '',
    headers: {},
    expected_http_status: 200,
    retry: delivery === 'at_most_once' ? 0 : 1,
    max_delay: 10,
    ...definition,
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

function laneOf(definition: TaskDefinition): string {
  return new URL(definition.callback).host
}
