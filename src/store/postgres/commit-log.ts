/**
 * The record of commits: one row or more for each transaction that changes anything, with the number that it has in the stream of its
 * writer. Other nodes learn from it, listeners are told what it holds, and a writer sees by it whether a commit was done that nobody
 * answered.
 */
import pg from 'pg'
import { TASK_STATES } from '../../domain/task.ts'
import type { Batch } from '../change-batches.ts'
import { batchesOf } from '../change-batches.ts'
import type { Queries } from './database.ts'
import type { Transaction } from './transaction.ts'

const NUMBER_TAKEN = '23505'
const STATES = TASK_STATES.join(', ')

const INSERT = `
  WITH rows AS (
    SELECT * FROM json_to_recordset($1) AS r (stream bigint, seq bigint, signals text, told int, batch text,
      ${TASK_STATES.map((state) => `${state} int`).join(', ')})
  ), kept AS (
    INSERT INTO callme.changes (stream, seq, batch) SELECT stream, seq, batch FROM rows WHERE told > 0
  )
  INSERT INTO callme.commits (stream, seq, signals, told, ${STATES})
  SELECT stream, seq, signals, told, ${STATES} FROM rows ORDER BY seq`

/**
 * Must come last in a transaction.
 * @param first the number of the first row
 * @returns how many rows there are; none where the transaction changes nothing that anybody must know
 */
export async function insertCommit(transaction: Transaction, first: { stream: number; seq: number }): Promise<number> {
  const { changes, signals } = transaction
  const batches: (Batch | undefined)[] = [...batchesOf(changes.told())]
  const said = signals.said()
  const deltas = Object.fromEntries(changes.deltas())
  if (batches.length === 0 && said === undefined && changes.deltas().length === 0) return 0
  if (batches.length === 0) batches.push(undefined)
  const nothing = Object.fromEntries(TASK_STATES.map((state) => [state, 0]))
  const rows = batches.map((batch, index) => ({
    ...{ stream: first.stream, seq: first.seq + index, told: batch?.count ?? 0, batch: batch?.text ?? null },
    ...(index === 0 ? { signals: said === undefined ? null : JSON.stringify(said), ...nothing, ...deltas } : { signals: null, ...nothing }),
  }))
  await transaction.query(INSERT, [JSON.stringify(rows)])
  return rows.length
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
