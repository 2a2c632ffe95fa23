/**
 * Which entries a reschedule goes through, and which of these it takes. No batch takes what an earlier one made, because that waits at
 * the new time or after it: the waiting entries there are walked first, each of which moves to its own minute at the latest, then all
 * others are.
 */
import { FAILURE_STATES, TASK_STATES, WAITING_STATES, isFinal } from '../../domain/task/task.ts'
import type { TaskState } from '../../domain/task/task.ts'
import type { RescheduleRequest, Selection } from '../store.ts'
import type { TaskRow } from '../rows/task-row.ts'

const NOT_RUNNING = TASK_STATES.filter((state) => state !== 'running')

export function walked({ selection, triggerAt, all }: RescheduleRequest, isFirstWalk: boolean): Selection {
  const allowed: readonly TaskState[] = isFirstWalk ? WAITING_STATES : all ? NOT_RUNNING : FAILURE_STATES
  const states = allowed.filter((state) => selection.states?.includes(state) ?? true)
  return isFirstWalk ? { ...selection, states, from: Math.max(selection.from ?? 0, triggerAt) } : { ...selection, states }
}

/** Of the second walk. */
export function isTaken({ triggerAt, all }: RescheduleRequest, row: TaskRow): boolean {
  return all ? isFinal(row.state) || row.trigger_at < triggerAt : row.rescheduled_to === null
}
