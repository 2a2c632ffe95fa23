/** Reads pages of a selection from both tables, in the order of trigger_at, then name. No selection has error callbacks. */
import { isPattern, rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { FINAL_STATES, TASK_STATES, isFinal, type TaskState } from '../../../domain/task/task.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { Selection } from '../../store.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Queries } from '../commit/database.ts'
import { bounded, columnsOf, fromDatabase, keyOf, type Found, type KeyColumns } from './rows.ts'

const ORDER = 'trigger_at, name'
const OPEN_STATES = TASK_STATES.filter((state) => !isFinal(state))

/** `next` is the last key of a full page: the following page starts after it. */
interface Page<Row = TaskRow> {
  readonly rows: Row[]
  readonly next?: TaskKey
}

/** The rows of the selection after a key, at most `limit`, in order. `isCut` says that others follow, which were too many bytes. */
export async function readPage(
  queries: Queries,
  selection: Selection,
  after: TaskKey | undefined,
  limit: number,
): Promise<Page & { readonly isCut: boolean }> {
  const page = pageOf(columnsOf('t'), selection, after, limit)
  if (page === undefined) return { rows: [], isCut: false }
  const found = await queries.query<TaskRow & Found>(bounded(page.sql, ORDER), page.params)
  const isCut = found.length < (found[0]?.found ?? 0)
  return { ...nextAfter(found.map(fromDatabase), isCut || found.length === limit), isCut }
}

/** The same page with some columns of the table `t`: those of `Row`, without the definition. */
export async function readColumns<Row extends KeyColumns>(
  columns: string,
  queries: Queries,
  selection: Selection,
  after: TaskKey | undefined,
  limit: number,
): Promise<Page<Row>> {
  const page = pageOf(columns, selection, after, limit)
  if (page === undefined) return { rows: [] }
  const rows = await queries.query<Row>(page.sql, page.params)
  return nextAfter(rows, rows.length === limit)
}

function nextAfter<Row extends KeyColumns>(rows: Row[], isFull: boolean): Page<Row> {
  const last = rows.at(-1)
  return last && isFull ? { rows, next: keyOf(last) } : { rows }
}

/** The statement of a page; undefined where no row can match. */
function pageOf(
  columns: string,
  selection: Selection,
  after: TaskKey | undefined,
  limit: number,
): { readonly sql: string; readonly params: unknown[] } | undefined {
  const params: unknown[] = []
  const filter = filterOf(selection, after, params)
  const end = `ORDER BY ${ORDER} LIMIT $${params.push(limit)}`
  const pages = [['tasks', OPEN_STATES] as const, ['finished', FINAL_STATES] as const].flatMap(([table, all]) => {
    const states = all.filter((state: TaskState) => selection.states?.includes(state) ?? true)
    if (states.length === 0) return []
    const inStates = states.length === all.length ? '' : ` AND t.state IN ('${states.join(`', '`)}')`
    return [`(SELECT ${columns} FROM callme.${table} t WHERE ${filter}${inStates} ${end})`]
  })
  return pages.length === 0 ? undefined : { sql: `SELECT * FROM (${pages.join(' UNION ALL ')}) page ${end}`, params }
}

/** The condition of a selection. It adds its values to `params`. */
function filterOf({ name, names, from = 0, to }: Selection, after: TaskKey | undefined, params: unknown[]): string {
  const value = (given: unknown): string => `$${params.push(given)}`
  const start = after !== undefined && after.triggerAt >= from ? after : { name: '', triggerAt: from }
  const conditions = [`(t.trigger_at, t.name) > (${value(start.triggerAt)}::bigint, ${value(start.name)}::text)`, `t.name NOT LIKE '%@%'`]
  if (name !== undefined) conditions.push(`t.name = ${value(name)}`)
  if (names !== undefined && !isPattern(names)) conditions.push(`t.name = ${value(names)}`)
  if (names !== undefined && isPattern(names)) {
    const { first, end } = rangeOfNames(names)
    conditions.push(`t.name >= ${value(first)} AND t.name < ${value(end)}`)
  }
  if (to !== undefined) conditions.push(`t.trigger_at < ${value(to)}`)
  return conditions.join(' AND ')
}
