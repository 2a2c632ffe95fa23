/** Ends waiting tasks whose deadline has passed. */
import type { Task } from '../../../domain/task/task.ts'
import { expiryOf, taskAfter } from '../../rules/report-effects.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { readTask } from '../rows/rows.ts'
import { continueSeries } from '../tasks/series.ts'
import { emitReport } from './record.ts'
import type { Transaction, Verb } from '../session.ts'

const EXPIRED = `
  SELECT * FROM tasks INDEXED BY tasks_deadline WHERE state IN ('pending', 'retrying') AND deadline <= ? ORDER BY deadline LIMIT ?`
const EXTEND = 'UPDATE tasks SET deadline = ? WHERE id = ?'
const END = 'UPDATE tasks SET state = @state, error = @error, updated = @now WHERE id = @id'

export const expireRows: Verb<'expire'> = (transaction, { now, limit }) => {
  const { rows, isCut } = transaction.sql.bounded<TaskRow>(EXPIRED, [now, limit], ({ definition }) => definition.length)
  return { tasks: rows.flatMap((row) => expireRow(transaction, row, now) ?? []), more: isCut || rows.length === limit }
}

function expireRow(transaction: Transaction, row: TaskRow, now: number): Task | undefined {
  const task = readTask(transaction, row)
  const expiry = expiryOf(task, now)
  if ('extendedTo' in expiry) {
    transaction.sql.run(EXTEND, expiry.extendedTo, row.id)
    transaction.cursors.lower(row.lane, row.due_at)
    return undefined
  }
  const { report } = expiry
  const { state, error } = report.update
  transaction.sql.run(END, { id: row.id, state, error, now })
  const repeatedTo = continueSeries(transaction, row, now)
  return emitReport(transaction, report, { ...taskAfter(report, task.executedAt), repeatedTo })
}
