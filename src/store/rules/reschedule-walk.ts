/**
 * Which tasks a reschedule takes. With `all` it goes through the tasks twice: first through those that wait at the new time or later, each
 * of which moves to its own minute at the latest, then through all others. So no batch takes a task that an earlier batch has made.
 */
import { FAILURE_STATES, TASK_STATES, WAITING_STATES, isFinal, type Task, type TaskState } from '../../domain/task/task.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import type { RescheduleCursor, RescheduleRequest, Selection } from '../store.ts'
import type { TaskRow } from '../rows/task-row.ts'

const NOT_RUNNING = TASK_STATES.filter((state) => state !== 'running')
/** This many names are remembered from batch to batch. */
const MOST_PASSED = 10_000

export interface RescheduleBatch {
  /** whether the tasks are due now, whatever minutes are free */
  readonly atOnce: boolean
  readonly isFirstWalk: boolean
  /** the tasks to go through */
  readonly selection: Selection
  /** by name, the minute before which every minute is taken: no later task, of this batch or a following one, looks at them again */
  readonly passed: Map<string, number>
}

export function startBatch({ selection, triggerAt, now, all, after }: RescheduleRequest): RescheduleBatch {
  const isFirstWalk = after?.isFirstWalk ?? all
  const allowed: readonly TaskState[] = isFirstWalk ? WAITING_STATES : all ? NOT_RUNNING : FAILURE_STATES
  const states = allowed.filter((state) => selection.states?.includes(state) ?? true)
  const from = isFirstWalk ? { from: Math.max(selection.from ?? 0, triggerAt) } : {}
  // The map is a copy, because a write may be run again.
  const passed = new Map(after !== undefined && after.passed.size < MOST_PASSED ? after.passed : [])
  return { atOnce: triggerAt * 1000 <= now, isFirstWalk, selection: { ...selection, states, ...from }, passed }
}

/** Whether a task of the batch is rescheduled. */
export function isTaken({ triggerAt, all }: RescheduleRequest, { isFirstWalk }: RescheduleBatch, row: TaskRow): boolean {
  if (isFirstWalk) return true
  return all ? isFinal(row.state) || row.trigger_at < triggerAt : row.rescheduled_to === null
}

/** A task that waits at the new time or later keeps its minute where no earlier one is free. Infinity for any other task. */
export function ownMinute(row: TaskRow, wanted: number): number {
  return isFinal(row.state) || row.trigger_at < wanted ? Infinity : row.trigger_at
}

/** @param next where the following batch of the same walk starts */
export function endBatch(batch: RescheduleBatch, tasks: Task[], next: TaskKey | undefined): { tasks: Task[]; next?: RescheduleCursor } {
  const { isFirstWalk, passed } = batch
  if (next) return { tasks, next: { isFirstWalk, key: next, passed } }
  return isFirstWalk ? { tasks, next: { isFirstWalk: false, passed } } : { tasks }
}
