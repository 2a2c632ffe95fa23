/** Connections to a PostgreSQL server that break while a node uses them. */
import { expect, it } from 'vitest'
import { Database, type Queries } from '../../src/store/postgres/commit/database.ts'
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

it('a session that has lost its statements, or keeps old ones, is given up, and another one runs the transaction', async () => {
  await using other = await createDatabase()
  await other.query('CREATE TABLE kept (a int)')
  const database = new Database(other.url, 1)
  const all = () => database.repeatable((queries) => queries.query('SELECT * FROM public.kept WHERE a IS DISTINCT FROM $1', [1]))
  await database.transaction((queries) => queries.query('INSERT INTO public.kept VALUES (2)'))
  expect(await all()).toEqual([{ a: 2 }])
  await other.query('ALTER TABLE kept ADD COLUMN b int')
  expect(await all()).toEqual([{ a: 2, b: null }])
  // As a pooler does that gives each client the session of another one.
  await database.transaction((queries) => queries.query('DEALLOCATE ALL'))
  expect(await all()).toEqual([{ a: 2, b: null }])
  await database.end()
})

it('a pooler that keeps no statements is named in the error', async () => {
  await using other = await createDatabase()
  const database = new Database(other.url, 1)
  const read = (queries: Queries) => queries.query('SELECT $1::int', [1])
  await database.transaction(read)
  const refused = database.repeatable(async (queries) => {
    await read(queries)
    await queries.query('DEALLOCATE ALL')
    await read(queries)
  })
  await expect(refused).rejects.toThrow('add prepare=false to the parameters of the URL')
  await database.end()
})
