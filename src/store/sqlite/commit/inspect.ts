/** A look at the health of a file before callme goes by it, in bounded time. */
import type { Database } from 'better-sqlite3'
import { CallmeError } from '../../../domain/errors.ts'
import { damageOf } from './store-error.ts'

/** SQLite checks this much in one to two seconds on two busy cores, and cannot be told to stop. */
const WHOLE_BYTES = 256 * 2 ** 20
/** Of a larger file the rows that wait are read, for at most this time. */
const READ_MS = 2000

const WAITING = `SELECT * FROM tasks INDEXED BY tasks_waiting WHERE state IN ('pending', 'retrying')`

/**
 * Checks the structure of a whole file up to 256 MiB. Of a larger one it reads the rows that wait, for two seconds.
 * @throws CallmeError `store_unavailable` for a damaged file
 */
export function inspect(db: Database, path: string): void {
  try {
    const bytes = (db.pragma('page_count', { simple: true }) as number) * (db.pragma('page_size', { simple: true }) as number)
    if (bytes > WHOLE_BYTES) readWaiting(db)
    else check(db, path)
  } catch (error) {
    const damage = damageOf(error)
    throw damage === undefined ? error : damaged(path, damage, error)
  }
}

function check(db: Database, path: string): void {
  const answer = db.pragma('quick_check(1)', { simple: true }) as string
  if (answer !== 'ok') throw damaged(path, `it is damaged: ${answer.replaceAll('\n', ' ')}`)
}

function readWaiting(db: Database): void {
  const until = performance.now() + READ_MS
  const rows = db.prepare(WAITING).iterate()
  while (performance.now() < until && rows.next().done !== true);
  rows.return?.()
}

function damaged(path: string, what: string, cause?: unknown): CallmeError {
  const message = `callme does not start with ${path}, because ${what}. Restore a backup, or save what can be read with "sqlite3 ${path} .recover"`
  return new CallmeError('store_unavailable', message, { cause })
}
