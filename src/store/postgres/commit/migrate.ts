/** Brings the database to the version of the program. Each step runs once, however many nodes start at the same time. */
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { pendingMigrations, type Migration } from '../../migrations.ts'
import { one, type Database, type Queries } from './database.ts'

const MAKE_VERSIONS = `
  CREATE SCHEMA IF NOT EXISTS callme;
  CREATE TABLE IF NOT EXISTS callme.schema_versions (version INTEGER PRIMARY KEY, works_with INTEGER NOT NULL, applied TIMESTAMPTZ NOT NULL DEFAULT now())`
const FIND_TABLE = `SELECT to_regclass('callme.schema_versions') IS NOT NULL AS "isThere"`
const READ =
  'SELECT coalesce(max(version), 0)::int AS current, coalesce(max(works_with), 0)::int AS "worksWith" FROM callme.schema_versions'
/** Waits for another node that applies the same step, and is refused if that node was done. */
const TAKE = 'INSERT INTO callme.schema_versions (version, works_with) VALUES ($1, $2)'

/** The errors of two nodes that make the same thing at once: unique_violation, duplicate_table, duplicate_schema, duplicate_object. */
const MADE_TWICE = new Set(['23505', '42P07', '42P06', '42710'])
const TRY_AGAIN_MS = 50

/** @throws CallmeError `store_too_new` for a database that a newer callme has changed, and that this one cannot work with */
export async function migrate(database: Database, all: readonly Migration[]): Promise<void> {
  while (!(await hasVersions(database))) {
    await unlessMadeTwice(
      database.transaction((queries) => queries.query(MAKE_VERSIONS)),
      ({ code = '' }) => MADE_TWICE.has(code),
    )
  }
  for (;;) {
    const { current, worksWith } = await readVersion(database)
    const [next] = pendingMigrations('the store', all, current, worksWith)
    if (next === undefined) return
    const applying = database.transaction((queries) => apply(queries, next))
    // Anything else that is made twice is a fault of the step.
    await unlessMadeTwice(applying, ({ constraint }) => constraint === 'schema_versions_pkey')
  }
}

/** Both are 0 for a database without the schema. */
export async function readVersion(database: Database): Promise<{ current: number; worksWith: number }> {
  return (await hasVersions(database)) ? one(await database.query(READ)) : { current: 0, worksWith: 0 }
}

async function hasVersions(database: Database): Promise<boolean> {
  return one(await database.query<{ isThere: boolean }>(FIND_TABLE)).isThere
}

async function apply(queries: Queries, { version, worksWith, sql }: Migration): Promise<void> {
  // A long step must not be cut off.
  await queries.query('SET LOCAL statement_timeout = 0')
  await queries.query(TAKE, [version, worksWith])
  await queries.query(sql)
}

/** Another node may be faster: then its result counts. */
async function unlessMadeTwice(making: Promise<unknown>, isMadeTwice: (error: pg.DatabaseError) => boolean): Promise<void> {
  try {
    await making
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || !isMadeTwice(error)) throw error
    await setTimeout(TRY_AGAIN_MS)
  }
}
