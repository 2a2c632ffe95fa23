/** Opens a SQLite file for one process: lock, durability settings, migrations. */
import { realpathSync } from 'node:fs'
import { dirname, join, basename } from 'node:path'
import SqliteDatabase, { SqliteError } from 'better-sqlite3'
import type { Database } from 'better-sqlite3'
import { CallmeError } from '../../domain/errors.ts'
import { pendingMigrations, readMigrations } from '../migrator.ts'
import { SqliteStore } from './sqlite-store.ts'
import { storeError } from './store-error.ts'

/**
 * @param path a file, or `:memory:`
 * @throws CallmeError `store_in_use` when another process has the file, `store_too_new` when a newer callme has changed it,
 * `store_unavailable` when it cannot be opened or written
 */
export function openSqliteStore(path: string): SqliteStore {
  const unlock = path === ':memory:' ? () => undefined : lock(path)
  try {
    const db = open(path)
    migrate(db)
    return new SqliteStore(db, unlock)
  } catch (error) {
    unlock()
    throw storeError(error)
  }
}

function open(path: string): Database {
  const db = new SqliteDatabase(path)
  db.pragma('journal_mode = WAL')
  // better-sqlite3 builds SQLite with NORMAL for WAL, which loses acknowledged rows when the power goes.
  db.pragma('synchronous = FULL')
  return db
}

/**
 * A second process would call every task a second time. The lock is SQLite's own, on an empty file beside the store, because the
 * operating system drops it with the process, and because readers of a live store are welcome.
 */
function lock(path: string): () => void {
  const lockPath = `${realPath(path)}.lock`
  const holder = openLockFile(lockPath)
  try {
    holder.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    holder.close()
    if (!(error instanceof SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw storeError(error)
    const message = `${path} is in use by another callme: a SQLite store serves one process; stop that one or give this one its own --store`
    throw new CallmeError('store_in_use', message, { cause: error })
  }
  return () => {
    holder.close()
  }
}

function openLockFile(lockPath: string): Database {
  try {
    return new SqliteDatabase(lockPath, { timeout: 0 })
  } catch (error) {
    throw new CallmeError('store_unavailable', `cannot open ${lockPath}: ${(error as Error).message}`, { cause: error })
  }
}

/** Two names of one file must meet at one lock, also before the file exists. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    try {
      return join(realpathSync(dirname(path)), basename(path))
    } catch (error) {
      throw new CallmeError('store_unavailable', `cannot open ${path}: its folder does not exist`, { cause: error })
    }
  }
}

function migrate(db: Database): void {
  const steps = pendingMigrations(readMigrations('sqlite'), db.pragma('user_version', { simple: true }) as number)
  for (const { version, sql } of steps) {
    db.transaction(() => {
      db.pragma(`user_version = ${version}`)
      db.exec(sql)
    }).immediate()
  }
}
