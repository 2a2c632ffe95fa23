/** Databases for tests, on the server of this run or on one of the test's own. */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import { queryOnce } from './query-once.ts'

export interface TestDatabase {
  readonly url: string
  /** Runs SQL in it, beside whatever else is connected. @returns the rows */
  query(sql: string, parameters?: readonly unknown[]): Promise<Record<string, unknown>[]>
  /** Removes it, and cuts off whoever is connected to it. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Defaults of a server that callme must not go by. A name that is found in `hostile` first breaks what is called without its schema. */
const HOSTILE_DEFAULTS = {
  default_transaction_isolation: "'repeatable read'",
  default_transaction_deferrable: 'on',
  synchronous_commit: 'off',
  statement_timeout: "'2s'",
  lock_timeout: "'1ms'",
  idle_in_transaction_session_timeout: "'1ms'",
  search_path: 'hostile, pg_catalog',
  timezone: "'Asia/Kathmandu'",
  datestyle: "'German, DMY'",
  intervalstyle: "'sql_standard'",
  standard_conforming_strings: 'off',
  bytea_output: "'escape'",
  extra_float_digits: '-15',
  array_nulls: 'off',
  transform_null_equals: 'on',
  quote_all_identifiers: 'on',
  row_security: 'off',
  client_encoding: "'LATIN1'",
  enable_seqscan: 'off',
  plan_cache_mode: "'force_generic_plan'",
}

/**
 * @param serverUrl of a user who may create databases
 * @param isHostile whether its defaults are others than those of a fresh server
 */
export async function createDatabase(serverUrl: string = inject('postgresUrl'), isHostile = false): Promise<TestDatabase> {
  const name = `callme_${randomUUID().replaceAll('-', '')}`
  await queryOnce(serverUrl, `CREATE DATABASE ${name}`)
  for (const [setting, value] of isHostile ? Object.entries(HOSTILE_DEFAULTS) : [])
    await queryOnce(serverUrl, `ALTER DATABASE ${name} SET ${setting} = ${value}`)
  const url = new URL(serverUrl)
  url.pathname = name
  // A pool, because one that lost its connection to a server that went away gets another. No default of the database cuts its statements off.
  const options = '-c lock_timeout=0 -c statement_timeout=0'
  const pool = new pg.Pool({ connectionString: url.href, max: 1, options }).on('error', () => undefined)
  return {
    url: url.href,
    query: async (sql, parameters = []) => (await pool.query<Record<string, unknown>>(sql, [...parameters])).rows,
    async [Symbol.asyncDispose]() {
      await pool.end()
      await queryOnce(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`)
    },
  }
}
