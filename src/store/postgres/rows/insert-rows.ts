/**
 * Puts fresh rows where they wait. A key is free where neither table has it: it is inserted first, and only then looked for among those
 * that have ended, for what another node moves there meanwhile was in the way of the insert.
 */
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Queries } from '../commit/database.ts'
import { KEYS, keyOf, ofKeys, spanParams } from './rows.ts'
import type { Transaction } from '../commit/transaction.ts'

export interface FreshRow extends TaskKey {
  /** as the store calls it */
  readonly lane: string
  readonly dueAt: number
  readonly deadline: number
  readonly runId: string
  readonly now: number
  readonly rescheduledFrom: number | null
  readonly repeatedTo: number | null
  /** JSON */
  readonly definition: string
}

/** The columns of a fresh row, in the words of its JSON. */
export const FRESH = `(name text, "triggerAt" bigint, lane text, "dueAt" bigint, deadline bigint, "runId" text, now bigint,
  "rescheduledFrom" bigint, "repeatedTo" bigint, definition text)`

/** In the order of keys, as every statement that locks rows, so that no two wait for each other. */
const INSERT = `
  INSERT INTO callme.tasks (name, trigger_at, state, lane, due_at, deadline, run_id, attempts, lost, in_advance, created, updated,
    rescheduled_from, repeated_to, definition)
  SELECT name, "triggerAt", 'pending', lane, "dueAt", deadline, "runId", 0, 0, 0, now, now, "rescheduledFrom", "repeatedTo", definition
  FROM json_to_recordset($1) AS r ${FRESH} ORDER BY name COLLATE "C", "triggerAt"
  ON CONFLICT (name, trigger_at) DO NOTHING RETURNING id, name, trigger_at`
const ENDED = `SELECT f.name, f.trigger_at FROM ${KEYS} JOIN callme.finished f ON ${ofKeys('f')}`
const REMOVE = 'DELETE FROM callme.tasks WHERE name = $1 AND trigger_at = $2'

/**
 * Inserts rows of different keys. Tells nobody but other nodes, of where the rows wait.
 * @returns the keys that are in use now, by those that they were not before
 */
export async function insertRows(transaction: Transaction, rows: readonly FreshRow[]): Promise<Set<string>> {
  if (rows.length === 0) return new Set()
  const inserted = await transaction.query<Pick<TaskRow, 'id' | 'name' | 'trigger_at'>>(INSERT, [JSON.stringify(rows)])
  const ids = new Map(inserted.map((row) => [formatTaskKey(keyOf(row)), row.id]))
  for (const row of rows) {
    const id = ids.get(formatTaskKey(row))
    if (id !== undefined) transaction.notes.rowWaits(row.lane, { dueAt: row.dueAt, id }, row.deadline)
  }
  return new Set(ids.keys())
}

/**
 * The same, where a key that has ended is taken as well.
 * @returns the keys that were free
 */
export async function insertFreeRows(transaction: Transaction, rows: readonly FreshRow[]): Promise<Set<string>> {
  const inserted = await insertRows(transaction, rows)
  for (const key of await endedKeys(transaction, rows)) {
    if (inserted.delete(formatTaskKey(key))) await transaction.query(REMOVE, [key.name, key.triggerAt])
  }
  return inserted
}

/** Those of the keys that have ended. */
export async function endedKeys(queries: Queries, keys: readonly TaskKey[]): Promise<TaskKey[]> {
  if (keys.length === 0) return []
  return (await queries.query<Pick<TaskRow, 'name' | 'trigger_at'>>(ENDED, spanParams(keys))).map(keyOf)
}
