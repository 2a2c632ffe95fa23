/** Pages of a selection, over both tables, in the order of trigger_at, then name. */
import { isPattern, rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { FINAL_STATES, TASK_STATES, isFinal } from '../../../domain/task/task.ts'
import type { TaskState } from '../../../domain/task/task.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { Selection } from '../../store.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Queries } from '../commit/database.ts'
import { columnsOf, fromDatabase } from './rows.ts'

/** `next` is where the following stretch starts; absent at the end. */
export interface Page<Row = TaskRow> {
  readonly rows: Row[]
  readonly next?: TaskKey
}

/** At most `limit` rows of the selection after a key, oldest first. */
export async function readPage(queries: Queries, selection: Selection, after: TaskKey | undefined, limit: number): Promise<Page> {
  const { rows, ...rest } = await readColumns<TaskRow>(columnsOf('t'), queries, selection, after, limit)
  return { rows: rows.map(fromDatabase), ...rest }
}

/** The same of these columns of `t` alone: `name`, `trigger_at`, and what else `Row` has. */
export async function readColumns<Row extends Pick<TaskRow, 'name' | 'trigger_at'>>(
  columns: string,
  queries: Queries,
  selection: Selection,
  after: TaskKey | undefined,
  limit: number,
): Promise<Page<Row>> {
  const states = TASK_STATES.filter((state) => selection.states?.includes(state) ?? true)
  const ended = states.filter(isFinal)
  const params: unknown[] = []
  const filter = filterOf(selection, after, params)
  params.push(limit)
  const page = (table: string, states: readonly TaskState[], all: number): string => {
    const inStates = states.length === all ? '' : ` AND t.state IN (${states.map((state) => `'${state}'`).join(', ')})`
    return `(SELECT ${columns} FROM callme.${table} t WHERE ${filter}${inStates} ORDER BY t.trigger_at, t.name LIMIT $${params.length})`
  }
  const pages = [
    ...(ended.length < states.length
      ? [
          page(
            'tasks',
            states.filter((state) => !isFinal(state)),
            TASK_STATES.length - FINAL_STATES.length,
          ),
        ]
      : []),
    ...(ended.length > 0 ? [page('finished', ended, FINAL_STATES.length)] : []),
  ]
  if (pages.length === 0) return { rows: [] }
  const rows = await queries.query<Row>(
    `SELECT * FROM (${pages.join(' UNION ALL ')}) page ORDER BY trigger_at, name LIMIT $${params.length}`,
    params,
  )
  const last = rows.at(-1)
  return last && rows.length === limit ? { rows, next: { name: last.name, triggerAt: last.trigger_at } } : { rows }
}

/** Its values are added to `params`. Error callbacks, which have an "@" in their name, are no part of any selection. */
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
