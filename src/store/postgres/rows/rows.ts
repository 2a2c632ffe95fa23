/** Finds and locks the rows of tasks by key, and reads the tasks that they stand for. Waiting and running rows are in `tasks`, ended ones in `finished`. */
import { errorCallbackKey } from '../../../domain/task/error-callback.ts'
import { isFinal, type Task } from '../../../domain/task/task.ts'
import { formatTaskKey, type TaskKey } from '../../../domain/task/task-key.ts'
import { toTask, type TaskRow } from '../../rows/task-row.ts'
import { one, type Queries } from '../commit/database.ts'
import type { Session } from '../session.ts'

const FIELDS = [
  ...['id', 'name', 'trigger_at', 'state', 'lane', 'due_at', 'deadline', 'lease_until', 'claimed_by', 'run_id', 'attempts', 'lost'],
  ...['in_advance', 'executed_at', 'response_status', 'response_body', 'error', 'created', 'updated', 'rescheduled_to'],
  ...['rescheduled_from', 'definition', 'window_from', 'awaiting', 'remove_after', 'repeated_to', 'rules'],
] as const

/** SQL by the column that gets its value. */
type Values = Readonly<Record<string, string>>

/** The columns of both tables, in their order. */
export const COLUMNS = FIELDS.join(', ')

/** @param values for columns that differ from those of the table's row */
export function columnsOf(table: string, values: Values = {}): string {
  return FIELDS.map((field) => (values[field] === undefined ? `${table}.${field}` : `${values[field]} AS ${field}`)).join(', ')
}

/** The list of an UPDATE. */
export function assignments(values: Values): string {
  const list = Object.entries(values).map(([column, value]) => `${column} = ${value}`)
  return list.join(', ')
}

/** The keys of `keyParams` or `spanParams`. */
export const KEYS = 'unnest($1::text[], $2::bigint[]) AS k (name, trigger_at)'

/** Joins a partitioned table on the keys of `spanParams`. By the span the planner leaves partitions out. */
export function ofKeys(table: string): string {
  return `${table}.trigger_at = k.trigger_at AND ${table}.name = k.name AND ${table}.trigger_at BETWEEN $3 AND $4`
}

const OPEN = `SELECT ${columnsOf('t')} FROM ${KEYS} JOIN callme.tasks t ON t.name = k.name AND t.trigger_at = k.trigger_at`
const ENDED = `SELECT ${columnsOf('f')} FROM ${KEYS} JOIN callme.finished f ON ${ofKeys('f')}`
const FIND = `${OPEN} UNION ALL ${ENDED}`
const LOCK = `${OPEN} ORDER BY t.name, t.trigger_at FOR UPDATE OF t`
const LOCK_ENDED = `${ENDED} ORDER BY f.name, f.trigger_at FOR UPDATE OF f`

/** The stored rows of the keys, in no particular order. */
export async function findRows(queries: Queries, keys: readonly TaskKey[]): Promise<TaskRow[]> {
  return (await queryKeys<TaskRow>(queries, FIND, keys)).map(fromDatabase)
}

export async function findRow(queries: Queries, key: TaskKey): Promise<TaskRow | undefined> {
  return (await findRows(queries, [key]))[0]
}

/** The waiting and running rows of the keys, locked until the transaction ends. */
export async function lockRows(queries: Queries, keys: readonly TaskKey[]): Promise<TaskRow[]> {
  return keys.length === 0 ? [] : readRows(queries, LOCK, keyParams(keys))
}

/** The rows that have not changed since they were found, locked until the transaction ends. */
export async function lockFound(queries: Queries, found: readonly TaskRow[]): Promise<TaskRow[]> {
  const [ended, open] = split(found, ({ state }) => isFinal(state))
  const locked = await lockRows(queries, open.map(keyOf))
  const now = byKey([...locked, ...(await queryKeys<TaskRow>(queries, LOCK_ENDED, ended.map(keyOf)))])
  return found.filter((row) => {
    const same = now.get(formatTaskKey(keyOf(row)))
    return same?.state === row.state && same.run_id === row.run_id && same.rescheduled_to === row.rescheduled_to
  })
}

/** The row of a key. A waiting or running row is locked until the transaction ends. */
export async function lockRow(queries: Queries, key: TaskKey): Promise<TaskRow | undefined> {
  return (await lockRows(queries, [key]))[0] ?? findRow(queries, key)
}

/** Runs a statement with `spanParams`, but none without keys. */
export async function queryKeys<Row>(queries: Queries, sql: string, keys: readonly TaskKey[]): Promise<Row[]> {
  return keys.length === 0 ? [] : queries.query<Row>(sql, spanParams(keys))
}

/** Runs a statement that answers all columns of rows. */
export async function readRows(queries: Queries, sql: string, params: readonly unknown[]): Promise<TaskRow[]> {
  return (await queries.query<TaskRow>(sql, params)).map(fromDatabase)
}

/** A row with its response body as text. PostgreSQL's text holds neither NUL nor half a character, so a body is stored as JSON. */
export function fromDatabase(row: TaskRow): TaskRow {
  return row.response_body === null ? row : { ...row, response_body: JSON.parse(row.response_body) as string }
}

/** The values of each field as an array, for `unnest`. */
export function arraysOf<T>(all: readonly T[], ...fields: readonly (keyof T)[]): unknown[][] {
  return fields.map((field) => all.map((one) => one[field]))
}

/** Sets one column of waiting and running rows. The rows hold its new values. */
export async function setColumn<Column extends 'created' | 'deadline' | 'repeated_to'>(
  queries: Queries,
  column: Column,
  rows: readonly (KeyColumns & Pick<TaskRow, Column>)[],
): Promise<void> {
  if (rows.length === 0) return
  const values = 'unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (name, trigger_at, value)'
  const sql = `UPDATE callme.tasks t SET ${column} = k.value FROM ${values} WHERE t.name = k.name AND t.trigger_at = k.trigger_at`
  await queries.query(sql, arraysOf(rows, 'name', 'trigger_at', column))
}

export function keyParams(keys: readonly TaskKey[]): [string[], number[]] {
  return [keys.map(({ name }) => name), keys.map(({ triggerAt }) => triggerAt)]
}

/** The keys with the first and the last of their minutes. */
export function spanParams(keys: readonly TaskKey[]): [string[], number[], number, number] {
  const [names, minutes] = keyParams(keys)
  return [names, minutes, minutes.reduce((a, b) => Math.min(a, b), Infinity), minutes.reduce((a, b) => Math.max(a, b), -Infinity)]
}

export type KeyColumns = Pick<TaskRow, 'name' | 'trigger_at'>

export function keyOf({ name, trigger_at: triggerAt }: KeyColumns): TaskKey {
  return { name, triggerAt }
}

/** The rows by their formatted keys. */
export function byKey<Row extends KeyColumns>(rows: readonly Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [formatTaskKey(keyOf(row)), row]))
}

/** The value of a key. @throws Error for a key that the map does not have: a defect */
export function mustGet<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const value = map.get(key)
  if (value === undefined) throw new Error(`nothing is known of ${typeof key === 'string' ? key : JSON.stringify(key)}`)
  return value
}

/** @returns the values that pass, and the others */
export function split<T>(all: readonly T[], passes: (one: T) => boolean): [T[], T[]] {
  return [all.filter(passes), all.filter((one) => !passes(one))]
}

/** Batches for statements that take each key once. Values of one key stay in their order. */
export function distinctBatches<T>(all: readonly T[], keyOf: (one: T) => string): T[][] {
  const batches: T[][] = []
  const counts = new Map<string, number>()
  for (const one of all) {
    const key = keyOf(one)
    const count = counts.get(key) ?? 0
    counts.set(key, count + 1)
    ;(batches[count] ??= []).push(one)
  }
  return batches
}

/** Tasks as they read back: each row with the defaults of its handler and the progress of its error callback, in the order of the rows. */
export async function readTasks(queries: Queries, { handlers }: Pick<Session, 'handlers'>, rows: readonly TaskRow[]): Promise<Task[]> {
  const tasks = rows.map((row) => toTask(row, handlers.of(row.name)?.definition))
  const troubled = tasks.filter(({ state }) => state === 'failed' || state === 'skipped').map(errorCallbackKey)
  const callbacks = byKey(await findRows(queries, troubled))
  if (callbacks.size === 0) return tasks
  return tasks.map((task) => {
    const callback = callbacks.get(formatTaskKey(errorCallbackKey(task)))
    if (callback === undefined) return task
    const { state, attempts, executed_at: executedAt, response_status: responseStatus, error } = callback
    return { ...task, errorCallback: { state, attempts, executedAt, responseStatus, error } }
  })
}

export async function readTask(queries: Queries, session: Session, row: TaskRow): Promise<Task> {
  return one(await readTasks(queries, session, [row]))
}

/** The stored task of a key. @throws Error for a key that is not stored: a defect */
export async function readBack(queries: Queries, session: Session, key: TaskKey): Promise<Task> {
  const row = await findRow(queries, key)
  if (row === undefined) throw new Error(`the entry ${formatTaskKey(key)} is gone`)
  return readTask(queries, session, row)
}
