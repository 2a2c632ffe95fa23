/** Changes a task in its place: one that waits, or one that has ended and runs again. */
import { servesTasksWithoutCallback } from '../../../domain/task/handler.ts'
import { otherInSeries, planEdit } from '../../rules/edited-task.ts'
import { findRow, readBack, readTask } from '../rows/rows.ts'
import { replaceRow } from './end-previous-run.ts'
import { waitingInSeries } from './series.ts'
import type { Verb } from '../session.ts'

const KEEP_DEFINITION = 'UPDATE attempts SET definition = ? WHERE task_id = ? AND run_id = ? AND number = ?'

export const editTask: Verb<'edit'> = (transaction, key, revise, { now, run }) => {
  const { sql, handlers, changes } = transaction
  const row = findRow(transaction, key)
  if (row === undefined) return { status: 'unknown' }
  const plan = planEdit(handlers, row, readTask(transaction, row), { revise, now, run })
  if (!('fresh' in plan)) return plan
  const { fresh, isMoved, needsHandler, beginsSeries, kept } = plan
  if (needsHandler && !servesTasksWithoutCallback(handlers.of(key.name)?.definition)) return { status: 'no_callback' }
  const { name, triggerAt } = fresh
  if (isMoved && findRow(transaction, fresh) !== undefined) return { status: 'minute_taken', key: { name, triggerAt } }
  const other = beginsSeries ? otherInSeries(waitingInSeries(transaction, name), row) : undefined
  if (other !== undefined) return { status: 'in_series', key: other }
  if (kept !== undefined) sql.run(KEEP_DEFINITION, kept, row.id, row.run_id, row.attempts)
  replaceRow(transaction, row, fresh)
  const task = readBack(transaction, fresh)
  changes.moved(key, row.state, 'pending')
  changes.emit('updated', task, now)
  return { status: 'edited', task }
}
