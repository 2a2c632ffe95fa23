/** Reads the attempts of a task, and runs with their attempts page by page. */
import type { Attempt } from '../../../domain/task/attempt.ts'
import { formatTaskKey, type TaskKey } from '../../../domain/task/task-key.ts'
import type { KeySelection, Ledger } from '../../ledger.ts'
import { LEDGER_COLUMNS, toLedgerTask, type LedgerRow } from '../../rows/ledger-row.ts'
import { ATTEMPT_COLUMNS, toAttempt, type AttemptRow } from '../../rows/task-row.ts'
import type { Queries } from '../commit/database.ts'
import { KEYS, keyOf, ofKeys, spanParams } from '../rows/rows.ts'
import { readColumns } from '../rows/pages.ts'

const COLUMNS = LEDGER_COLUMNS.map((column) => `t.${column}`).join(', ')
const ATTEMPTS = `
  SELECT a.name, a.trigger_at, ${ATTEMPT_COLUMNS} FROM ${KEYS} JOIN callme.attempts a ON ${ofKeys('a')} ORDER BY a.run_id, a.number`
/** The numbers of a run give the order of its attempts, because the clock may have been set back between two of them. */
const HISTORY = `
  SELECT ${ATTEMPT_COLUMNS}, definition FROM callme.attempts WHERE trigger_at = $2 AND name = $1
  ORDER BY min(started_at) OVER (PARTITION BY run_id), run_id, number`

/** The attempts of a task over all its runs, oldest first. */
export async function readHistory(queries: Queries, { name, triggerAt }: TaskKey): Promise<Attempt[]> {
  return (await queries.query<AttemptRow>(HISTORY, [name, triggerAt])).map(toAttempt)
}

export async function readRuns(queries: Queries, selection: KeySelection, page: Parameters<Ledger['runs']>[1]): ReturnType<Ledger['runs']> {
  const { rows, next } = await readColumns<LedgerRow>(COLUMNS, queries, selection, page.after, page.limit)
  type Row = AttemptRow & Pick<LedgerRow, 'name' | 'trigger_at'>
  const attempts = rows.length === 0 ? [] : await queries.query<Row>(ATTEMPTS, spanParams(rows.map(keyOf)))
  const byTask = Map.groupBy(attempts, (attempt) => formatTaskKey(keyOf(attempt)))
  const tasks = rows.map((row) => toLedgerTask(row, byTask.get(formatTaskKey(keyOf(row))) ?? []))
  return { tasks, ...(next && { next }) }
}
