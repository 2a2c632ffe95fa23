/**
 * Reads the pages of a selection, in the order of trigger_at, then name. Rare states have indexes of their own. For other states a
 * page passes a bounded part of the index over all rows, so that no filter holds up the process.
 */
import { isPattern, rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { TASK_STATES, WAITING_STATES, type TaskState } from '../../../domain/task/task.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { Selection } from '../../store.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Bounded, Sql } from '../commit/sql.ts'

/** `next` is the key before the following page, even if this page is empty. The last page has none. */
export interface Page<Row> extends Bounded<Row> {
  readonly next?: TaskKey
}

/** One page passes this many keys of an index at the most. */
const MOST_PASSED = 500
const RARE_STATES: readonly TaskState[] = ['running', 'retrying', 'failed', 'skipped']
/** One bound on both columns enters the index at the right place: names are never empty. */
const AFTER = '(trigger_at, name) > (@afterTime, @afterName) AND trigger_at < @to'
/** Error callbacks have an "@" in their name. */
const IS_TASK = `instr(name, '@') = 0`
const OF_NAMES = 'AND name >= @first AND name < @end'
const FIRST_WAITING = `SELECT min(trigger_at) FROM tasks INDEXED BY tasks_waiting_since WHERE state IN ('pending', 'retrying')`

type RowKey = Pick<TaskRow, 'name' | 'trigger_at'>
/** SQLite reads through a large definition also for the columns behind it. */
type Sized = RowKey & { readonly bytes: number }

interface Position {
  readonly after?: TaskKey | undefined
  readonly limit: number
  /** how much the definitions of the page may hold */
  readonly bytes?: number | undefined
}

/** The first rows of the selection after a key. @param columns those of `Row` */
export function readPage<Row extends RowKey = TaskRow>(sql: Sql, given: Selection, position: Position, columns = 'tasks.*'): Page<Row> {
  const { after, limit, bytes } = position
  const sized = `${columns}, octet_length(definition) AS bytes`
  const read = (text: string, params: object): Page<Row> =>
    nextAfter(
      sql.bounded<Row & Sized>(text, params, (row) => row.bytes, bytes),
      limit,
    )
  const { names } = given
  // One name without a pattern is found by the index of names.
  const selection = given.name === undefined && names !== undefined && !isPattern(names) ? { ...given, name: names } : given
  const states = TASK_STATES.filter((state) => selection.states?.includes(state) ?? true)
  if (states.length === 0) return { rows: [], isCut: false }
  const bounds = boundsOf(sql, selection, states, after)
  const ofNames = names === undefined ? '' : OF_NAMES
  if (selection.name === undefined && states.every((state) => RARE_STATES.includes(state))) {
    return read(rareRows(sized, states, ofNames), { ...bounds, limit })
  }
  const inStates = states.length === TASK_STATES.length ? '' : `AND state IN (${states.map((state) => `'${state}'`).join(', ')})`
  const filter = `${ofNames} ${inStates}`.trim()
  const scope = selection.name === undefined ? 'INDEXED BY tasks_page WHERE' : 'WHERE name = @name AND'
  const pageEnd = `SELECT trigger_at, name FROM tasks ${scope} ${AFTER} ORDER BY trigger_at, name LIMIT 1 OFFSET ${MOST_PASSED - 1}`
  const end = filter === '' ? undefined : sql.get<RowKey>(pageEnd, bounds)
  const text = filteredRows(sized, scope, filter, end !== undefined)
  const page = read(text, { ...bounds, limit, endTime: end?.trigger_at, endName: end?.name })
  return page.next || !end ? page : { ...page, next: { name: end.name, triggerAt: end.trigger_at } }
}

function boundsOf(sql: Sql, { name, names, from = 0, to }: Selection, states: readonly TaskState[], after: TaskKey | undefined) {
  const waitingOnly = states.every((state) => (WAITING_STATES as readonly TaskState[]).includes(state))
  const first = waitingOnly ? Math.max(from, sql.value<number | null>(FIRST_WAITING) ?? 0) : from
  const start = after !== undefined && after.triggerAt >= first ? after : { name: '', triggerAt: first }
  const range = names === undefined ? undefined : rangeOfNames(names)
  return {
    ...{ name, first: range?.first, end: range?.end },
    ...{ afterTime: start.triggerAt, afterName: start.name, to: to ?? Number.MAX_SAFE_INTEGER },
  }
}

function nextAfter<Row extends RowKey>(page: Bounded<Row>, limit: number): Page<Row> {
  const last = page.rows.at(-1)
  return last && (page.isCut || page.rows.length === limit) ? { ...page, next: { name: last.name, triggerAt: last.trigger_at } } : page
}

function rareRows(columns: string, states: readonly TaskState[], ofNames: string): string {
  const parts = states.map((state) => {
    const source = state === 'running' ? `tasks_running WHERE` : `tasks_troubled WHERE state IN ('retrying', 'failed', 'skipped') AND`
    return `SELECT * FROM (SELECT id, trigger_at, name FROM tasks INDEXED BY ${source} state = '${state}' AND ${AFTER} AND ${IS_TASK} ${ofNames} ORDER BY trigger_at, name LIMIT @limit)`
  })
  return `SELECT ${columns} FROM (SELECT * FROM (${parts.join(' UNION ALL ')}) ORDER BY trigger_at, name LIMIT @limit) AS page
    JOIN tasks ON tasks.id = page.id ORDER BY page.trigger_at, page.name`
}

function filteredRows(columns: string, scope: string, filter: string, hasEnd: boolean): string {
  const end = hasEnd ? 'AND (trigger_at, name) <= (@endTime, @endName)' : ''
  return `SELECT ${columns} FROM tasks ${scope} ${AFTER} AND ${IS_TASK} ${end} ${filter} ORDER BY trigger_at, name LIMIT @limit`
}
