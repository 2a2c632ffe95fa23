/** The ledger of a PostgreSQL database. */
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
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async runs(selection: KeySelection, { after, limit }: { after?: TaskKey; limit: number }): ReturnType<Ledger['runs']> {
    const { rows, next } = await readColumns<LedgerRow>(COLUMNS, this.#queries, selection, after, limit)
    const attempts = await this.#attemptsOf(rows)
    return { entries: rows.map((row) => toLedgerEntry(row, attempts.get(formatTaskKey(keyOf(row))) ?? [])), ...(next && { next }) }
  }

  async #attemptsOf(rows: readonly LedgerRow[]): Promise<Map<string, AttemptRow[]>> {
    const attempts = new Map<string, AttemptRow[]>()
    if (rows.length === 0) return attempts
    for (const row of await this.#queries.query<KeyedAttemptRow>(ATTEMPTS, spanParams(rows.map(keyOf)))) {
      const key = formatTaskKey(keyOf(row))
      const known = attempts.get(key)
      if (known === undefined) attempts.set(key, [row])
      else known.push(row)
    }
    return attempts
  }
}
