/** An entry of the store as the world looks at it. */
import type { TaskDefinition, TaskState } from '../../src/domain/task/task.ts'
import type { TaskRow } from '../../src/store/rows/task-row.ts'
import { damageOf } from './damages.ts'

export interface Entry {
  readonly id: number
  /** `name@trigger_at` */
  readonly key: string
  readonly name: string
  readonly triggerAt: number
  readonly state: TaskState
  readonly dueAt: number
  readonly deadline: number
  /** when a person had it run, where that is when its window began */
  readonly windowFrom: number | null
  readonly leaseUntil: number | null
  readonly claimedBy: string | null
  readonly runId: string
  readonly attempts: number
  readonly lost: number
  readonly awaiting: string | null
  readonly removeAfter: boolean
  readonly created: number
  readonly updated: number
  readonly error: string | null
  readonly responseStatus: number | null
  readonly rescheduledTo: number | null
  readonly repeatedTo: number | null
  /** empty where it cannot be read */
  readonly definition: TaskDefinition
  /** why it cannot be read, where somebody has damaged it */
  readonly unreadable: string | undefined
  /** the number of the decision that put it; undefined for an error callback */
  readonly of: number | undefined
  readonly isErrorCallback: boolean
}

const DECISION = /"payload":\{"of":(\d+)/

export function toEntry(row: TaskRow): Entry {
  const isErrorCallback = row.name.includes('@')
  const unreadable = isErrorCallback ? undefined : damageOf(row.definition)
  return {
    id: row.id,
    key: `${row.name}@${row.trigger_at}`,
    name: row.name,
    triggerAt: row.trigger_at,
    state: row.state,
    dueAt: row.due_at,
    deadline: row.deadline,
    windowFrom: row.window_from,
    leaseUntil: row.lease_until,
    claimedBy: row.claimed_by,
    runId: row.run_id,
    attempts: row.attempts,
    lost: row.lost,
    awaiting: row.awaiting,
    removeAfter: row.remove_after === 1,
    created: row.created,
    updated: row.updated,
    error: row.error,
    responseStatus: row.response_status,
    rescheduledTo: row.rescheduled_to,
    repeatedTo: row.repeated_to,
    definition: unreadable === undefined ? (JSON.parse(row.definition) as TaskDefinition) : {},
    unreadable,
    of: isErrorCallback ? undefined : Number(DECISION.exec(row.definition)?.[1]),
    isErrorCallback,
  }
}

export function isWaiting({ state }: Pick<Entry, 'state'>): boolean {
  return state === 'pending' || state === 'retrying'
}

export function isEnded({ state }: Pick<Entry, 'state'>): boolean {
  return state === 'successful' || state === 'failed' || state === 'skipped'
}
