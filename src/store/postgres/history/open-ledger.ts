/** Reads the ledger beside live nodes, as of one moment: in one transaction that only reads. */
import type { LedgerSnapshot, PastRunCount } from '../../ledger.ts'
import { mustKnowVersion, readMigrations } from '../../migrations.ts'
import { Database, one } from '../commit/database.ts'
import { readVersion } from '../commit/migrate.ts'
import { openingError } from '../commit/store-error.ts'
import { countAll } from './change-log.ts'
import { readRuns } from './ledger.ts'

/** The moment is that of the next query. The locks keep partitions from being made or dropped. */
const ONE_MOMENT = [
  'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY',
  'LOCK TABLE callme.tasks, callme.finished, callme.attempts IN ACCESS SHARE MODE',
]
const TIME = 'SELECT (extract(epoch FROM now()) * 1000)::bigint AS now'
const PAST_RUNS = 'SELECT standing, sum(n)::bigint AS n FROM callme.past_runs WHERE trigger_at >= $1 AND trigger_at < $2 GROUP BY standing'

/** @param name for sentences, without a password @throws CallmeError `store_unavailable` for a database that does not answer or is older than this callme, `store_too_new` for a newer one */
export async function readPostgresLedger<T>(url: string, read: (ledger: LedgerSnapshot) => Promise<T>, name = 'the store'): Promise<T> {
  const database = new Database(url, 1)
  try {
    const { current, worksWith } = await readVersion(database)
    mustKnowVersion(name, readMigrations('postgres'), current, worksWith)
    return await database.repeatable(async (queries) => {
      for (const sql of ONE_MOMENT) await queries.query(sql)
      return read({
        takenAt: one(await queries.query<{ now: number }>(TIME)).now,
        runs: (selection, page) => readRuns(queries, selection, page),
        pastRuns: ({ from, to }) => queries.query<PastRunCount>(PAST_RUNS, [from, to]),
        counted: () => countAll(queries),
      })
    })
  } catch (error) {
    throw openingError(error, name)
  } finally {
    await database.end()
  }
}
