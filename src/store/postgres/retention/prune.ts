/**
 * Retention. A day that left much is kept until all of it is old, and then dropped as a whole; what is few is deleted row by row. What
 * somebody has touched since in a day that is dropped moves to the default partition.
 */
import type { TaskState } from '../../../domain/task/task.ts'
import { dropDay, lockDay, minutesOf, partition, partitionedDays, takeTurn, unlessInTheWay } from './partitions.ts'
import { COLUMNS, KEYS, keyOf, ofKeys, spanParams } from '../rows/rows.ts'
import { ATTEMPT_COLUMNS } from '../../rows/task-row.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Queries } from '../commit/database.ts'
import { removeRows } from '../tasks/remove.ts'
import type { Transaction } from '../commit/transaction.ts'

/** More than this many old rows of one day are left for the day to be dropped. */
const MUCH = 10_000
/** More than this many rows that must be kept keep a day. */
const MOST_KEPT = 1000

const ATTEMPTS = `SELECT a.* FROM ${KEYS} JOIN callme.attempts a ON ${ofKeys('a')}`
const OLD = `SELECT f.name, f.trigger_at, f.state FROM callme.finished f WHERE f.updated < $1`

/** The days of which as much is old that they are left to be dropped. @param before epoch ms */
export async function fullDays(queries: Queries, before: number): Promise<number[]> {
  const full: number[] = []
  for (const day of await partitionedDays(queries)) {
    const counted = `SELECT count(*)::int AS n FROM (SELECT 1 FROM callme.${partition('finished', day)} WHERE updated < $1 LIMIT ${MUCH + 1}) old`
    const [row] = (await unlessInTheWay(() => queries.query<{ n: number }>(counted, [before]))) ?? []
    if ((row?.n ?? 0) > MUCH) full.push(day)
  }
  return full
}

/** Deletes old rows of other days than these, oldest first; what somebody is about to touch is old no more. @returns how many */
export async function pruneRows(
  transaction: Transaction,
  { before, limit, but }: { before: number; limit: number; but: readonly number[] },
): Promise<number> {
  const outside = but.map((day) => minutesOf(day)).map(({ from, to }) => ` AND NOT (f.trigger_at >= ${from} AND f.trigger_at < ${to})`)
  await transaction.query('DELETE FROM callme.past_runs WHERE trigger_at < $1', [Math.floor(before / 1000)])
  const sql = `${OLD}${outside.join('')} ORDER BY f.updated LIMIT $2 FOR UPDATE SKIP LOCKED`
  const rows = await transaction.query<Pick<TaskRow, 'name' | 'trigger_at' | 'state'>>(sql, [before, limit])
  return removeRows(transaction, rows)
}

/**
 * Drops a day of which nothing need be kept but a few rows.
 * @returns how many rows went; `needed` where too many must be kept
 */
export async function pruneDay(transaction: Transaction, { day, before }: { day: number; before: number }): Promise<number | 'needed'> {
  await takeTurn(transaction)
  if (!(await partitionedDays(transaction)).includes(day)) return 0
  await lockDay(transaction, day)
  const finished = `callme.${partition('finished', day)}`
  const kept = await transaction.query<TaskRow>(`SELECT ${COLUMNS} FROM ${finished} WHERE updated >= $1 LIMIT ${MOST_KEPT + 1}`, [before])
  const { from, to } = minutesOf(day)
  const living = await transaction.query<Pick<TaskRow, 'name' | 'trigger_at'>>(
    `SELECT name, trigger_at FROM callme.tasks WHERE trigger_at >= $1 AND trigger_at < $2 LIMIT ${MOST_KEPT + 1}`,
    [from, to],
  )
  if (kept.length > MOST_KEPT || living.length > MOST_KEPT) return 'needed'
  const keys = [...kept, ...living].map(keyOf)
  const keptAttempts = keys.length === 0 ? [] : await transaction.query<object>(ATTEMPTS, spanParams(keys))
  const counted = await transaction.query<{ state: TaskState; n: number; told: number }>(
    `SELECT state, count(*)::int AS n, count(*) FILTER (WHERE strpos(name, '@') = 0)::int AS told FROM ${finished} WHERE updated < $1 GROUP BY state`,
    [before],
  )
  await dropDay(transaction, day)
  await putBack(transaction, 'finished', COLUMNS, kept)
  await putBack(transaction, 'attempts', `name, trigger_at, ${ATTEMPT_COLUMNS}`, keptAttempts)
  for (const { state, told } of counted) transaction.changes.count(state, -told)
  return counted.reduce((sum, { n }) => sum + n, 0)
}

async function putBack(queries: Queries, table: 'finished' | 'attempts', columns: string, rows: readonly object[]): Promise<void> {
  if (rows.length === 0) return
  await queries.query(
    `INSERT INTO callme.${table} (${columns}) SELECT ${columns} FROM json_populate_recordset(NULL::callme.${table}, $1)`,
    [JSON.stringify(rows)],
  )
}
