/** Reads pages of a selection from both tables, in the order of trigger_at, then name. No selection has error callbacks. */
import { isPattern, rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { FINAL_STATES, TASK_STATES, isFinal } from '../../../domain/task/task.ts'
import type { TaskState } from '../../../domain/task/task.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { Selection } from '../../store.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Queries } from '../commit/database.ts'
import { columnsOf, fromDatabase, keyOf } from './rows.ts'
import type { KeyColumns } from './rows.ts'

const OPEN_STATES = TASK_STATES.filter((state) => !isFinal(state))

/** `next` is the last key of a full page: the following page starts after it. */
interface Page<Row = TaskRow> {
  readonly rows: Row[]
  readonly next?: TaskKey
}

/** The rows of the selection after a key, at most `limit`, in order. */
export async function readPage(queries: Queries, selection: Selection, after: TaskKey | undefined, limit: number): Promise<Page> {
  const { rows, ...rest } = await readColumns<TaskRow>(columnsOf('t'), queries, selection, after, limit)
  return { rows: rows.map(fromDatabase), ...rest }
}

/** The same page with some columns of the table `t`: those of `Row`. */
export async function readColumns<Row extends KeyColumns>(
  columns: string,
  queries: Queries,
  selection: Selection,
  after: TaskKey | undefined,
  limit: number,
): Promise<Page<Row>> {
  const params: unknown[] = []
  const filter = filterOf(selection, after, params)
  const end = `ORDER BY trigger_at, name LIMIT $${params.push(limit)}`
  const pages = [['tasks', OPEN_STATES] as const, ['finished', FINAL_STATES] as const].flatMap(([table, all]) => {
    const states = all.filter((state: TaskState) => selection.states?.includes(state) ?? true)
    if (states.length === 0) return []
    const inStates = states.length === all.length ? '' : ` AND t.state IN ('${states.join(`', '`)}')`
    return [`(SELECT ${columns} FROM callme.${table} t WHERE ${filter}${inStates} ${end})`]
  })
  if (pages.length === 0) return { rows: [] }
  const rows = await queries.query<Row>(`SELECT * FROM (${pages.join(' UNION ALL ')}) page ${end}`, params)
  const last = rows.at(-1)
  return last && rows.length === limit ? { rows, next: keyOf(last) } : { rows }
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
