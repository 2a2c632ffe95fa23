import { expect, test } from 'vitest'
import { createDatabase } from './postgres.ts'
import { startPostgresServer } from './postgres-server.ts'

test('databases on the server of the run are apart from each other, and gone when they are disposed of', async () => {
  let url: string
  await using other = await createDatabase()
  {
    await using database = await createDatabase()
    url = database.url
    await database.query('CREATE TABLE things (name text)')
    await database.query('INSERT INTO things VALUES ($1)', ['ä'])
    expect(await database.query('SELECT name FROM things')).toEqual([{ name: 'ä' }])
  }
  const [names] = await other.query('SELECT array_agg(datname::text) AS names FROM pg_database')
  expect(names?.['names']).toContain(new URL(other.url).pathname.slice(1))
  expect(names?.['names']).not.toContain(new URL(url).pathname.slice(1))
})

test('a server of its own keeps its place and what it was given, over a stop and over a crash', async () => {
  await using server = await startPostgresServer()
  await using database = await createDatabase(server.url)
  await database.query('CREATE TABLE things (n integer)')
  for (const [n, end] of [server.stop, server.kill, server.crash].entries()) {
    await database.query('INSERT INTO things VALUES ($1)', [n])
    await end()
    await expect(database.query('SELECT 1')).rejects.toThrow()
    await server.start()
  }
  expect(await database.query('SELECT n FROM things ORDER BY n')).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }])
})
