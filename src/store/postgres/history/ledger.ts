/** Reads runs and their attempts, page by page. */
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { KeySelection, Ledger } from '../../ledger.ts'
import { LEDGER_COLUMNS, toLedgerEntry } from '../../rows/ledger-row.ts'
import type { LedgerRow } from '../../rows/ledger-row.ts'
import { ATTEMPT_COLUMNS } from '../../rows/task-row.ts'
import type { AttemptRow } from '../../rows/task-row.ts'
import type { Queries } from '../commit/database.ts'
import { KEYS, keyOf, ofKeys, spanParams } from '../rows/rows.ts'
import { readColumns } from '../rows/pages.ts'

const COLUMNS = LEDGER_COLUMNS.map((column) => `t.${column}`).join(', ')
const ATTEMPTS = `
  SELECT a.name, a.trigger_at, ${ATTEMPT_COLUMNS} FROM ${KEYS} JOIN callme.attempts a ON ${ofKeys('a')} ORDER BY a.run_id, a.number`

type KeyedAttemptRow = AttemptRow & Pick<LedgerRow, 'name' | 'trigger_at'>

export class PostgresLedger implements Ledger {
  protected readonly queries: Queries

  constructor(queries: Queries) {
    this.queries = queries
  }

  async runs(selection: KeySelection, { after, limit }: { after?: TaskKey; limit: number }): ReturnType<Ledger['runs']> {
    const { rows, next } = await readColumns<LedgerRow>(COLUMNS, this.queries, selection, after, limit)
    const params = spanParams(rows.map(keyOf))
    const attempts = rows.length === 0 ? [] : await this.queries.query<KeyedAttemptRow>(ATTEMPTS, params)
    const byTask = Map.groupBy(attempts, (attempt) => formatTaskKey(keyOf(attempt)))
    const entries = rows.map((row) => toLedgerEntry(row, byTask.get(formatTaskKey(keyOf(row))) ?? []))
    return { entries, ...(next && { next }) }
  }
}
