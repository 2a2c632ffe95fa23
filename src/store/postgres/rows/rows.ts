/** Finds and locks the rows of tasks by key, and reads the tasks that they stand for. Waiting and running rows are in `tasks`, ended ones in `finished`. */
import { errorCallbackKey } from '../../../domain/task/error-callback.ts'
import { isFinal, type Task } from '../../../domain/task/task.ts'
import { formatTaskKey, type TaskKey } from '../../../domain/task/task-key.ts'
import { parse } from '../../rows/stored-json.ts'
import { toTask, type TaskRow } from '../../rows/task-row.ts'
import { PAGE_BYTES } from '../../../domain/task/page-size.ts'
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

/** How many rows a statement of `bounded` has found. */
export interface Found {
  readonly found: number
}

/**
 * The first rows of a statement, as many as hold `PAGE_BYTES` of definitions together. PostgreSQL reads no definition of the others.
 * @param rows a SELECT with the column `definition`
 * @param order its order, by columns
 */
export function bounded(rows: string, order: string): string {
  const size = 'octet_length(definition)'
  const before = `sum(${size}) OVER (ORDER BY ${order} ROWS UNBOUNDED PRECEDING) - ${size}`
  return `
    WITH page AS MATERIALIZED (${rows})
    SELECT * FROM (SELECT page.*, count(*) OVER () AS found, ${before} AS before FROM page) sized
    WHERE before < ${PAGE_BYTES} ORDER BY ${order}`
}

/** The keys of `keyParams` or `spanParams`. */
export const KEYS = 'unnest($1::text[], $2::bigint[]) AS k (name, trigger_at)'

/** Joins a partitioned table on the keys of `spanParams`. By the span the planner leaves partitions out. */
export function ofKeys(table: string): string {
  return `${table}.trigger_at = k.trigger_at AND ${table}.name = k.name AND ${table}.trigger_at BETWEEN $3 AND $4`
}

const open = (values: Values = {}): string =>
  `SELECT ${columnsOf('t', values)} FROM ${KEYS} JOIN callme.tasks t ON t.name = k.name AND t.trigger_at = k.trigger_at`
const ended = (values: Values = {}): string => `SELECT ${columnsOf('f', values)} FROM ${KEYS} JOIN callme.finished f ON ${ofKeys('f')}`
const lock = (values: Values = {}): string => `${open(values)} ORDER BY t.name, t.trigger_at FOR UPDATE OF t`
/** For a statement that does not need the definition, which may be large. */
export const NO_DEFINITION: Values = { definition: `''` }
const FIND = `${open()} UNION ALL ${ended()}`
const FIND_PROGRESS = `${open(NO_DEFINITION)} UNION ALL ${ended(NO_DEFINITION)}`
const LOCK = lock()
const LOCK_STATES = lock(NO_DEFINITION)
const LOCK_ENDED_STATES = `${ended(NO_DEFINITION)} ORDER BY f.name, f.trigger_at FOR UPDATE OF f`

/** The stored rows of the keys, in no particular order. */
export async function findRows(queries: Queries, keys: readonly TaskKey[]): Promise<TaskRow[]> {
  return (await queryKeys<TaskRow>(queries, FIND, keys)).map(fromDatabase)
}

export async function findRow(queries: Queries, key: TaskKey): Promise<TaskRow | undefined> {
  return (await findRows(queries, [key]))[0]
}

/** The waiting and running rows of the keys without their definitions, locked until the transaction ends. */
export async function lockStates(queries: Queries, keys: readonly TaskKey[]): Promise<Omit<TaskRow, 'definition'>[]> {
  return keys.length === 0 ? [] : readRows(queries, LOCK_STATES, keyParams(keys))
}

/** The rows that have not changed since they were found, locked until the transaction ends. */
export async function lockFound(queries: Queries, found: readonly TaskRow[]): Promise<TaskRow[]> {
  const [final, waiting] = split(found, ({ state }) => isFinal(state))
  const locked = await lockStates(queries, waiting.map(keyOf))
  const now = byKey([...locked, ...(await queryKeys<Omit<TaskRow, 'definition'>>(queries, LOCK_ENDED_STATES, final.map(keyOf)))])
  return found.filter((row) => {
    const same = now.get(formatTaskKey(keyOf(row)))
    return same?.state === row.state && same.run_id === row.run_id && same.rescheduled_to === row.rescheduled_to
  })
}

/** The row of a key. A waiting or running row is locked until the transaction ends. */
export async function lockRow(queries: Queries, key: TaskKey): Promise<TaskRow | undefined> {
  return (await readRows(queries, LOCK, keyParams([key])))[0] ?? findRow(queries, key)
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
  if (row.response_body === null) return row
  const body = parse(row.response_body)
  // A damaged one is shown as it is.
  return { ...row, response_body: typeof body === 'string' ? body : row.response_body }
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
  const tasks = rows.map((row) => toTask(row, handlers.of(row.name)))
  const troubled = tasks.filter(({ state }) => state === 'failed' || state === 'skipped').map(errorCallbackKey)
  const callbacks = byKey(await queryKeys<TaskRow>(queries, FIND_PROGRESS, troubled))
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
