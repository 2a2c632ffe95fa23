/** The changes of tasks that listeners get: each change once, in the order of its storing. */
import type { Task, TaskState } from './task.ts'

export const CHANGE_KINDS = [
  /** stored for the first time: by a client, as a copy of a reschedule, or as the next of a series */
  'created',
  /** replaced, moved, made due now, prolonged, accepted or handed back */
  'updated',
  /** claimed: a call begins, or a worker has it */
  'processing',
  /** ended successful */
  'completed',
  /** an attempt failed or was lost, another one follows */
  'retry',
  'failed',
  'skipped',
  /** removed by a client; a removal by retention is no change */
  'deleted',
] as const

export type ChangeKind = (typeof CHANGE_KINDS)[number]

export interface TaskChange {
  /** grows with every change; not every number is used */
  readonly id: number
  readonly kind: ChangeKind
  /** epoch ms */
  readonly at: number
  /** as it was after the change; a deleted task as it was before */
  readonly task: Task
  /** whether the task's payload was left out because it is large */
  readonly withoutPayload?: true
}

/** Changes that were stored together and cannot be read any more. */
export interface LostChanges {
  /** of the last of them */
  readonly id: number
  /** the id of the first of them */
  readonly first: number
}

/** Changes in their order, as `ChangeLog.changes` of the store says. */
export interface ChangesPage {
  readonly changes: TaskChange[]
  readonly lost?: LostChanges[]
  readonly first: number
  readonly last: number
}

/** The kind of the change where a verdict has led a task to a state. */
export const CHANGE_OF_STATE = {
  pending: 'updated',
  running: 'updated',
  retrying: 'retry',
  successful: 'completed',
  failed: 'failed',
  skipped: 'skipped',
} as const satisfies Record<TaskState, ChangeKind>

/** A change that has no number yet. */
export type NewChange = Pick<TaskChange, 'kind' | 'at' | 'task'>
