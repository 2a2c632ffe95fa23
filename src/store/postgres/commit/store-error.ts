/** Translates errors of the driver and the database, and says which of them another try may heal. */
import pg from 'pg'
import { CallmeError } from '../../../domain/errors.ts'

/**
 * Classes of SQLSTATE (PostgreSQL, Appendix A) of a database that cannot work now: connection, transaction state, read-only after a
 * failover, refused login or database, resources, intervention of an operator, system and internal errors, and transactions that a
 * distributed engine wants repeated.
 */
const UNAVAILABLE = /^(08|25|28|3D|40|53|57|58|XX)/
/** transaction_rollback: a deadlock or a serialization failure. */
const CONFLICT = '40'
/** A lock was not free in the time that `lock_timeout` allows. */
export const LOCK_NOT_AVAILABLE = '55P03'
/** invalid_sql_statement_name and duplicate_prepared_statement: a pooler has given the transaction another session. */
const OF_ANOTHER_SESSION = /^(26000|42P05)$/
const POOLER_ADVICE = 'the pooler in between keeps no prepared statements: add prepare=false to the parameters of the URL'
/** Where PostgreSQL refuses a plan because a newer program has changed the columns of its tables. */
const PLAN_IS_OLD = 'RevalidateCachedQuery'
/** Codes of Node.js, and messages of the driver, whose errors do not all have a code. */
const DISCONNECTED =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOENT)$|connection terminated|client has encountered a connection error|timeout exceeded when trying to connect|query read timeout|connection error and is not queryable|cannot use a pool after calling end/i

export function codeOf(error: unknown): string {
  if (error instanceof pg.DatabaseError) return error.code ?? ''
  if (!(error instanceof Error)) return ''
  if ('errors' in error && Array.isArray(error.errors)) return codeOf(error.errors[0])
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return code || error.message
}

/** Another node was faster. A write that throws this runs again, and then sees the rows of that node. */
export class Conflict extends Error {}

/** Whether another transaction has undone this one, so that it may run again at once. */
export function isConflict(error: unknown): boolean {
  if (error instanceof Conflict) return true
  return error instanceof pg.DatabaseError && (codeOf(error).startsWith(CONFLICT) || error.constraint === 'tasks_pkey')
}

/** Whether a session keeps no statement, or an old one, under a name. Another session may do. */
export function isStale(error: unknown): boolean {
  return error instanceof pg.DatabaseError && (OF_ANOTHER_SESSION.test(codeOf(error)) || error.routine === PLAN_IS_OLD)
}

/** Whether the database does not answer or cannot work now. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof Conflict || isStale(error)) return true
  // An error of a read that the write has made.
  if (error instanceof CallmeError) return error.code === 'store_unavailable' && error.cause !== undefined
  return error instanceof pg.DatabaseError ? UNAVAILABLE.test(codeOf(error)) : DISCONNECTED.test(codeOf(error))
}

/** A fault of the database becomes `store_unavailable`. Any other error is a defect and stays. */
export function storeError(error: unknown): unknown {
  if (!isUnavailable(error) || error instanceof CallmeError) return error
  return new CallmeError('store_unavailable', `the store does not answer: ${reasonOf(error)}`, { cause: error })
}

/** The same for a database that is being opened, with all that it refuses. @param name of the store, for the sentence */
export function openingError(error: unknown, name: string): unknown {
  const cause = error instanceof CallmeError ? error.cause : error
  if (!isUnavailable(cause) && !(cause instanceof pg.DatabaseError)) return error
  return new CallmeError('store_unavailable', `cannot open ${name}: ${reasonOf(cause)}`, { cause })
}

function reasonOf(error: unknown): string {
  const said = error instanceof Error && error.message !== '' ? error.message : codeOf(error)
  return OF_ANOTHER_SESSION.test(codeOf(error)) ? `${said}; ${POOLER_ADVICE}` : said
}
