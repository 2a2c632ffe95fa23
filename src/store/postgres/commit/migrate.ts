/** Brings the database to the version that the program knows: each step once, however many nodes start at the same time. */
import pg from 'pg'
import { setTimeout } from 'node:timers/promises'
import { pendingMigrations } from '../../migrations.ts'
import type { Migration } from '../../migrations.ts'
import type { Database, Queries } from './database.ts'

const VERSIONS = `
  CREATE TABLE IF NOT EXISTS callme.schema_versions (version INTEGER PRIMARY KEY, works_with INTEGER NOT NULL, applied TIMESTAMPTZ NOT NULL DEFAULT now())`
const FIND_TABLE = `SELECT to_regclass('callme.schema_versions') IS NOT NULL AS "isThere"`
const READ =
  'SELECT coalesce(max(version), 0)::int AS current, coalesce(max(works_with), 0)::int AS "worksWith" FROM callme.schema_versions'
/** Another node that applies the same step holds this up until it is done, and then refuses it. */
const TAKE = 'INSERT INTO callme.schema_versions (version, works_with) VALUES ($1, $2)'

/** What two nodes that make the same thing at once are told: unique_violation, duplicate_table, duplicate_schema, duplicate_object. */
const MADE_TWICE = new Set(['23505', '42P07', '42P06', '42710'])
const TRY_AGAIN_MS = 50

/** @throws CallmeError `store_too_new` when a newer callme has changed the database in a way that this one cannot work with */
export async function migrate(database: Database, all: readonly Migration[]): Promise<void> {
  while (!(await hasVersions(database)))
    await oneOfMany(
      () => database.transaction(makeVersions),
      ({ code = '' }) => MADE_TWICE.has(code),
    )
  for (;;) {
    const { current, worksWith } = await readVersion(database)
    const [next] = pendingMigrations(all, current, worksWith)
    if (next === undefined) return
    await oneOfMany(
      () => database.transaction((queries) => apply(queries, next)),
      // Whatever else is there twice is a fault of the step.
      ({ constraint }) => constraint === 'schema_versions_pkey',
    )
  }
}

/** Both are 0 where there is no schema. */
export async function readVersion(database: Database): Promise<{ current: number; worksWith: number }> {
  const [row] = (await hasVersions(database)) ? await database.query<{ current: number; worksWith: number }>(READ) : []
  return row ?? { current: 0, worksWith: 0 }
}

async function hasVersions(database: Database): Promise<boolean> {
  const [row] = await database.query<{ isThere: boolean }>(FIND_TABLE)
  return row?.isThere ?? false
}

async function makeVersions(queries: Queries): Promise<void> {
  await queries.query('CREATE SCHEMA IF NOT EXISTS callme')
  await queries.query(VERSIONS)
}

async function apply(queries: Queries, { version, worksWith, sql }: Migration): Promise<void> {
  // A step may take long, and must not be cut off in the middle.
  await queries.query('SET LOCAL statement_timeout = 0')
  await queries.query(TAKE, [version, worksWith])
  await queries.query(sql)
}

/** Where another node was faster, what it has made is looked at. */
async function oneOfMany(make: () => Promise<unknown>, isMadeTwice: (error: pg.DatabaseError) => boolean): Promise<void> {
  try {
    await make()
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || !isMadeTwice(error)) throw error
    await setTimeout(TRY_AGAIN_MS)
  }
}
