/** Reads the ledger of a PostgreSQL database beside the nodes that use it: in one transaction that only reads. */
import type { LedgerSnapshot } from '../ledger.ts'
import { mustKnowVersion, readMigrations } from '../migrator.ts'
import { countAll } from './change-log.ts'
import { Database } from './database.ts'
import type { Queries } from './database.ts'
import { readVersion } from './migrate.ts'
import { PostgresLedger } from './postgres-ledger.ts'

/** Until then nothing has been read: what the transaction sees is what there is at its first query. */
const ONE_MOMENT = 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY'
const TIME = 'SELECT (extract(epoch FROM now()) * 1000)::bigint AS now'
const REMOVED_RUNS = 'SELECT coalesce(sum(n), 0)::bigint AS n FROM callme.removed_runs WHERE trigger_at >= $1 AND trigger_at < $2'

/** @throws CallmeError `store_unavailable` where the database does not answer or is older than this callme, `store_too_new` where it is newer */
export async function readPostgresLedger<T>(url: string, read: (ledger: LedgerSnapshot) => Promise<T>): Promise<T> {
  const database = new Database(url, 1)
  try {
    const { current, worksWith } = await readVersion(database)
    mustKnowVersion(readMigrations('postgres'), current, worksWith)
    return await database.repeatable(async (queries) => {
      await queries.query(ONE_MOMENT)
      const [row] = await queries.query<{ now: number }>(TIME)
      return read(new PostgresSnapshot(queries, row?.now ?? Date.now()))
    })
  } finally {
    await database.end()
  }
}

class PostgresSnapshot extends PostgresLedger implements LedgerSnapshot {
  readonly takenAt: number
  readonly #queries: Queries

  constructor(queries: Queries, takenAt: number) {
    super(queries)
    this.#queries = queries
    this.takenAt = takenAt
  }

  async removedRuns({ from, to }: { from: number; to: number }): Promise<number> {
    const [row] = await this.#queries.query<{ n: number }>(REMOVED_RUNS, [from, to])
    return row?.n ?? 0
  }

  counted(): Promise<number> {
    return countAll(this.#queries)
  }
}
