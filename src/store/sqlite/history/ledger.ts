/** The ledger of a SQLite file. */
import type { Database, Statement } from 'better-sqlite3'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { KeySelection, Ledger } from '../../ledger.ts'
import { LEDGER_COLUMNS, toLedgerEntry } from '../../rows/ledger-row.ts'
import type { LedgerRow } from '../../rows/ledger-row.ts'
import { ATTEMPT_COLUMNS } from '../../rows/task-row.ts'
import type { AttemptRow } from '../../rows/task-row.ts'
import { Pages } from '../rows/pages.ts'
import { storeError } from '../commit/store-error.ts'

type Row = LedgerRow & { readonly id: number }

const COLUMNS = ['id', ...LEDGER_COLUMNS].map((column) => `tasks.${column}`).join(', ')

export class SqliteLedger implements Ledger {
  readonly #selections: Pages<Row>
  readonly #attempts: Statement

  constructor(db: Database) {
    this.#selections = new Pages<Row>(db, COLUMNS)
    this.#attempts = db.prepare(`SELECT ${ATTEMPT_COLUMNS} FROM attempts WHERE task_id = ? ORDER BY run_id, number`)
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the promise turns a thrown error into a rejection
  async runs(selection: KeySelection, { after, limit }: { after?: TaskKey; limit: number }): ReturnType<Ledger['runs']> {
    try {
      const { rows, next } = this.#selections.page(selection, after, limit)
      const entries = rows.map((row) => toLedgerEntry(row, this.#attempts.all(row.id) as AttemptRow[]))
      return { entries, ...(next && { next }) }
    } catch (error) {
      throw storeError(error)
    }
  }
}
