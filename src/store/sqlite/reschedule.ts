/** One batch of a reschedule: copies final entries, moves waiting ones, and passes over minutes that are taken. */
import { randomUUID } from 'node:crypto'
import { FAILURE_STATES, TASK_STATES, isFinal, windowOf } from '../../domain/task.ts'
import type { Task, TaskState } from '../../domain/task.ts'
import type { TaskKey } from '../../domain/task-key.ts'
import { SECONDS_PER_MINUTE } from '../../domain/trigger-time.ts'
import type { RescheduleRequest, Selection } from '../store.ts'
import type { Tally } from './counters.ts'
import { toTask } from './row.ts'
import type { TaskRow } from './row.ts'
import type { Session } from './session.ts'
import type { Statements } from './statements.ts'

const START_OF_SECOND_WALK: TaskKey = { name: '', triggerAt: -1 }

/**
 * Must run inside a write transaction. Entries at or after the new time are walked first, those before it last: an entry
 * then always lands where the walk has already been, so no batch takes what an earlier one made.
 */
export function rescheduleBatch(session: Session, request: RescheduleRequest, tally: Tally): { tasks: Task[]; next?: TaskKey } {
  const isFirstWalk = request.after === undefined || request.after.triggerAt >= request.triggerAt
  const { rows, next } = session.selections.stretch(walked(request, isFirstWalk), request.after, request.limit)
  const tasks = rows.filter((row) => request.all || row.rescheduled_to === null).map((row) => rescheduleRow(session, request, row, tally))
  if (next) return { tasks, next }
  return isFirstWalk ? { tasks, next: START_OF_SECOND_WALK } : { tasks }
}

function walked({ selection, triggerAt, all }: RescheduleRequest, isFirstWalk: boolean): Selection {
  const allowed: readonly TaskState[] = all ? TASK_STATES.filter((state) => state !== 'running') : FAILURE_STATES
  const states = allowed.filter((state) => selection.states?.includes(state) ?? true)
  return isFirstWalk
    ? { ...selection, states, from: Math.max(selection.from ?? 0, triggerAt) }
    : { ...selection, states, to: Math.min(selection.to ?? Infinity, triggerAt) }
}

function rescheduleRow({ statements, bounds }: Session, request: RescheduleRequest, row: TaskRow, tally: Tally): Task {
  const task = toTask(row)
  const triggerAt = freeMinute(statements, row, request.triggerAt)
  const fresh = {
    name: row.name,
    triggerAt,
    lane: row.lane,
    ...windowOf(triggerAt * 1000, task.definition),
    runId: randomUUID(),
    now: request.now,
    rescheduledFrom: row.trigger_at,
    definition: row.definition,
  }
  if (isFinal(row.state)) {
    statements.markRescheduled.run(triggerAt, request.now, row.id)
    statements.insert.run(fresh)
    tally.moved(undefined, 'pending')
  } else {
    statements.reset.run({ ...fresh, id: row.id })
    tally.moved(row.state, 'pending')
  }
  bounds.lower(row.lane, fresh.dueAt)
  return toTask(statements.findByKey.get(row.name, triggerAt) as TaskRow)
}

/** The first minute from `wanted` on that no other entry of the name has. */
function freeMinute(statements: Statements, row: TaskRow, wanted: number): number {
  let minute = wanted
  for (;;) {
    const taken = statements.findState.get(row.name, minute) as { id: number } | undefined
    if (taken === undefined || (taken.id === row.id && !isFinal(row.state))) return minute
    minute += SECONDS_PER_MINUTE
  }
}
