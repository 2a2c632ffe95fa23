/**
 * Connections to the database, and transactions on them. A transaction needs no state of a session, so a pooler may stand between. A node
 * has one pool for its writers, one for reads, and one to follow the other nodes, so that none waits for another.
 */
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { CallmeError } from '../../../domain/errors.ts'
import { FIND_IDENTITY, Identity } from './identity.ts'
import { NamedStatements } from './named-statements.ts'
import { LOCK_NOT_AVAILABLE, codeOf, isStale, isUnavailable, storeError } from './store-error.ts'

/** Runs statements: a transaction, or a pool for single statements. */
export interface Queries {
  query<R>(sql: string, params?: readonly unknown[]): Promise<R[]>
}

/** How long a request waits for the database before it fails. */
export const PATIENCE_MS = 5000
const TRY_AGAIN_MS = 100
/** The locks of a frozen or disconnected node end with its transaction. */
const TRANSACTION_LIMIT_MS = 10_000
/**
 * What each transaction relies on. The defaults of a server, a database, a role or a pooler may be others. A default that forbids to write
 * is kept, because a platform sets it to protect a full disk: writes are refused then, and `/ready` says so.
 */
const BEGIN = [
  // A claim waits for the lock of a handler, and must then see what was committed meanwhile.
  'BEGIN ISOLATION LEVEL READ COMMITTED NOT DEFERRABLE',
  // A commit that was answered outlives a crash of the server.
  'SET LOCAL synchronous_commit = on',
  `SET LOCAL statement_timeout = ${TRANSACTION_LIMIT_MS}`,
  `SET LOCAL idle_in_transaction_session_timeout = ${TRANSACTION_LIMIT_MS}`,
  // Locks are waited for as long as the statement may take.
  'SET LOCAL lock_timeout = 0',
  // No function of another schema takes the place of PostgreSQL's own. Tables are named with their schema.
  'SET LOCAL search_path = pg_catalog',
  'SET LOCAL array_nulls = on',
  // A session keeps the plans of its statements while tables grow from nothing to millions of rows. Only plans by an index stay good.
  'SET LOCAL enable_seqscan = off',
  'SET LOCAL enable_bitmapscan = off',
].join('; ')

/** `bigint`, by its number in pg_type. JavaScript keeps every integer of the schema exactly. */
const INT8 = 20
const parserOf = pg.types.getTypeParser as (oid: number, format?: 'text' | 'binary') => unknown
const types: pg.CustomTypesConfig = { getTypeParser: (oid, format) => ((oid as number) === INT8 ? Number : parserOf(oid, format)) }

export class Database implements Queries {
  readonly #pool: pg.Pool
  readonly #identity: Identity
  readonly #statements: NamedStatements
  #isClosed = false

  /**
   * @param connections the most that are open at once
   * @param statementLimitMs how long a statement may take before its connection is given up; 0 for no limit
   * @param identity which database each transaction must find; any one until that is known
   */
  constructor(url: string, connections: number, statementLimitMs = TRANSACTION_LIMIT_MS, identity = new Identity()) {
    this.#identity = identity
    this.#statements = new NamedStatements(url)
    this.#pool = new pg.Pool({
      connectionString: url,
      max: connections,
      connectionTimeoutMillis: PATIENCE_MS,
      query_timeout: statementLimitMs,
      keepAlive: true,
      application_name: 'callme',
      types,
    })
    // The pool replaces an idle connection that breaks.
    this.#pool.on('error', () => undefined)
    // A query on a broken connection rejects by itself; an event without a listener would end the process.
    this.#pool.on('connect', (client) => client.on('error', () => undefined))
  }

  /**
   * Runs one statement that changes nothing, or the same when it is run twice. It has no transaction around it, so it must need nothing that
   * a default of the server could set otherwise.
   */
  query<R>(sql: string, params: readonly unknown[] = []): Promise<R[]> {
    return patiently(async () => {
      this.#mustBeOpen()
      return (await this.#pool.query<R & pg.QueryResultRow>(sql, [...params])).rows
    })
  }

  /** Runs a transaction that has the same effect when it is run twice. */
  repeatable<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return patiently(() => this.transaction(work))
  }

  /** Answers as the transaction would, and undoes it. */
  tryOut<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return patiently(() => this.transaction(work, 'ROLLBACK'))
  }

  /** Runs `work` between BEGIN and COMMIT on one connection. After a rejection nobody knows whether the commit was done. */
  async transaction<T>(work: (queries: Queries) => Promise<T>, end: 'COMMIT' | 'ROLLBACK' = 'COMMIT'): Promise<T> {
    this.#mustBeOpen()
    const client = await this.#pool.connect()
    let isBroken = true
    try {
      await this.#begin(client)
      const result = await work({
        query: async <R>(sql: string, params: readonly unknown[] = []) =>
          (await client.query<R & pg.QueryResultRow>(this.#statements.named(sql, params))).rows,
      })
      await client.query(end)
      isBroken = false
      return result
    } catch (error) {
      isBroken = !(await hasRolledBack(client, error))
      throw error
    } finally {
      client.release(isBroken)
    }
  }

  async end(): Promise<void> {
    this.#isClosed = true
    await this.#pool.end()
  }

  async #begin(client: pg.PoolClient): Promise<void> {
    if (!this.#identity.isKnown) await client.query(BEGIN)
    else {
      // One round trip, and no write goes to another database.
      const answers: unknown = await client.query(`${BEGIN}; ${FIND_IDENTITY}`).catch((error: unknown) => {
        throw this.#identity.failed(error, codeOf(error))
      })
      this.#identity.mustBe((answers as pg.QueryResult<{ id: string }>[]).at(-1)?.rows ?? [])
    }
  }

  #mustBeOpen(): void {
    this.#identity.mustHold()
    if (this.#isClosed) throw new CallmeError('store_unavailable', 'the store is closed')
  }
}

export interface Connections {
  readonly identity: Identity
  /** one for each writer */
  readonly writing: Database
  readonly reading: Database
  /** to follow other nodes, also in the middle of a write */
  readonly listening: Database
  /** to be seen by other nodes */
  readonly showing: Database
}

export function connect(url: string): Connections {
  const identity = new Identity()
  return {
    identity,
    writing: new Database(url, 3, TRANSACTION_LIMIT_MS, identity),
    reading: new Database(url, 2, PATIENCE_MS, identity),
    listening: new Database(url, 1, PATIENCE_MS, identity),
    showing: new Database(url, 1),
  }
}

export async function closeConnections({ writing, reading, listening, showing }: Connections): Promise<void> {
  await Promise.all([writing, reading, listening, showing].map((database) => database.end()))
}

/** The answer of a query that has exactly one row. @throws Error for another number of rows: a defect */
export function one<R>(rows: readonly R[]): R {
  const [row, ...others] = rows
  if (row === undefined || others.length > 0) throw new Error(`the query must answer one row, not ${rows.length}`)
  return row
}

async function hasRolledBack(client: pg.PoolClient, error: unknown): Promise<boolean> {
  if (isStale(error) || (!(error instanceof pg.DatabaseError) && isUnavailable(error))) return false
  return client.query('ROLLBACK').then(
    () => true,
    () => false,
  )
}

/** Tries until the database answers or patience ends. */
async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  const since = performance.now()
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      const mayPass = isUnavailable(error) || codeOf(error) === LOCK_NOT_AVAILABLE
      if (!mayPass || performance.now() - since > PATIENCE_MS - TRY_AGAIN_MS) throw storeError(error)
      await setTimeout(TRY_AGAIN_MS)
    }
  }
}
