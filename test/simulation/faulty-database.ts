/** A database handle whose statements fail when they are told to, in the way of a full or broken disk. */
import { SqliteError } from 'better-sqlite3'
import type { Database, Statement, Transaction } from 'better-sqlite3'

/** How a statement fails; `aborted` has taken its whole transaction with it, as a full disk may. */
export type Fault = 'refused' | 'aborted'

/** @returns how a statement fails, undefined where it does not */
export type FaultOf = (sql: string) => Fault | undefined

/** A transaction must always find its end. */
const NEVER_FAILS = /^\s*(ROLLBACK|RELEASE)/
type Work = (...args: unknown[]) => unknown

const EXECUTIONS = ['run', 'get', 'all', 'iterate'] as const

/** @param faultOf is asked before each execution of a statement */
export function withFaults(db: Database, faultOf: FaultOf): Database {
  return new Proxy(db, {
    get(target, property) {
      if (property === 'prepare') return (sql: string) => armed(target, target.prepare(sql), sql, faultOf)
      if (property === 'transaction') return (work: Work) => armedTransaction(target, work, faultOf)
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
    },
  })
}

function armed(db: Database, statement: Statement, sql: string, faultOf: FaultOf): Statement {
  if (NEVER_FAILS.test(sql)) return statement
  for (const execution of EXECUTIONS) {
    const execute = statement[execution].bind(statement) as (...args: unknown[]) => unknown
    const guarded = (...args: unknown[]): unknown => {
      mayFail(db, sql, faultOf)
      return execute(...args)
    }
    Object.defineProperty(statement, execution, { value: guarded, configurable: true })
  }
  return statement
}

/** The driver prepares the statements of a transaction by itself. */
function armedTransaction(db: Database, work: Work, faultOf: FaultOf): Transaction<Work> {
  const run = (...args: unknown[]): unknown => {
    const [begin, end] = db.inTransaction ? ['SAVEPOINT', undefined] : ['BEGIN IMMEDIATE', 'COMMIT']
    mayFail(db, begin, faultOf)
    const inner = db.transaction(() => {
      const value = work(...args)
      if (end !== undefined) mayFail(db, end, faultOf)
      return value
    })
    return inner.immediate()
  }
  return Object.assign(run, { default: run, deferred: run, immediate: run, exclusive: run })
}

function mayFail(db: Database, sql: string, faultOf: FaultOf): void {
  const fault = faultOf(sql)
  if (fault === undefined) return
  if (fault === 'aborted' && db.inTransaction) db.exec('ROLLBACK')
  throw new SqliteError('database or disk is full', 'SQLITE_FULL')
}
