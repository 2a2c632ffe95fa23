/** What listeners are told about tasks: each change of one, once, in the order in which it was stored. */
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
  /** removed by a client; what retention removes is not told */
  'deleted',
] as const

export type ChangeKind = (typeof CHANGE_KINDS)[number]

export interface TaskChange {
  /** grows with every change; not every number is used */
  readonly id: number
  readonly kind: ChangeKind
  /** epoch ms */
  readonly at: number
  /** as it was after the change; before it where it was deleted */
  readonly task: Task
  /** whether the task's payload was left out because it is large */
  readonly withoutPayload?: true
}

/** What a verdict that led a task to `state` is to listeners. */
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
