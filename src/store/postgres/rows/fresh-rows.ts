/**
 * Writes rows that begin a run. A key is free if neither table has it. The insert comes before the look into `finished`, because it waits
 * for a node that moves the same key there.
 */
import { formatTaskKey, type TaskKey } from '../../../domain/task/task-key.ts'
import type { FreshRow } from '../../rules/assign-lane.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Queries } from '../commit/database.ts'
import { Conflict } from '../commit/store-error.ts'
import type { Transaction } from '../commit/transaction.ts'
import { KEYS, arraysOf, assignments, byKey, keyOf, ofKeys, queryKeys, type KeyColumns } from './rows.ts'

/** The columns of `FreshRow` as JSON. */
const FRESH = `(name text, "triggerAt" bigint, lane text, "dueAt" bigint, deadline bigint, "runId" text, now bigint,
  "windowFrom" bigint, "inAdvance" smallint,
  "rescheduledFrom" bigint, "repeatedTo" bigint, definition text)`

/** The columns that each run begins afresh. */
export const NEW_RUN = {
  ...{ state: `'pending'`, attempts: '0', lost: '0', in_advance: '0::smallint', lease_until: 'NULL::bigint', claimed_by: 'NULL' },
  ...{ executed_at: 'NULL::bigint', response_status: 'NULL::int', response_body: 'NULL', error: 'NULL', awaiting: 'NULL' },
  ...{ rescheduled_to: 'NULL::bigint', window_from: 'NULL::bigint', remove_after: '0::smallint' },
}

/** All statements lock rows in the order of keys, so no two transactions wait for each other. */
const INSERT = `
  INSERT INTO callme.tasks (name, trigger_at, state, lane, due_at, deadline, run_id, attempts, lost, in_advance, window_from, created, updated,
    rescheduled_from, repeated_to, definition)
  SELECT name, "triggerAt", 'pending', lane, "dueAt", deadline, "runId", 0, 0, "inAdvance", "windowFrom", now, now,
    "rescheduledFrom", "repeatedTo", definition
  FROM json_to_recordset($1) AS r ${FRESH} ORDER BY name COLLATE "C", "triggerAt"
  ON CONFLICT (name, trigger_at) DO NOTHING RETURNING id, name, trigger_at`
const become = (oldMinute: string): string => `
  UPDATE callme.tasks t SET ${assignments({
    ...NEW_RUN,
    ...{ trigger_at: 'r."triggerAt"', lane: 'r.lane', due_at: 'r."dueAt"', deadline: 'r.deadline', run_id: 'r."runId"', updated: 'r.now' },
    ...{ window_from: 'r."windowFrom"', in_advance: 'r."inAdvance"' },
    ...{ rescheduled_from: 'r."rescheduledFrom"', repeated_to: 'r."repeatedTo"', definition: 'r.definition' },
  })}
  FROM json_to_recordset($1) AS r ${FRESH} WHERE t.name = r.name AND t.trigger_at = r."${oldMinute}"`
const RESET = become('triggerAt')
const MOVE = become('rescheduledFrom')
const MOVE_ATTEMPTS = `
  UPDATE callme.attempts a SET trigger_at = k.moved_to FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (name, trigger_at, moved_to)
  WHERE a.trigger_at = k.trigger_at AND a.name = k.name`
const ENDED = `SELECT f.name, f.trigger_at FROM ${KEYS} JOIN callme.finished f ON ${ofKeys('f')}`
const REMOVE = 'DELETE FROM callme.tasks WHERE name = $1 AND trigger_at = $2'
/** A run may fail while it waits for a retry. Its last attempt becomes `failed` too. */
const END_LAST_ATTEMPTS = `
  UPDATE callme.attempts a SET outcome = 'failed'
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::int[]) AS k (name, trigger_at, run_id, number)
  WHERE a.trigger_at = k.trigger_at AND a.name = k.name AND a.run_id = k.run_id AND a.number = k.number`

/** The fields of a row that moves. */
export const MOVED = ['name', 'rescheduledFrom', 'triggerAt'] as const
export const TAKEN = 'another node has taken a minute that was free'

type Inserted = Map<string, Pick<TaskRow, 'id' | 'name' | 'trigger_at'>>

/** Inserts rows of different keys, and notes where they wait. @returns the new rows by key, without the keys that `tasks` had */
export async function insertRows(transaction: Transaction, rows: readonly FreshRow[]): Promise<Inserted> {
  if (rows.length === 0) return new Map()
  const inserted: Inserted = byKey(await transaction.query(INSERT, [JSON.stringify(rows)]))
  for (const row of rows) {
    const id = inserted.get(formatTaskKey(row))?.id
    if (id !== undefined) noteWaiting(transaction, row, id)
  }
  return inserted
}

/** Inserts rows of different keys, but not those of tasks that have ended. @returns the new rows by key */
export async function insertFreeRows(transaction: Transaction, rows: readonly FreshRow[]): Promise<Inserted> {
  const inserted = await insertRows(transaction, rows)
  for (const key of await endedKeys(transaction, rows)) {
    if (inserted.delete(formatTaskKey(key))) await transaction.query(REMOVE, [key.name, key.triggerAt])
  }
  return inserted
}

/** Gives waiting rows the values of the fresh rows of their keys. */
export async function resetRows(transaction: Transaction, rows: readonly { fresh: FreshRow; id: number }[]): Promise<void> {
  if (rows.length === 0) return
  for (const { fresh, id } of rows) noteWaiting(transaction, fresh, id)
  await transaction.query(RESET, [JSON.stringify(rows.map(({ fresh }) => fresh))])
}

/** Moves waiting rows with their attempts, each from the minute `rescheduledFrom`. @throws Conflict where an ended task has the new minute */
export async function moveRows(transaction: Transaction, rows: readonly { fresh: FreshRow; id: number }[]): Promise<void> {
  if (rows.length === 0) return
  const moved = rows.map(({ fresh }) => fresh)
  for (const { fresh, id } of rows) noteWaiting(transaction, fresh, id)
  // One after the other, because a row may take the minute that an earlier one has just left.
  for (const fresh of moved) await transaction.query(MOVE, [JSON.stringify([fresh])])
  await moveAttempts(transaction, moved)
  if ((await endedKeys(transaction, moved)).length > 0) throw new Conflict(TAKEN)
}

export async function moveAttempts(queries: Queries, moved: readonly FreshRow[]): Promise<void> {
  await queries.query(MOVE_ATTEMPTS, arraysOf(moved, ...MOVED))
}

/** The keys of tasks that have ended. */
async function endedKeys(queries: Queries, keys: readonly TaskKey[]): Promise<TaskKey[]> {
  return (await queryKeys<KeyColumns>(queries, ENDED, keys)).map(keyOf)
}

export type EndedRun = Pick<TaskRow, 'name' | 'trigger_at' | 'state' | 'run_id' | 'attempts'>

/** Ends the runs of rows that begin another one, or move. @param rows as they were before */
export async function endPreviousRuns(transaction: Transaction, rows: readonly EndedRun[]): Promise<void> {
  for (const row of rows) transaction.changes.previousRunEnded(keyOf(row), row)
  const failed = rows.filter(({ state, attempts }) => state === 'failed' && attempts > 0)
  if (failed.length > 0) await transaction.query(END_LAST_ATTEMPTS, arraysOf(failed, 'name', 'trigger_at', 'run_id', 'attempts'))
}

function noteWaiting({ notes }: Transaction, { lane, dueAt, deadline }: FreshRow, id: number): void {
  notes.rowWaits(lane, { dueAt, id }, deadline)
}
