/**
 * The record of commits: one row or more for each transaction that changes anything, with the number that it has in the stream of its
 * writer. Other nodes learn from it, listeners are told what it holds, and a writer sees by it whether a commit was done that nobody
 * answered.
 */
import pg from 'pg'
import { TASK_STATES } from '../../../domain/task/task.ts'
import { batchesOf } from '../../rows/change-batches.ts'
import type { Queries } from './database.ts'
import type { Transaction } from './transaction.ts'

const PAST_RUNS = `
  INSERT INTO callme.past_runs (trigger_at, standing, n)
  SELECT "triggerAt", standing, runs FROM json_to_recordset($1) AS r ("triggerAt" bigint, standing text, runs int)`
const NUMBER_TAKEN = '23505'
const STATES = TASK_STATES.join(', ')
const DELTAS = TASK_STATES.map((_, index) => `$${index + 5}::int`).join(', ')

const INSERT = `
  INSERT INTO callme.commits (stream, seq, signals, told, ${STATES}) SELECT $1::bigint, $2::bigint, $3::text, $4::int, ${DELTAS}`
const INSERT_WITH_CHANGES = `
  WITH kept AS (INSERT INTO callme.changes (stream, seq, batch) VALUES ($1::bigint, $2::bigint, $${TASK_STATES.length + 5})) ${INSERT}`

/**
 * Must come last in a transaction.
 * @param first the number of the first row
 * @returns how many rows there are; none where the transaction changes nothing that anybody must know
 */
export async function insertCommit(transaction: Transaction, { stream, seq }: { stream: number; seq: number }): Promise<number> {
  const { changes, notes } = transaction
  const batches = [...batchesOf(changes.emitted())]
  const said = notes.toJson()
  const deltas = new Map(changes.deltas())
  if (batches.length === 0 && said === undefined && deltas.size === 0 && !transaction.isWriting) return 0
  const past = changes.pastRuns()
  if (past.length > 0) await transaction.query(PAST_RUNS, [JSON.stringify(past)])
  const first = [
    said === undefined ? null : JSON.stringify(said),
    batches[0]?.count ?? 0,
    ...TASK_STATES.map((state) => deltas.get(state) ?? 0),
  ]
  if (batches[0] === undefined) await transaction.query(INSERT, [stream, seq, ...first])
  for (const [index, { count, text }] of batches.entries()) {
    const values = index === 0 ? first : [null, count, ...TASK_STATES.map(() => 0)]
    await transaction.query(INSERT_WITH_CHANGES, [stream, seq + index, ...values, text])
  }
  return Math.max(1, batches.length)
}

/**
 * Takes the number of a commit that nobody answered, with a row that says nothing: waits until that has come to an end, and is refused as
 * taken where it was done.
 */
export async function insertEmptyCommit(queries: Queries, { stream, seq }: { stream: number; seq: number }): Promise<number> {
  await queries.query(INSERT, [stream, seq, null, 0, ...TASK_STATES.map(() => 0)])
  return 1
}

/** Whether a commit of the same number is there already. */
export function isTaken(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === NUMBER_TAKEN && error.constraint === 'commits_pkey'
}

/** The number of the last commit of a stream; 0 where there is none. */
export async function lastSeq(queries: Queries, stream: number): Promise<number> {
  const [row] = await queries.query<{ seq: number }>('SELECT coalesce(max(seq), 0)::bigint AS seq FROM callme.commits WHERE stream = $1', [
    stream,
  ])
  return row?.seq ?? 0
}
