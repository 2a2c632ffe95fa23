/** One batch of a reschedule: copies final entries, moves waiting ones, and passes over minutes that are taken. */
import { isFinal, newTask } from '../../../domain/task/task.ts'
import type { Task, TaskDefinition } from '../../../domain/task/task.ts'
import { SECONDS_PER_MINUTE } from '../../../domain/time/trigger-time.ts'
import type { Changes } from '../../rules/changes.ts'
import { endBatch, isTaken, ownMinute, startBatch } from '../../rules/reschedule-walk.ts'
import { assignLane } from '../../rules/assign-lane.ts'
import type { RescheduleRequest, Store } from '../../store.ts'
import { endPreviousRun, insertRow, readBack, readTask } from '../rows/entries.ts'
import { parseLane } from '../../rows/lane-name.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Session } from '../session.ts'
import type { Statements } from '../statements.ts'

type Batch = Awaited<ReturnType<Store['reschedule']>>

/**
 * Must run inside a write transaction. No batch takes what an earlier one made, because that waits at the new time or after it: the
 * waiting entries there are walked first, each of which moves to its own minute at the latest, then all others are.
 */
export function rescheduleBatch(session: Session, request: RescheduleRequest, changes: Changes): Batch {
  const batch = startBatch(request)
  const { rows, next } = session.pages.page(batch.selection, request.after?.key, request.limit)
  const taken = rows.filter((row) => isTaken(request, batch, row))
  const tasks = taken.map((row) => {
    const triggerAt = freeMinute(session.statements, row, request.triggerAt, batch.passed)
    return rescheduleRow(session, row, { triggerAt, now: request.now }, changes)
  })
  return endBatch(batch, tasks, next)
}

function rescheduleRow(session: Session, row: TaskRow, { triggerAt, now }: { triggerAt: number; now: number }, changes: Changes): Task {
  const { statements, cursors } = session
  const own = JSON.parse(row.definition) as TaskDefinition
  const key = { name: row.name, triggerAt }
  const { lane, dueAt, deadline, runId } = assignLane(session.handlers, { ...newTask(key, own, now), host: parseLane(row.lane).host })
  const fresh = { ...key, lane, dueAt, deadline, runId, now, rescheduledFrom: row.trigger_at, definition: row.definition }
  // A copy is no part of the series that its original belongs to; what moves takes its place in it along.
  const repeatedTo = row.repeated_to
  if (isFinal(row.state)) {
    statements.markRescheduled.run(triggerAt, now, row.id)
    changes.emit('updated', readTask(session, { ...row, rescheduled_to: triggerAt, updated: now }), now)
    insertRow(session, { ...fresh, repeatedTo })
    changes.moved(key, undefined, 'pending')
  } else {
    statements.reset.run({ ...fresh, repeatedTo, id: row.id })
    endPreviousRun(session, row, changes)
    cursors.lower(lane, dueAt)
    changes.moved(key, row.state, 'pending')
  }
  const task = readBack(session, key)
  changes.emit(isFinal(row.state) ? 'created' : 'updated', task, now)
  return task
}

/**
 * The first minute from `wanted` on that no other entry of the name has.
 * @param passed by name, the minute before which all were found taken: no later entry, of this batch or a following one, has to pass over them again
 */
function freeMinute(statements: Statements, row: TaskRow, wanted: number, passed: Map<string, number>): number {
  const own = ownMinute(row, wanted)
  let minute = passed.get(row.name) ?? wanted
  while (minute !== own && statements.findState.get(row.name, minute) !== undefined) minute += SECONDS_PER_MINUTE
  passed.set(row.name, minute)
  return minute
}
