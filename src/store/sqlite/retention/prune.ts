/** Removes final tasks whose last change is old, and the counts of past runs of that time. */
import type { TaskRow } from '../../rows/task-row.ts'
import { removeRows } from '../tasks/remove.ts'
import type { Verb } from '../session.ts'

const FINISHED = `
  SELECT id, name, state, octet_length(definition) AS bytes FROM tasks INDEXED BY tasks_finished
  WHERE state IN ('successful', 'failed', 'skipped') AND updated < ? ORDER BY updated LIMIT ?`
const REMOVE_PAST_RUNS = 'DELETE FROM past_runs WHERE trigger_at < ?'

export const pruneRows: Verb<'prune'> = (transaction, { before, limit }) => {
  transaction.sql.run(REMOVE_PAST_RUNS, before / 1000)
  type Row = Pick<TaskRow, 'id' | 'name' | 'state'> & { readonly bytes: number }
  // SQLite reads what it removes.
  return removeRows(transaction, transaction.sql.bounded<Row>(FINISHED, [before, limit], ({ bytes }) => bytes).rows)
}
