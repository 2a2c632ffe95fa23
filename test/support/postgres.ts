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

/** @param serverUrl of a user who may create databases */
export async function createDatabase(serverUrl: string = inject('postgresUrl')): Promise<TestDatabase> {
  const name = `callme_${randomUUID().replaceAll('-', '')}`
  await queryOnce(serverUrl, `CREATE DATABASE ${name}`)
  const url = new URL(serverUrl)
  url.pathname = name
  // A pool, because one that lost its connection to a server that went away gets another.
  const pool = new pg.Pool({ connectionString: url.href, max: 1 }).on('error', () => undefined)
  return {
    url: url.href,
    query: async (sql, parameters = []) => (await pool.query<Record<string, unknown>>(sql, [...parameters])).rows,
    async [Symbol.asyncDispose]() {
      await pool.end()
      await queryOnce(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`)
    },
  }
}
