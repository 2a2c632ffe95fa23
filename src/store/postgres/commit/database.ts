/** Connections to the database: a small pool, and transactions that need nothing of a session but themselves, so that a pooler may stand between. */
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { CallmeError } from '../../../domain/errors.ts'
import { isUnavailable, storeError } from './store-error.ts'

/** Whatever runs a statement: a transaction, or the pool for one statement alone. */
export interface Queries {
  query<R>(sql: string, params?: readonly unknown[]): Promise<R[]>
}

/** How long a request waits for the database before it is answered that there is none. */
export const PATIENCE_MS = 5000
const TRY_AGAIN_MS = 100
/** A node that is frozen or cut off in the middle of a transaction must not keep its rows locked. */
const TRANSACTION_LIMIT_MS = 10_000
const BEGIN = `BEGIN; SET LOCAL statement_timeout = ${TRANSACTION_LIMIT_MS}; SET LOCAL idle_in_transaction_session_timeout = ${TRANSACTION_LIMIT_MS}`

/** `bigint`, by its number in pg_type. Every integer of the schema is one that JavaScript keeps exactly. */
const INT8 = 20
const parserOf = pg.types.getTypeParser as (oid: number, format?: 'text' | 'binary') => unknown
const types: pg.CustomTypesConfig = { getTypeParser: (oid, format) => ((oid as number) === INT8 ? Number : parserOf(oid, format)) }

/** Ends a transaction that is not meant to be done. */
class Undone extends Error {}

export class Database implements Queries {
  readonly #pool: pg.Pool
  #isClosed = false

  /**
   * @param connections how many at the most
   * @param statementLimitMs how long a statement may take before its connection is given up; 0 for as long as it wants
   */
  constructor(url: string, connections: number, statementLimitMs = TRANSACTION_LIMIT_MS) {
    this.#pool = new pg.Pool({
      connectionString: url,
      max: connections,
      connectionTimeoutMillis: PATIENCE_MS,
      query_timeout: statementLimitMs,
      keepAlive: true,
      application_name: 'callme',
      types,
    })
    // A connection that breaks while nobody uses it is replaced when one is needed.
    this.#pool.on('error', () => undefined)
    // One that breaks while it is used says so to whoever waits for an answer; said to nobody it would end the process.
    this.#pool.on('connect', (client) => client.on('error', () => undefined))
  }

  /** One statement that changes nothing. */
  query<R>(sql: string, params: readonly unknown[] = []): Promise<R[]> {
    return patiently(async () => {
      this.#mustBeOpen()
      return (await this.#pool.query<R & pg.QueryResultRow>(sql, [...params])).rows
    })
  }

  /** A transaction that comes to the same when it is run twice. */
  repeatable<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return patiently(() => this.transaction(work))
  }

  /** Runs `work` between BEGIN and COMMIT on one connection. When this rejects in the end, nobody knows whether the commit was done. */
  async transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    this.#mustBeOpen()
    const client = await this.#pool.connect()
    let isBroken = true
    try {
      await client.query(BEGIN)
      const queries: Queries = {
        query: async <R>(sql: string, params: readonly unknown[] = []) =>
          (await client.query<R & pg.QueryResultRow>(sql, [...params])).rows,
      }
      const result = await work(queries)
      await client.query('COMMIT')
      isBroken = false
      return result
    } catch (error) {
      isBroken = !(await this.#hasRolledBack(client, error))
      throw error
    } finally {
      client.release(isBroken)
    }
  }

  /** What a transaction would come to; nothing of it is done. */
  async tryOut<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    const undo = { result: undefined as T | undefined }
    try {
      return await this.repeatable(async (queries) => {
        undo.result = await work(queries)
        throw new Undone()
      })
    } catch (error) {
      if (error instanceof Undone) return undo.result as T
      throw error
    }
  }

  async end(): Promise<void> {
    this.#isClosed = true
    await this.#pool.end()
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new CallmeError('store_unavailable', 'the store is closed')
  }

  async #hasRolledBack(client: pg.PoolClient, error: unknown): Promise<boolean> {
    if (!(error instanceof pg.DatabaseError) && isUnavailable(error)) return false
    try {
      await client.query('ROLLBACK')
      return true
    } catch {
      return false
    }
  }
}

/** Tries until the database answers or patience is at an end. */
async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  const since = performance.now()
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (!isUnavailable(error) || performance.now() - since > PATIENCE_MS - TRY_AGAIN_MS) throw storeError(error)
      await setTimeout(TRY_AGAIN_MS)
    }
  }
}
