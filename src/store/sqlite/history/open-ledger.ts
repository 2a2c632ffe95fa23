/** Reads the ledger of a SQLite file in one transaction that writes nothing. A running callme may have the file open meanwhile. */
import SqliteDatabase, { type Database } from 'better-sqlite3'
import type { LedgerSnapshot, PastRunCount } from '../../ledger.ts'
import { mustKnowVersion, readMigrations } from '../../migrations.ts'
import { Sql } from '../commit/sql.ts'
import { openingError } from '../commit/store-error.ts'
import { readRuns } from './ledger.ts'

const PAST_RUNS = 'SELECT standing, sum(n) AS n FROM past_runs WHERE trigger_at >= ? AND trigger_at < ? GROUP BY standing'
const COUNTED = 'SELECT sum(n) FROM task_counts'

/** @throws CallmeError `store_unavailable` where the file cannot be read or is older than this callme, `store_too_new` where it is newer */
export async function readSqliteLedger<T>(path: string, read: (ledger: LedgerSnapshot) => Promise<T>): Promise<T> {
  const db = openReadOnly(path)
  try {
    db.exec('BEGIN')
    mustKnowVersion(`the store ${path}`, readMigrations('sqlite'), db.pragma('user_version', { simple: true }) as number)
    return await read(snapshotOf(db))
  } catch (error) {
    throw openingError(error, path, 'read')
  } finally {
    db.close()
  }
}

function openReadOnly(path: string): Database {
  try {
    return new SqliteDatabase(path, { readonly: true, fileMustExist: true })
  } catch (error) {
    throw openingError(error, path, 'read')
  }
}

/** The ledger at one moment: the caller keeps a transaction open, or nobody writes meanwhile. */
/* eslint-disable @typescript-eslint/require-await -- a promise turns a thrown error into a rejection */
export function snapshotOf(db: Database): LedgerSnapshot {
  const sql = new Sql(db)
  return {
    takenAt: Date.now(),
    runs: async (selection, page) => readRuns({ sql }, selection, page),
    pastRuns: async ({ from, to }) => sql.all<PastRunCount>(PAST_RUNS, from, to),
    counted: async () => sql.value<number>(COUNTED),
  }
}
