/** The schema of a database that many programs share: each step once, nothing of a step that fails, and no way back. */
import { expect, onTestFinished, test } from 'vitest'
import { readMigrations, toMigration } from '../../src/store/migrations.ts'
import { Database } from '../../src/store/postgres/commit/database.ts'
import { migrate } from '../../src/store/postgres/commit/migrate.ts'
import { openPostgresStore } from '../../src/store/postgres/open-postgres-store.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { aTask } from '../support/a-task.ts'
import { anEntry, claimAll, DUE, expectCountsToAddUp, listAll, putHandler } from './contract/support/tasks.ts'
import { changesSince } from './contract/changes.ts'
import { emptyDatabase, openNode } from './support/postgres-nodes.ts'

const VERSIONS = readMigrations('postgres').map(({ version }) => version)
const NEXT = VERSIONS.length + 1
const TOO_NEW = { code: 'store_too_new' }

const versionsOf = async ({ query }: TestDatabase): Promise<number[]> =>
  (await query('SELECT version FROM callme.schema_versions ORDER BY version')).map(({ version }) => Number(version))

/** Has a newer program change the database. */
async function upgrade(url: string, ...steps: [name: string, sql: string][]): Promise<void> {
  const database = new Database(url, 1)
  try {
    await migrate(database, [...readMigrations('postgres'), ...steps.map(([name, sql]) => toMigration(name, sql))])
  } finally {
    await database.end()
  }
}

const additive = (version: number, worksWith = VERSIONS.length): [string, string] => [
  `${String(version).padStart(4, '0')}-more.sql`,
  `-- Programs that know version ${worksWith} can work with this.\nCREATE TABLE callme.more_${version} (n integer)`,
]

test('twenty nodes that open an empty database at once make each step once, and all of them work', async () => {
  const database = await emptyDatabase()
  const stores = await Promise.all(Array.from({ length: 20 }, () => openPostgresStore(database.url)))
  onTestFinished(async () => {
    await Promise.all(stores.map((store) => store.close()))
  })
  expect(await versionsOf(database)).toEqual(VERSIONS)
  expect(stores.some(({ isNew }) => isNew)).toBe(true)
  await Promise.all(stores.map((store, n) => store.put([aTask({ name: `n${n}` })], { now: DUE })))
  expect(await claimAll(stores[0] as (typeof stores)[0])).toHaveLength(20)
})

test('a database is as it was after it is opened again, and after a newer program has added something', async () => {
  const database = await emptyDatabase()
  const store = await openNode(database.url)
  await putHandler(store, 'b*', { paused: true })
  for (const state of ['pending', 'running', 'retrying', 'successful', 'failed', 'skipped'] as const)
    await anEntry(store, state, { name: state })
  const before = [await listAll(store), await changesSince(store), await store.listHandlers({ limit: 9 })]
  await store.close()
  for (const steps of [[], [additive(NEXT)], [additive(NEXT), additive(NEXT + 1, NEXT - 1)]]) {
    await upgrade(database.url, ...steps)
    const opened = await openNode(database.url)
    expect(opened.isNew).toBe(false)
    expect([await listAll(opened), await changesSince(opened), await opened.listHandlers({ limit: 9 })]).toEqual(before)
    await expectCountsToAddUp(opened)
    expect(await versionsOf(database)).toEqual([...VERSIONS, ...steps.map((_, index) => NEXT + index)])
  }
})

test('a database that a newer program has changed is refused, also where it has added something since', async () => {
  const database = await emptyDatabase()
  const open = await openNode(database.url)
  const change: [string, string] = [`000${NEXT}-change.sql`, 'ALTER TABLE callme.streams ADD COLUMN more integer']
  await upgrade(database.url, change)
  await expect(openPostgresStore(database.url)).rejects.toMatchObject(TOO_NEW)
  await upgrade(database.url, change, additive(NEXT + 1))
  await expect(openPostgresStore(database.url)).rejects.toMatchObject(TOO_NEW)
  expect(await versionsOf(database)).toEqual([...VERSIONS, NEXT, NEXT + 1])
  // What is open stays so.
  expect(await open.put([aTask()], { now: DUE })).toMatchObject([{ status: 'created' }])
})

test('a step that fails leaves nothing, and is made whole another time', async () => {
  const database = await emptyDatabase()
  const store = await openNode(database.url)
  const half: [string, string] = [
    `000${NEXT}-half.sql`,
    'CREATE TABLE callme.half (n integer); ALTER TABLE callme.nothing ADD COLUMN n integer',
  ]
  await expect(upgrade(database.url, half)).rejects.toThrow('callme.nothing')
  expect(await versionsOf(database)).toEqual(VERSIONS)
  expect(await database.query(`SELECT to_regclass('callme.half') AS half`)).toEqual([{ half: null }])
  expect(await store.put([aTask()], { now: DUE })).toMatchObject([{ status: 'created' }])
  await upgrade(database.url, [`000${NEXT}-half.sql`, 'CREATE TABLE callme.half (n integer)'])
  expect(await versionsOf(database)).toEqual([...VERSIONS, NEXT])
})

test('a step that its own data refuse is told, and not tried without end', async () => {
  const database = await emptyDatabase()
  await openNode(database.url)
  const twice: [string, string] = [`000${NEXT}-twice.sql`, `INSERT INTO callme.turns VALUES ('numbering')`]
  await expect(upgrade(database.url, twice)).rejects.toThrow('turns_pkey')
})
