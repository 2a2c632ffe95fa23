/** Translates the errors of better-sqlite3. */
import { SqliteError } from 'better-sqlite3'
import { CallmeError } from '../../../domain/errors.ts'

const UNAVAILABLE = /^SQLITE_(FULL|IOERR|READONLY|BUSY|LOCKED|CANTOPEN|CORRUPT|NOTADB|NOMEM|PERM|AUTH|NOLFS|PROTOCOL)/

const DAMAGE = /^SQLITE_(CORRUPT|NOTADB)/

/** A fault of the storage becomes `store_unavailable`. Any other error is a defect, and stays the same. */
export function storeError(error: unknown): unknown {
  if (!(error instanceof SqliteError) || !UNAVAILABLE.test(error.code)) return error
  return new CallmeError('store_unavailable', `the store does not answer: ${error.message} (${error.code})`, { cause: error })
}

/** What SQLite says of a damaged file; undefined for another error. */
export function damageOf(error: unknown): string | undefined {
  if (!(error instanceof SqliteError) || !DAMAGE.test(error.code)) return undefined
  return `it is damaged: ${error.message} (${error.code})`
}

/** Whether another program holds the lock of the file. */
export function isBusy(error: unknown): boolean {
  return error instanceof SqliteError && error.code.startsWith('SQLITE_BUSY')
}
