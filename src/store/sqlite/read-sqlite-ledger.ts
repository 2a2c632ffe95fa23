/** Reads the ledger of a SQLite file beside the callme that may have it open: in one transaction that only reads. */
import SqliteDatabase from 'better-sqlite3'
import type { Database } from 'better-sqlite3'
import { CallmeError } from '../../domain/errors.ts'
import type { LedgerSnapshot } from '../ledger.ts'
import { mustKnowVersion, readMigrations } from '../migrator.ts'
import { SqliteLedger } from './sqlite-ledger.ts'
import { storeError } from './store-error.ts'

/** @throws CallmeError `store_unavailable` where the file cannot be read or is older than this callme, `store_too_new` where it is newer */
export async function readSqliteLedger<T>(path: string, read: (ledger: LedgerSnapshot) => Promise<T>): Promise<T> {
  const db = openReadOnly(path)
  try {
    db.exec('BEGIN')
    mustKnowVersion(readMigrations('sqlite'), db.pragma('user_version', { simple: true }) as number)
    return await read(new SqliteSnapshot(db))
  } catch (error) {
    throw storeError(error)
  } finally {
    db.close()
  }
}

function openReadOnly(path: string): Database {
  try {
    return new SqliteDatabase(path, { readonly: true, fileMustExist: true })
  } catch (error) {
    throw new CallmeError('store_unavailable', `cannot open ${path}: ${(error as Error).message}`, { cause: error })
  }
}

/** Of a database in which nothing is written meanwhile, or of one that is in a transaction. */
export class SqliteSnapshot extends SqliteLedger implements LedgerSnapshot {
  readonly takenAt = Date.now()
  readonly #db: Database

  constructor(db: Database) {
    super(db)
    this.#db = db
  }

  removedRuns({ from, to }: { from: number; to: number }): Promise<number> {
    return this.#number('SELECT coalesce(sum(n), 0) FROM removed_runs WHERE trigger_at >= ? AND trigger_at < ?', from, to)
  }

  counted(): Promise<number> {
    return this.#number('SELECT sum(n) FROM task_counts')
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the promise turns a thrown error into a rejection
  async #number(sql: string, ...params: number[]): Promise<number> {
    return this.#db
      .prepare(sql)
      .pluck()
      .get(...params) as number
  }
}
