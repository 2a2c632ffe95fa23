/** Connections to a PostgreSQL server that break while a node uses them. */
import { expect, it } from 'vitest'
import { Database } from '../../src/store/postgres/commit/database.ts'
import { createDatabase } from '../support/postgres.ts'

it('a connection that breaks between two statements of a transaction fails the transaction and nothing else', async () => {
  await using other = await createDatabase()
  const database = new Database(other.url, 1)
  const transaction = database.transaction(async (queries) => {
    const [own] = await queries.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    await other.query('SELECT pg_terminate_backend($1)', [own?.pid])
    // Once the server knows nothing of it any more, word of its end has come here, while no statement waits for it.
    while ((await other.query('SELECT 1 FROM pg_stat_activity WHERE pid = $1', [own?.pid])).length > 0);
    await other.query('SELECT 1')
    await queries.query('SELECT 2')
  })
  await expect(transaction).rejects.toThrow()
  expect(await database.transaction((queries) => queries.query('SELECT 3 AS three'))).toEqual([{ three: 3 }])
  await database.end()
})
