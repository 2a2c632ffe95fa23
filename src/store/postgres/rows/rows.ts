/** Reads rows of tasks, be they in the table of those that wait or run, or among those that have ended. */
import { errorCallbackKey } from '../../../domain/task/error-callback.ts'
import { isFinal } from '../../../domain/task/task.ts'
import type { ErrorCallbackProgress, Task } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import { toTask } from '../../rows/task-row.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Queries } from '../commit/database.ts'
import type { HandlerBook } from '../../rules/handler-book.ts'

const FIELDS = [
  ...['id', 'name', 'trigger_at', 'state', 'lane', 'due_at', 'deadline', 'lease_until', 'claimed_by', 'run_id', 'attempts', 'lost'],
  ...['in_advance', 'executed_at', 'response_status', 'response_body', 'error', 'created', 'updated', 'rescheduled_to'],
  ...['rescheduled_from', 'definition', 'window_from', 'awaiting', 'remove_after', 'repeated_to'],
] as const

/** In the order in which both tables are read. */
export const COLUMNS = FIELDS.join(', ')

/** @param but columns that have another value than that of the table's row */
export function columnsOf(table: string, but: Readonly<Record<string, string>> = {}): string {
  return FIELDS.map((field) => (but[field] === undefined ? `${table}.${field}` : `${but[field]} AS ${field}`)).join(', ')
}

/** The keys of `keyParams`. */
export const KEYS = 'unnest($1::text[], $2::bigint[]) AS k (name, trigger_at)'

/** The rows of a partitioned table that have the keys of `spanParams`, whose bounds tell the planner which partitions to leave out. */
export function ofKeys(table: string): string {
  return `${table}.trigger_at = k.trigger_at AND ${table}.name = k.name AND ${table}.trigger_at BETWEEN $3 AND $4`
}
const FIND = `
  SELECT ${columnsOf('t')} FROM ${KEYS} JOIN callme.tasks t ON t.name = k.name AND t.trigger_at = k.trigger_at
  UNION ALL
  SELECT ${columnsOf('f')} FROM ${KEYS} JOIN callme.finished f ON ${ofKeys('f')}`
const LOCK = `
  SELECT ${columnsOf('t')} FROM ${KEYS} JOIN callme.tasks t ON t.name = k.name AND t.trigger_at = k.trigger_at
  ORDER BY t.name, t.trigger_at FOR UPDATE OF t`

const LOCK_ENDED = `
  SELECT ${columnsOf('f')} FROM ${KEYS} JOIN callme.finished f ON ${ofKeys('f')}
  ORDER BY f.name, f.trigger_at FOR UPDATE OF f`

/** The rows of these keys that there are, in no particular order. */
export async function findRows(queries: Queries, keys: readonly TaskKey[]): Promise<TaskRow[]> {
  return keys.length === 0 ? [] : readRows(queries, FIND, spanParams(keys))
}

export async function findRow(queries: Queries, key: TaskKey): Promise<TaskRow | undefined> {
  return (await findRows(queries, [key]))[0]
}

/** Those of these keys that wait or run; nobody else changes them until the transaction is over. */
export async function lockRows(queries: Queries, keys: readonly TaskKey[]): Promise<TaskRow[]> {
  return keys.length === 0 ? [] : readRows(queries, LOCK, keyParams(keys))
}

/**
 * Of rows that were found those that are still as they were; nobody else changes them until the transaction is over.
 */
export async function lockFound(queries: Queries, found: readonly TaskRow[]): Promise<TaskRow[]> {
  const [ended, waiting] = [found.filter(({ state }) => isFinal(state)), found.filter(({ state }) => !isFinal(state))]
  const locked = await lockRows(queries, waiting.map(keyOf))
  if (ended.length > 0) locked.push(...(await readRows(queries, LOCK_ENDED, spanParams(ended.map(keyOf)))))
  const now = new Map(locked.map((row) => [formatTaskKey(keyOf(row)), row]))
  return found.filter((row) => {
    const same = now.get(formatTaskKey(keyOf(row)))
    return same?.state === row.state && same.run_id === row.run_id && same.rescheduled_to === row.rescheduled_to
  })
}

/** An entry as it is now, and will be until the transaction is over where it waits or runs. */
export async function lockRow(queries: Queries, key: TaskKey): Promise<TaskRow | undefined> {
  return (await lockRows(queries, [key]))[0] ?? findRow(queries, key)
}

/** What a statement answers that reads or returns all columns. */
export async function readRows(queries: Queries, sql: string, params: readonly unknown[] = []): Promise<TaskRow[]> {
  return (await queries.query<TaskRow>(sql, params)).map(fromDatabase)
}

export function keyParams(keys: readonly TaskKey[]): [string[], number[]] {
  return [keys.map(({ name }) => name), keys.map(({ triggerAt }) => triggerAt)]
}

/** The same, and the first and the last of their minutes. */
export function spanParams(keys: readonly TaskKey[]): [string[], number[], number, number] {
  const [names, minutes] = keyParams(keys)
  return [names, minutes, minutes.reduce((a, b) => Math.min(a, b), Infinity), minutes.reduce((a, b) => Math.max(a, b), -Infinity)]
}

export function keyOf({ name, trigger_at: triggerAt }: Pick<TaskRow, 'name' | 'trigger_at'>): TaskKey {
  return { name, triggerAt }
}

/** The tasks of rows as they read back: with the defaults of their handlers, and what came of their error callbacks. */
export async function readTasks(queries: Queries, handlers: HandlerBook, rows: readonly TaskRow[]): Promise<Task[]> {
  const tasks = rows.map((row) => toTask(row, handlers.of(row.name)?.definition))
  const troubled = tasks.filter(({ state }) => state === 'failed' || state === 'skipped').map(errorCallbackKey)
  const callbacks = new Map((await findRows(queries, troubled)).map((row) => [formatTaskKey(keyOf(row)), row]))
  if (callbacks.size === 0) return tasks
  return tasks.map((task) => {
    const callback = callbacks.get(formatTaskKey(errorCallbackKey(task)))
    return callback === undefined ? task : { ...task, errorCallback: progressOf(callback) }
  })
}

/** An entry as it now is. @throws Error where it is not there: a defect of the program */
export async function readBack(queries: Queries, handlers: HandlerBook, key: TaskKey): Promise<Task> {
  const row = await findRow(queries, key)
  const [task] = row === undefined ? [] : await readTasks(queries, handlers, [row])
  if (task === undefined) throw new Error(`the entry ${formatTaskKey(key)} is gone`)
  return task
}

function progressOf(row: TaskRow): ErrorCallbackProgress {
  const { state, attempts, executed_at: executedAt, response_status: responseStatus, error } = row
  return { state, attempts, executedAt, responseStatus, error }
}

/** A row as the statements answer it, with its text as it was given. */
export function fromDatabase(row: TaskRow): TaskRow {
  return row.response_body === null ? row : { ...row, response_body: JSON.parse(row.response_body) as string }
}

/** PostgreSQL's text cannot hold NUL, nor half a character: an answer is kept as JSON. */
export function encodeBody(body: string | null): string | null {
  return body === null ? null : JSON.stringify(body)
}

/** The same for a reason, of which the characters that cannot be kept are replaced. */
export function cleanText(error: string | null): string | null {
  return error === null ? null : error.toWellFormed().replaceAll('\u0000', '\ufffd')
}
