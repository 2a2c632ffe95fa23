/**
 * Partitions of `finished` and `attempts`, one for each day of the task's minute. They are made ahead, and retention drops them. The default
 * partition holds the rows of other days.
 */
import { one, type Database, type Queries } from '../commit/database.ts'
import { LOCK_NOT_AVAILABLE, codeOf } from '../commit/store-error.ts'

const DAY_S = 86_400
/** Partitions are made this many days ahead, so a lock that is not free now does no harm. */
const DAYS_AHEAD = 3
/** All statements on the tables queue behind a lock that waits, so it must not wait long. */
const PATIENCE = `SET LOCAL lock_timeout = '200ms'`
const TAKE_TURN = `SELECT 1 FROM callme.turns WHERE name = 'partitions' FOR UPDATE`
const TABLES = ['finished', 'attempts'] as const
const LIST = `
  SELECT substring(child.relname FROM '^finished_day_([0-9]+)$')::int AS day
  FROM pg_inherits i JOIN pg_class child ON child.oid = i.inhrelid
  WHERE i.inhparent = 'callme.finished'::regclass AND child.relname ~ '^finished_day_[0-9]+$' ORDER BY day`
const NOW = 'SELECT extract(epoch FROM now())::bigint AS second'
/** A lock is not free, the default partition has just got a row of the day, or another node has made or dropped the partition. */
const NOT_NOW = new Set([LOCK_NOT_AVAILABLE, '23514', '42P07', '42P01'])

/** The minutes of a day, which is counted from 1970, Unix seconds: `from` inclusive, `to` exclusive. */
export function minutesOf(day: number): { from: number; to: number } {
  return { from: day * DAY_S, to: (day + 1) * DAY_S }
}

/** The days that have partitions, oldest first. */
export async function partitionedDays(queries: Queries): Promise<number[]> {
  return (await queries.query<{ day: number }>(LIST)).map(({ day }) => day)
}

/** Makes the partitions of today and of the following days, by the database's clock. */
export async function makePartitions(database: Database): Promise<void> {
  const today = Math.floor(one(await database.query<{ second: number }>(NOW)).second / DAY_S)
  const days = new Set(await partitionedDays(database))
  for (let day = today; day <= today + DAYS_AHEAD; day += 1) {
    if (days.has(day)) continue
    await unlessInTheWay(() => database.transaction((queries) => makeDay(queries, day)))
  }
}

/** Nobody else writes to the day until the transaction ends. */
export async function lockDay(queries: Queries, day: number): Promise<void> {
  const tables = TABLES.map((table) => `callme.${partition(table, day)}`)
  await queries.query(`LOCK TABLE ${tables.join(', ')} IN EXCLUSIVE MODE`)
}

/** Drops the partitions of a day inside a transaction. */
export async function dropDay(queries: Queries, day: number): Promise<void> {
  for (const table of TABLES) await queries.query(`DROP TABLE callme.${partition(table, day)}`)
}

/** Waits for other nodes that change partitions. From then on the transaction waits for no lock for long. */
export async function takeTurn(queries: Queries): Promise<void> {
  await queries.query(PATIENCE)
  await queries.query(TAKE_TURN)
}

/** @returns undefined if a lock or another node is in the way; the work is tried again another time */
export async function unlessInTheWay<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!NOT_NOW.has(codeOf(error))) throw error
    return undefined
  }
}

export function partition(table: (typeof TABLES)[number], day: number): string {
  return `${table}_day_${day}`
}

/** Makes the partition as a table and then attaches it, because readers and writers need not wait for that. */
async function makeDay(queries: Queries, day: number): Promise<void> {
  await takeTurn(queries)
  const { from, to } = minutesOf(day)
  for (const table of TABLES) {
    const name = partition(table, day)
    await queries.query(`CREATE TABLE callme.${name} (LIKE callme.${table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)`)
    // Early rows of the day are in the default partition.
    await queries.query(`
      WITH early AS (DELETE FROM callme.${table}_other WHERE trigger_at >= ${from} AND trigger_at < ${to} RETURNING *)
      INSERT INTO callme.${name} SELECT * FROM early`)
    await queries.query(`ALTER TABLE callme.${table} ATTACH PARTITION callme.${name} FOR VALUES FROM (${from}) TO (${to})`)
  }
}
