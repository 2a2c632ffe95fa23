/** Retention: removes final tasks that nobody has changed for long, and the counts of runs before them. */
import type { TaskRow } from '../../rows/task-row.ts'
import { removeRows } from '../tasks/remove.ts'
import type { Transaction } from '../session.ts'

const FINISHED = `
  SELECT id, name, state FROM tasks INDEXED BY tasks_finished
  WHERE state IN ('successful', 'failed', 'skipped') AND updated < ? ORDER BY updated LIMIT ?`
const REMOVE_PAST_RUNS = 'DELETE FROM past_runs WHERE trigger_at < ?'

/** @returns how many tasks were removed */
export function pruneRows(transaction: Transaction, { before, limit }: { before: number; limit: number }): number {
  transaction.sql.run(REMOVE_PAST_RUNS, before / 1000)
  return removeRows(transaction, transaction.sql.all<Pick<TaskRow, 'id' | 'name' | 'state'>>(FINISHED, before, limit))
}
