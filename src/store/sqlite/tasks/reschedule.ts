/** Reschedules one batch of tasks: final tasks are copied, waiting tasks move, taken minutes are passed over. */
import { isFinal, newTask, type Task } from '../../../domain/task/task.ts'
import { SECONDS_PER_MINUTE } from '../../../domain/time/trigger-time.ts'
import { freshRow } from '../../rules/assign-lane.ts'
import { endBatch, isTaken, ownMinute, startBatch } from '../../rules/reschedule-walk.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { ownDefinition, type TaskRow } from '../../rows/task-row.ts'
import { Undo } from '../commit/group-commit.ts'
import { readPage } from '../rows/pages.ts'
import { insertRow, readBack, readTask } from '../rows/rows.ts'
import { replaceRow } from './end-previous-run.ts'
import type { Transaction, Verb } from '../session.ts'

const MARK_RESCHEDULED = 'UPDATE tasks SET rescheduled_to = ?, updated = ? WHERE id = ?'
const IS_TAKEN = 'SELECT 1 FROM tasks WHERE name = ? AND trigger_at = ?'

export const rescheduleBatch: Verb<'reschedule'> = (transaction, request) => {
  const batch = startBatch(request)
  const { rows, next } = readPage(transaction.sql, batch.selection, { after: request.after?.key, limit: request.limit })
  const taken = rows.filter((row) => isTaken(request, batch, row))
  const tasks = taken.map((row) => {
    const triggerAt = freeMinute(transaction, row, request.triggerAt, batch.passed)
    return rescheduleRow(transaction, row, { triggerAt, now: request.now, atOnce: batch.atOnce })
  })
  const result = endBatch(batch, tasks, next)
  if (request.dryRun) throw new Undo(result)
  return result
}

interface NewTime {
  readonly triggerAt: number
  readonly now: number
  readonly atOnce: boolean
}

function rescheduleRow(transaction: Transaction, row: TaskRow, { triggerAt, now, atOnce }: NewTime): Task {
  const key = { name: row.name, triggerAt }
  const own = { ...newTask(key, ownDefinition(row), now, atOnce), host: parseLane(row.lane).host }
  const isCopied = isFinal(row.state)
  // A series goes on once: neither the copy nor the moved task continues it a second time.
  const kept = { definition: row.definition, rescheduledFrom: row.trigger_at, repeatedTo: row.repeated_to }
  const fresh = freshRow(transaction.handlers, own, { now, ...kept }).row
  if (isCopied) {
    transaction.sql.run(MARK_RESCHEDULED, triggerAt, now, row.id)
    transaction.changes.emit('updated', readTask(transaction, { ...row, rescheduled_to: triggerAt, updated: now }), now)
    insertRow(transaction, fresh)
  } else replaceRow(transaction, row, fresh)
  transaction.changes.moved(key, isCopied ? undefined : row.state, 'pending')
  const task = readBack(transaction, key)
  transaction.changes.emit(isCopied ? 'created' : 'updated', task, now)
  return task
}

/** The first minute from `wanted` on that no other task of the name has. @param passed as in `RescheduleBatch` */
function freeMinute({ sql }: Transaction, row: TaskRow, wanted: number, passed: Map<string, number>): number {
  const own = ownMinute(row, wanted)
  let minute = passed.get(row.name) ?? wanted
  while (minute !== own && sql.get(IS_TAKEN, row.name, minute) !== undefined) minute += SECONDS_PER_MINUTE
  passed.set(row.name, minute)
  return minute
}
