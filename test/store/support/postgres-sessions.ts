/** What else is connected to a database: transactions that a test keeps open, and a look at who waits for whom. */
import pg from 'pg'
import type { TestDatabase } from '../../support/postgres.ts'

export interface OpenTransaction {
  query(sql: string): Promise<Record<string, unknown>[]>
  commit(): Promise<void>
  /** Undoes it where it is still open. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Begins a transaction on a connection of its own and has it do something. @param begin as in `BEGIN ISOLATION LEVEL …` */
export async function openTransaction(url: string, sql: string, begin = 'BEGIN'): Promise<OpenTransaction> {
  const client = new pg.Client({ connectionString: url })
  // The server may end it, or go away.
  client.on('error', () => undefined)
  await client.connect()
  const query = async (text: string) => (await client.query<Record<string, unknown>>(text)).rows
  await query(begin)
  await query(sql)
  return {
    query,
    async commit() {
      await query('COMMIT')
    },
    async [Symbol.asyncDispose]() {
      await client.end().catch(() => undefined)
    },
  }
}

/** Asks until there is a row. */
export async function untilThere({ query }: TestDatabase, sql: string): Promise<void> {
  while ((await query(sql)).length === 0);
}

/** Until a statement waits for a lock that somebody else holds. @param statement a part of its text */
export async function untilBlocked(database: TestDatabase, statement: string): Promise<void> {
  const text = statement.replaceAll("'", "''")
  await untilThere(
    database,
    `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND strpos(query, '${text}') > 0`,
  )
}
