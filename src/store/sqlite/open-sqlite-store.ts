/** Opens a SQLite file for one process: lock, durability settings, migrations. */
import { accessSync, closeSync, constants, existsSync, openSync, realpathSync, statSync } from 'node:fs'
import SqliteDatabase, { type Database } from 'better-sqlite3'
import { CallmeError } from '../../domain/errors.ts'
import type { OnFailure } from '../../domain/task/error-callback.ts'
import { pendingMigrations, readMigrations } from '../migrations.ts'
import { SqliteStore } from './sqlite-store.ts'
import { inspect } from './commit/inspect.ts'
import { wrongPlace } from './commit/file-fault.ts'
import { FileHold, NO_HOLD, type LockedFiles } from './commit/hold.ts'
import { isBusy, openingError } from './commit/store-error.ts'

/**
 * @param path a file, or `:memory:`
 * @param options `onFailure`: whom to tell of bad ends where neither task nor handler says so
 * @throws CallmeError `store_in_use` when another process has the file, `store_too_new` when a newer callme has changed it,
 * `store_unavailable` when it is damaged, or cannot be opened or written
 */
export function openSqliteStore(path: string, options: { readonly onFailure?: OnFailure | undefined } = {}): SqliteStore {
  const lock = path === ':memory:' ? undefined : takeLock(path)
  let db: Database | undefined
  try {
    // Another program that writes must not hold up this process. The group commit waits by itself.
    db = new SqliteDatabase(path, { timeout: 0 })
    setPragmas(db, path)
    const isNew = migrate(db, path)
    if (lock !== undefined) inspect(db, path)
    const hold = lock === undefined ? NO_HOLD : new FileHold(db, lock)
    return new SqliteStore(db, hold, () => lock?.unlock(), { ...options, isNew })
  } catch (error) {
    db?.close()
    lock?.unlock()
    throw openingError(error, path)
  }
}

/** Whatever the build of SQLite and the file say. Triggers, foreign keys and LIKE are not used, so their settings do not matter. */
function setPragmas(db: Database, path: string): void {
  // Only a file that is still empty takes it. Then the file can shrink when old tasks are removed.
  db.pragma('auto_vacuum = INCREMENTAL')
  const mode = db.pragma('journal_mode = WAL', { simple: true })
  if (mode !== 'wal' && path !== ':memory:')
    throw new CallmeError('store_unavailable', `${path} cannot have a write-ahead log: its journal mode stays ${String(mode)}`)
  // better-sqlite3 builds SQLite with NORMAL for WAL, which loses answered writes when the power fails.
  db.pragma('synchronous = FULL')
  // On macOS only this has the disk itself write before an answer.
  db.pragma('fullfsync = ON')
  db.pragma('checkpoint_fullfsync = ON')
  // A damaged page is found when it is read, and not when its damage has spread.
  db.pragma('cell_size_check = ON')
}

/**
 * Keeps out a second process, which would call every task a second time. SQLite itself locks an empty file beside the store: the operating
 * system drops that lock with the process, and readers of the store need no lock. The store names its owner too, for the case that a
 * person removes the file.
 */
function takeLock(path: string): LockedFiles {
  const realPath = findRealPath(path)
  const lockPath = `${realPath}.lock`
  const holder = openLockFile(lockPath)
  try {
    holder.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    holder.close()
    if (!isBusy(error)) throw openingError(error, lockPath)
    const message = `${path} is in use by another callme: a SQLite store serves one process; stop that one or give this one its own --store`
    throw new CallmeError('store_in_use', message, { cause: error })
  }
  const unlock = (): void => {
    holder.close()
  }
  return { path, realPath, lockPath, unlock }
}

function openLockFile(lockPath: string): Database {
  try {
    const holder = new SqliteDatabase(lockPath, { timeout: 0 })
    // SQLite gives no error for a file that it can only read, and takes no lock.
    accessSync(lockPath, constants.W_OK)
    return holder
  } catch (error) {
    throw openingError(error, lockPath)
  }
}

const SECOND_NAME = 'it has a second name (a hard link), under which another callme could open it'

/** All names of a file must lead to one lock. Only a file that is there has a real name, so a new one is made first. */
function findRealPath(path: string): string {
  try {
    if (!existsSync(path)) closeSync(openSync(path, 'a'))
    const fault = wrongPlace(path) ?? (statSync(path).nlink > 1 ? SECOND_NAME : undefined)
    if (fault !== undefined) throw new CallmeError('store_unavailable', `cannot open ${path}: ${fault}`)
    return realpathSync(path)
  } catch (error) {
    throw openingError(error, path)
  }
}

/** @returns whether the file was empty */
function migrate(db: Database, path: string): boolean {
  const version = db.pragma('user_version', { simple: true }) as number
  const isForeign = version === 0 && db.prepare('SELECT 1 FROM sqlite_master').get() !== undefined
  if (isForeign) throw new CallmeError('store_unavailable', `${path} holds the tables of another program; give callme a file of its own`)
  const steps = pendingMigrations(`the store ${path}`, readMigrations('sqlite'), version)
  for (const { version, sql } of steps) {
    db.transaction(() => {
      db.pragma(`user_version = ${version}`)
      db.exec(sql)
    }).immediate()
  }
  return version === 0
}
