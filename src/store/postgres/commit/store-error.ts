/** Translates the errors of the driver and of the database into ours, and tells which of them another try may mend. */
import pg from 'pg'
import { CallmeError } from '../../../domain/errors.ts'

/**
 * Classes of SQLSTATE (PostgreSQL, Appendix A) that say that the database cannot do its work now: connection, transaction state, read-only
 * after a failover, a login or a database that is refused, resources, intervention of an operator, system and internal errors, and what a
 * distributed engine asks to be repeated.
 */
const UNAVAILABLE = /^(08|25|28|3D|40|53|57|58|XX)/
/** transaction_rollback: a deadlock, or what could not be serialized. */
const CONFLICT = '40'
/** Of Node.js and of the driver, which gives some of its errors no code. */
const DISCONNECTED =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOENT)$|connection terminated|client has encountered a connection error|timeout exceeded when trying to connect|query read timeout|connection error and is not queryable|cannot use a pool after calling end/i

export function codeOf(error: unknown): string {
  if (error instanceof pg.DatabaseError) return error.code ?? ''
  if (!(error instanceof Error)) return ''
  if ('errors' in error && Array.isArray(error.errors)) return codeOf(error.errors[0])
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return code || error.message
}

/** Thrown by a write that finds that another node was faster: run again, it sees what that has written. */
export class Conflict extends Error {}

/** Whether the transaction was undone because of another one, and may be run again at once. */
export function isConflict(error: unknown): boolean {
  if (error instanceof Conflict) return true
  return error instanceof pg.DatabaseError && (codeOf(error).startsWith(CONFLICT) || error.constraint === 'tasks_pkey')
}

/** Whether the database does not answer, or cannot do its work now. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof Conflict) return true
  // Of a read that was made for it.
  if (error instanceof CallmeError) return error.code === 'store_unavailable' && error.cause !== undefined
  return error instanceof pg.DatabaseError ? UNAVAILABLE.test(codeOf(error)) : DISCONNECTED.test(codeOf(error))
}

/** A fault of the database becomes `store_unavailable`; anything else is a defect and stays as it is. */
export function storeError(error: unknown): unknown {
  if (!isUnavailable(error) || error instanceof CallmeError) return error
  const message = error instanceof Error && error.message !== '' ? error.message : codeOf(error)
  return new CallmeError('store_unavailable', `the store does not answer: ${message}`, { cause: error })
}
