/** Ends waiting tasks whose deadline has passed. */
import type { Task } from '../../../domain/task/task.ts'
import type { Changes } from '../../rules/changes.ts'
import { expiryOf, taskAfter } from '../../rules/report-effects.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { readTask } from '../rows/rows.ts'
import { continueSeries } from '../tasks/series.ts'
import { emitReport } from './record.ts'
import type { Session } from '../session.ts'

const EXPIRED = `
  SELECT * FROM tasks INDEXED BY tasks_deadline WHERE state IN ('pending', 'retrying') AND deadline <= ? ORDER BY deadline LIMIT ?`
const EXTEND = 'UPDATE tasks SET deadline = ? WHERE id = ?'
const END = 'UPDATE tasks SET state = @state, error = @error, updated = @now WHERE id = @id'

/** Must run inside a write transaction. */
export function expireRows(
  session: Session,
  { now, limit }: { now: number; limit: number },
  changes: Changes,
): { tasks: Task[]; more: boolean } {
  const rows = session.sql.all<TaskRow>(EXPIRED, now, limit)
  return { tasks: rows.flatMap((row) => expireRow(session, row, now, changes) ?? []), more: rows.length === limit }
}

function expireRow(session: Session, row: TaskRow, now: number, changes: Changes): Task | undefined {
  const task = readTask(session, row)
  const expiry = expiryOf(task, now)
  if ('extendedTo' in expiry) {
    session.sql.run(EXTEND, expiry.extendedTo, row.id)
    session.cursors.lower(row.lane, row.due_at)
    return undefined
  }
  const { report } = expiry
  const { state, error } = report.update
  session.sql.run(END, { id: row.id, state, error, now })
  const repeatedTo = continueSeries(session, row, now, changes)
  return emitReport(session, report, { ...taskAfter(report, task.executedAt), repeatedTo }, changes)
}
