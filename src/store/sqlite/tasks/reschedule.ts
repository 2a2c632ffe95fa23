/** One batch of a reschedule: copies final tasks, moves waiting ones, and passes over taken minutes. */
import { isFinal, newTask } from '../../../domain/task/task.ts'
import type { Task, TaskDefinition } from '../../../domain/task/task.ts'
import { SECONDS_PER_MINUTE } from '../../../domain/time/trigger-time.ts'
import { freshRow } from '../../rules/assign-lane.ts'
import { endBatch, isTaken, ownMinute, startBatch } from '../../rules/reschedule-walk.ts'
import type { RescheduleRequest, Store } from '../../store.ts'
import { parseLane } from '../../rows/lane-name.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { Undo } from '../commit/group-commit.ts'
import { insertRow } from '../rows/insert-rows.ts'
import { readPage } from '../rows/pages.ts'
import { readBack, readTask } from '../rows/rows.ts'
import { replaceRow } from './end-previous-run.ts'
import type { Transaction } from '../session.ts'

const MARK_RESCHEDULED = 'UPDATE tasks SET rescheduled_to = ?, updated = ? WHERE id = ?'
const IS_TAKEN = 'SELECT 1 FROM tasks WHERE name = ? AND trigger_at = ?'

export function rescheduleBatch(transaction: Transaction, request: RescheduleRequest): Awaited<ReturnType<Store['reschedule']>> {
  const batch = startBatch(request)
  const { rows, next } = readPage(transaction.sql, batch.selection, request.after?.key, request.limit)
  const taken = rows.filter((row) => isTaken(request, batch, row))
  const tasks = taken.map((row) => {
    const triggerAt = freeMinute(transaction, row, request.triggerAt, batch.passed)
    return rescheduleRow(transaction, row, { triggerAt, now: request.now })
  })
  const result = endBatch(batch, tasks, next)
  if (request.dryRun) throw new Undo(result)
  return result
}

function rescheduleRow(transaction: Transaction, row: TaskRow, { triggerAt, now }: { triggerAt: number; now: number }): Task {
  const key = { name: row.name, triggerAt }
  const own = { ...newTask(key, JSON.parse(row.definition) as TaskDefinition, now), host: parseLane(row.lane).host }
  const isCopied = isFinal(row.state)
  // Neither a copy nor a moved task continues its series a second time.
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

/**
 * The first minute from `wanted` on that no other task of the name has.
 * @param passed by name, the minute before which every minute is taken
 */
function freeMinute({ sql }: Transaction, row: TaskRow, wanted: number, passed: Map<string, number>): number {
  const own = ownMinute(row, wanted)
  let minute = passed.get(row.name) ?? wanted
  while (minute !== own && sql.get(IS_TAKEN, row.name, minute) !== undefined) minute += SECONDS_PER_MINUTE
  passed.set(row.name, minute)
  return minute
}
