/** Inserts fresh rows. */
import { pendingTask } from '../../../domain/task/task.ts'
import type { NewTask, Task } from '../../../domain/task/task.ts'
import type { FreshRow } from '../../rules/assign-lane.ts'
import type { Transaction } from '../session.ts'

const INSERT = `
  INSERT INTO tasks (id, name, trigger_at, state, lane, due_at, deadline, run_id, attempts, lost, in_advance, created, updated,
    rescheduled_from, repeated_to, definition)
  VALUES (@id, @name, @triggerAt, 'pending', @lane, @dueAt, @deadline, @runId, 0, 0, 0, @now, @now, @rescheduledFrom, @repeatedTo,
    @definition)
  ON CONFLICT (name, trigger_at) DO NOTHING`

/** @returns false, with nothing changed, where the key is taken */
export function insertRow({ sql, cursors, rowIds }: Transaction, row: FreshRow): boolean {
  const isNew = sql.run(INSERT, { ...row, id: rowIds.next(row.triggerAt) }) === 1
  if (isNew) cursors.lower(row.lane, row.dueAt)
  return isNew
}

/** Inserts the row of a fresh task, counts it and emits it. @returns undefined, with nothing changed, where the key is taken */
export function insertTask(transaction: Transaction, { row, task }: { row: FreshRow; task: NewTask }): Task | undefined {
  if (!insertRow(transaction, row)) return undefined
  const created = pendingTask(task, { created: row.now, now: row.now })
  transaction.changes.moved(task, undefined, 'pending')
  transaction.changes.emit('created', created, row.now)
  return created
}
