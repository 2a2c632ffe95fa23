/**
 * The days of what has ended: a partition for each day of minutes, of tasks and of their attempts alike, made before it is needed and
 * dropped once retention has no use for it. Where a day has none, its rows are in the default partition.
 */
import { one } from '../commit/database.ts'
import type { Database, Queries } from '../commit/database.ts'
import { codeOf } from '../commit/store-error.ts'

const DAY_S = 86_400
/** Made so many days ahead, so that it matters little when a lock cannot be had at once. */
const DAYS_AHEAD = 3
/** Nobody must wait for those that wait for a lock on a table which everybody uses. */
const PATIENCE = `SET LOCAL lock_timeout = '200ms'`
const TAKE_TURN = `SELECT 1 FROM callme.turns WHERE name = 'partitions' FOR UPDATE`
const TABLES = ['finished', 'attempts'] as const
const LIST = `
  SELECT substring(child.relname FROM '^finished_day_([0-9]+)$')::int AS day
  FROM pg_inherits i JOIN pg_class child ON child.oid = i.inhrelid
  WHERE i.inhparent = 'callme.finished'::regclass AND child.relname ~ '^finished_day_[0-9]+$' ORDER BY day`
const NOW = 'SELECT extract(epoch FROM now())::bigint AS second'
const LOCK_NOT_AVAILABLE = '55P03'
/** A row of the day has just come into the default partition, or another node has made or dropped that of the day. */
const NOT_NOW = new Set([LOCK_NOT_AVAILABLE, '23514', '42P07', '42P01'])

/** The minutes of a day, which is counted from 1970, Unix seconds: `from` inclusive, `to` exclusive. */
export function minutesOf(day: number): { from: number; to: number } {
  return { from: day * DAY_S, to: (day + 1) * DAY_S }
}

/** The days that have partitions, oldest first. */
export async function partitionedDays(queries: Queries): Promise<number[]> {
  return (await queries.query<{ day: number }>(LIST)).map(({ day }) => day)
}

/** Makes the partitions of today, by the database's clock, and of the days that follow. */
export async function makePartitions(database: Database): Promise<void> {
  const today = Math.floor(one(await database.query<{ second: number }>(NOW)).second / DAY_S)
  const days = new Set(await partitionedDays(database))
  for (let day = today; day <= today + DAYS_AHEAD; day += 1) {
    if (days.has(day)) continue
    await unlessInTheWay(() => database.transaction((queries) => makeDay(queries, day)))
  }
}

/** From then on nothing is written to the day until the transaction is over. */
export async function lockDay(queries: Queries, day: number): Promise<void> {
  const tables = TABLES.map((table) => `callme.${partition(table, day)}`)
  await queries.query(`LOCK TABLE ${tables.join(', ')} IN EXCLUSIVE MODE`)
}

/** Drops the partitions of a day inside a transaction. */
export async function dropDay(queries: Queries, day: number): Promise<void> {
  for (const table of TABLES) await queries.query(`DROP TABLE callme.${partition(table, day)}`)
}

/** Has the transaction wait for no lock that is not to be had soon. */
export async function takeTurn(queries: Queries): Promise<void> {
  await queries.query(PATIENCE)
  await queries.query(TAKE_TURN)
}

/** @returns undefined where a lock, or what is there already, is in the way: it is tried again another time */
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

/** Made beside the table and then attached, which others that read and write it need not wait for. */
async function makeDay(queries: Queries, day: number): Promise<void> {
  await takeTurn(queries)
  const { from, to } = minutesOf(day)
  for (const table of TABLES) {
    const name = partition(table, day)
    await queries.query(`CREATE TABLE callme.${name} (LIKE callme.${table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)`)
    // What ended before its day had a partition.
    await queries.query(`
      WITH early AS (DELETE FROM callme.${table}_other WHERE trigger_at >= ${from} AND trigger_at < ${to} RETURNING *)
      INSERT INTO callme.${name} SELECT * FROM early`)
    await queries.query(`ALTER TABLE callme.${table} ATTACH PARTITION callme.${name} FOR VALUES FROM (${from}) TO (${to})`)
  }
}
