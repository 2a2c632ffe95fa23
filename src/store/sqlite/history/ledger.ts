/** The ledger and the attempts of a SQLite file. */
import { LEDGER_COLUMNS, toLedgerTask, type LedgerRow } from '../../rows/ledger-row.ts'
import { ATTEMPT_COLUMNS, toAttempt, type AttemptRow } from '../../rows/task-row.ts'
import { readPage } from '../rows/pages.ts'
import type { Session, Verb } from '../session.ts'

type Row = LedgerRow & { readonly id: number }

const COLUMNS = ['id', ...LEDGER_COLUMNS].map((column) => `tasks.${column}`).join(', ')
const ATTEMPTS = `SELECT ${ATTEMPT_COLUMNS} FROM attempts WHERE task_id = ? ORDER BY run_id, number`
// A clock that was set back between two attempts must not change their order: the numbers decide within a run.
const HISTORY = `
  SELECT ${ATTEMPT_COLUMNS}, definition FROM attempts
  WHERE task_id = (SELECT id FROM tasks WHERE name = ? AND trigger_at = ?)
  ORDER BY min(started_at) OVER (PARTITION BY run_id), run_id, number`

/** The attempts of a task over all its runs, the oldest first. */
export const readHistory: Verb<'history', Session> = ({ sql }, { name, triggerAt }) => {
  return sql.all<AttemptRow>(HISTORY, name, triggerAt).map(toAttempt)
}

export const readRuns: Verb<'runs', Pick<Session, 'sql'>> = ({ sql }, selection, page) => {
  const { rows, next } = readPage<Row>(sql, selection, page, COLUMNS)
  const tasks = rows.map((row) => toLedgerTask(row, sql.all<AttemptRow>(ATTEMPTS, row.id)))
  return { tasks, ...(next && { next }) }
}
