/** Translates the errors of better-sqlite3. */
import { SqliteError } from 'better-sqlite3'
import { CallmeError } from '../../../domain/errors.ts'
import { fileFault, type Use } from './file-fault.ts'

const UNAVAILABLE = /^SQLITE_(FULL|IOERR|READONLY|BUSY|LOCKED|CANTOPEN|CORRUPT|NOTADB|NOMEM|PERM|AUTH|NOLFS|PROTOCOL)/

const DAMAGE = /^SQLITE_(CORRUPT|NOTADB)/

/** A fault of the storage becomes `store_unavailable`. Any other error is a defect, and stays the same. @param path of the store */
export function storeError(error: unknown, path: string): unknown {
  return isFault(error) ? unavailable(`the store does not answer: ${path}: ${fileFault(path, error)}`, error) : error
}

/** The same for a store that is being opened. */
export function openingError(error: unknown, path: string, use?: Use): unknown {
  return isFault(error) ? unavailable(`cannot open ${path}: ${fileFault(path, error, use)}`, error) : error
}

function isFault(error: unknown): boolean {
  if (error instanceof SqliteError) return UNAVAILABLE.test(error.code)
  // better-sqlite3 looks for the folder of a file itself.
  return error instanceof Error && ('syscall' in error || error.message.includes('directory does not exist'))
}

function unavailable(message: string, cause: unknown): CallmeError {
  return new CallmeError('store_unavailable', message, { cause })
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
