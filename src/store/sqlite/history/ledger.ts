/** The ledger and the attempts of a SQLite file. */
import type { Attempt } from '../../../domain/task/task.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { KeySelection, Ledger } from '../../ledger.ts'
import { LEDGER_COLUMNS, toLedgerEntry } from '../../rows/ledger-row.ts'
import type { LedgerRow } from '../../rows/ledger-row.ts'
import { ATTEMPT_COLUMNS, toAttempt } from '../../rows/task-row.ts'
import type { AttemptRow } from '../../rows/task-row.ts'
import type { Sql } from '../commit/sql.ts'
import { readColumns } from '../rows/pages.ts'

/** What the ledger is read from: a session, or a file that is only read. */
interface Reading {
  readonly sql: Sql
}

type Row = LedgerRow & { readonly id: number }

const COLUMNS = ['id', ...LEDGER_COLUMNS].map((column) => `tasks.${column}`).join(', ')
const ATTEMPTS = `SELECT ${ATTEMPT_COLUMNS} FROM attempts WHERE task_id = ? ORDER BY run_id, number`
// Within a run the numbers count: the clock may have been set back between two attempts.
const HISTORY = `
  SELECT ${ATTEMPT_COLUMNS} FROM attempts
  WHERE task_id = (SELECT id FROM tasks WHERE name = ? AND trigger_at = ?)
  ORDER BY min(started_at) OVER (PARTITION BY run_id), run_id, number`

/** The attempts of a task over all its runs, the oldest first. */
export function readHistory({ sql }: Reading, { name, triggerAt }: TaskKey): Attempt[] {
  return sql.all<AttemptRow>(HISTORY, name, triggerAt).map(toAttempt)
}

/** One page of the ledger. */
export function readRuns(
  { sql }: Reading,
  selection: KeySelection,
  { after, limit }: { after?: TaskKey; limit: number },
): Awaited<ReturnType<Ledger['runs']>> {
  const { rows, next } = readColumns<Row>(COLUMNS, sql, selection, after, limit)
  const entries = rows.map((row) => toLedgerEntry(row, sql.all<AttemptRow>(ATTEMPTS, row.id)))
  return { entries, ...(next && { next }) }
}
