/**
 * Retention. A day with many old rows is dropped as a whole, once all of it is old. Few old rows are deleted one by one. Rows of a dropped
 * day that changed later move to the default partition.
 */
import type { TaskState } from '../../../domain/task/task.ts'
import { ATTEMPT_COLUMNS, type TaskRow } from '../../rows/task-row.ts'
import { one, type Queries } from '../commit/database.ts'
import { oneByOne, type GroupWriter } from '../commit/group-writer.ts'
import { COLUMNS, KEYS, bounded, keyOf, ofKeys, spanParams, type Found } from '../rows/rows.ts'
import type { Session } from '../session.ts'
import { removeRows } from '../tasks/remove.ts'
import { dropDay, lockDay, minutesOf, partition, partitionedDays, takeTurn, unlessInTheWay } from './partitions.ts'

/** A day with more old rows than this waits until it is dropped. */
const MUCH = 10_000
/** A day with more rows to keep than this, or larger ones than a page, is not dropped. */
const MOST_KEPT = 1000

const ATTEMPTS = `SELECT a.* FROM ${KEYS} JOIN callme.attempts a ON ${ofKeys('a')}`
const OLD = `SELECT f.name, f.trigger_at, f.state FROM callme.finished f WHERE f.updated < $1`
const FORGET_PAST_RUNS = 'DELETE FROM callme.past_runs WHERE trigger_at < $1'
const COUNTS = `state, count(*)::int AS n, count(*) FILTER (WHERE strpos(name, '@') = 0)::int AS tasks`
const WAITING = `SELECT name, trigger_at FROM callme.tasks WHERE trigger_at >= $1 AND trigger_at < $2 LIMIT ${MOST_KEPT + 1}`

interface Pruning {
  /** epoch ms: rows that changed last before this time are removed */
  readonly before: number
  readonly limit: number
}

/** Removes whole days first, and about `limit` rows. @returns the number of removed rows */
export async function prune({ database }: Session, writer: GroupWriter, { before, limit }: Pruning): Promise<number> {
  const needed = new Set<number>()
  let dropped = 0
  for (const day of await partitionedDays(database)) {
    if (minutesOf(day).to * 1000 > before || dropped > limit) continue
    const result = await unlessInTheWay(() => writer.write(pruneDay, { day, before }))
    if (result === 'needed') needed.add(day)
    else dropped += result ?? 0
  }
  if (dropped > 0) return dropped
  const except = (await fullDays(database, before)).filter((day) => !needed.has(day))
  return writer.write(pruneRows, { before, limit, except })
}

/** The days with many old rows. */
async function fullDays(queries: Queries, before: number): Promise<number[]> {
  const full: number[] = []
  for (const day of await partitionedDays(queries)) {
    const old = `SELECT 1 FROM callme.${partition('finished', day)} WHERE updated < $1 LIMIT ${MUCH + 1}`
    const rows = await unlessInTheWay(() => queries.query<{ n: number }>(`SELECT count(*)::int AS n FROM (${old}) old`, [before]))
    if (rows !== undefined && one(rows).n > MUCH) full.push(day)
  }
  return full
}

/** Deletes old rows of other days than `except`, oldest first. It passes over rows that are about to change. */
const pruneRows = oneByOne(async (transaction, { before, limit, except }: Pruning & { readonly except: number[] }): Promise<number> => {
  const outside = except.map(minutesOf).map(({ from, to }) => ` AND NOT (f.trigger_at >= ${from} AND f.trigger_at < ${to})`)
  await transaction.query(FORGET_PAST_RUNS, [Math.floor(before / 1000)])
  const sql = `${OLD}${outside.join('')} ORDER BY f.updated LIMIT $2 FOR UPDATE SKIP LOCKED`
  return removeRows(transaction, await transaction.query<Pick<TaskRow, 'name' | 'trigger_at' | 'state'>>(sql, [before, limit]))
})

/** Drops a day, and puts back the few rows that must be kept. Answers how many rows went; `needed` if too many must be kept. */
const pruneDay = oneByOne(
  async (transaction, { day, before }: { day: number; before: number }): Promise<number | 'needed'> => {
    await takeTurn(transaction)
    if (!(await partitionedDays(transaction)).includes(day)) return 0
    await lockDay(transaction, day)
    const finished = `callme.${partition('finished', day)}`
    const toKeep = bounded(`SELECT ${COLUMNS} FROM ${finished} WHERE updated >= $1 LIMIT ${MOST_KEPT + 1}`, 'trigger_at, name')
    const kept = await transaction.query<TaskRow & Found>(toKeep, [before])
    const { from, to } = minutesOf(day)
    const waiting = await transaction.query<Pick<TaskRow, 'name' | 'trigger_at'>>(WAITING, [from, to])
    if (kept.length > MOST_KEPT || kept.length < (kept[0]?.found ?? 0) || waiting.length > MOST_KEPT) return 'needed'
    const keys = [...kept, ...waiting].map(keyOf)
    const keptAttempts = keys.length === 0 ? [] : await transaction.query<object>(ATTEMPTS, spanParams(keys))
    const count = `SELECT ${COUNTS} FROM ${finished} WHERE updated < $1 GROUP BY state`
    const counted = await transaction.query<{ state: TaskState; n: number; tasks: number }>(count, [before])
    await dropDay(transaction, day)
    await putBack(transaction, 'finished', COLUMNS, kept)
    await putBack(transaction, 'attempts', `name, trigger_at, ${ATTEMPT_COLUMNS}, definition`, keptAttempts)
    for (const { state, tasks } of counted) transaction.changes.count(state, -tasks)
    return counted.reduce((sum, { n }) => sum + n, 0)
  },
  { isAlone: true },
)

async function putBack(queries: Queries, table: 'finished' | 'attempts', columns: string, rows: readonly object[]): Promise<void> {
  if (rows.length === 0) return
  const stored = `SELECT ${columns} FROM json_populate_recordset(NULL::callme.${table}, $1)`
  await queries.query(`INSERT INTO callme.${table} (${columns}) ${stored}`, [JSON.stringify(rows)])
}
