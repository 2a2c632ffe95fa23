/**
 * Walks a selection in the order of trigger_at, then name. States that few rows have are read from indexes of their own;
 * for the others an index over all rows is walked, a bounded stretch at a time, so that no filter can hold up the process.
 */
import type { Database, Statement } from 'better-sqlite3'
import { isPattern, rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { TASK_STATES, WAITING_STATES } from '../../../domain/task/task.ts'
import type { TaskState } from '../../../domain/task/task.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { Selection } from '../../store.ts'
import type { TaskRow } from '../../rows/task-row.ts'

/** `next` is where the following stretch starts, also when this one found nothing; absent at the end. */
export interface Page<Row> {
  readonly rows: Row[]
  readonly next?: TaskKey
}

interface Bounds {
  readonly name: string | undefined
  readonly first: string | undefined
  readonly end: string | undefined
  readonly afterTime: number
  readonly afterName: string
  readonly to: number
}

/** How many index entries one stretch passes at the most. */
const MOST_PASSED = 2000
const RARE_STATES: readonly TaskState[] = ['running', 'retrying', 'failed', 'skipped']
/** One bound on (trigger_at, name) enters the index at the right place: names are never empty. */
const AFTER = '(trigger_at, name) > (@afterTime, @afterName) AND trigger_at < @to'
/** Error callbacks have an "@" in their name. */
const IS_TASK = `instr(name, '@') = 0`
const OF_NAMES = 'AND name >= @first AND name < @end'

export class Pages<Row extends Pick<TaskRow, 'name' | 'trigger_at'> = TaskRow> {
  readonly #db: Database
  readonly #columns: string
  readonly #statements = new Map<string, Statement>()

  /** @param columns what is read of each row: `name`, `trigger_at`, and what else `Row` has */
  constructor(db: Database, columns = 'tasks.*') {
    this.#db = db
    this.#columns = columns
  }

  /** At most `limit` rows of the selection after a key, oldest first. */
  page(given: Selection, after: TaskKey | undefined, limit: number): Page<Row> {
    const selection = withName(given)
    const states = TASK_STATES.filter((state) => selection.states?.includes(state) ?? true)
    if (states.length === 0) return { rows: [] }
    const bounds = this.#bounds(selection, states, after)
    const ofNames = selection.names === undefined ? '' : OF_NAMES
    if (selection.name === undefined && states.every((state) => RARE_STATES.includes(state))) {
      return nextAfter(this.#prepare(rareRows(this.#columns, states, ofNames)).all({ ...bounds, limit }) as Row[], limit)
    }
    const inStates = states.length === TASK_STATES.length ? '' : `AND state IN (${states.map((state) => `'${state}'`).join(', ')})`
    const filter = `${ofNames} ${inStates}`.trim()
    const scope = selection.name === undefined ? 'INDEXED BY tasks_page WHERE' : 'WHERE name = @name AND'
    const end = filter && (this.#prepare(pageEnd(scope)).get(bounds) as { trigger_at: number; name: string } | undefined)
    const rows = this.#prepare(walkedRows(this.#columns, scope, filter, Boolean(end))).all({
      ...bounds,
      limit,
      endTime: end && end.trigger_at,
      endName: end && end.name,
    })
    const walked = nextAfter(rows as Row[], limit)
    return walked.next || !end ? walked : { ...walked, next: { name: end.name, triggerAt: end.trigger_at } }
  }

  #bounds(selection: Selection, states: readonly TaskState[], after: TaskKey | undefined): Bounds {
    const waitingOnly = states.every((state) => (WAITING_STATES as readonly TaskState[]).includes(state))
    const from = Math.max(selection.from ?? 0, waitingOnly ? this.#firstWaiting() : 0)
    const start = after !== undefined && after.triggerAt >= from ? after : { name: '', triggerAt: from }
    return {
      name: selection.name,
      ...(selection.names === undefined ? { first: undefined, end: undefined } : rangeOfNames(selection.names)),
      ...{ afterTime: start.triggerAt, afterName: start.name, to: selection.to ?? Number.MAX_SAFE_INTEGER },
    }
  }

  #firstWaiting(): number {
    const sql = `SELECT min(trigger_at) AS first FROM tasks INDEXED BY tasks_waiting_since WHERE state IN ('pending', 'retrying')`
    return (this.#prepare(sql).get() as { first: number | null }).first ?? 0
  }

  #prepare(sql: string): Statement {
    const known = this.#statements.get(sql)
    if (known) return known
    const statement = this.#db.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}

/** Rows of one name have an index of their own. */
function withName(selection: Selection): Selection {
  const { name, names } = selection
  return name === undefined && names !== undefined && !isPattern(names) ? { ...selection, name: names } : selection
}

function nextAfter<Row extends Pick<TaskRow, 'name' | 'trigger_at'>>(rows: Row[], limit: number): Page<Row> {
  const last = rows.at(-1)
  return last && rows.length === limit ? { rows, next: { name: last.name, triggerAt: last.trigger_at } } : { rows }
}

function rareRows(columns: string, states: readonly TaskState[], ofNames: string): string {
  const parts = states.map((state) => {
    const source = state === 'running' ? `tasks_running WHERE` : `tasks_troubled WHERE state IN ('retrying', 'failed', 'skipped') AND`
    return `SELECT * FROM (SELECT id, trigger_at, name FROM tasks INDEXED BY ${source} state = '${state}' AND ${AFTER} AND ${IS_TASK} ${ofNames} ORDER BY trigger_at, name LIMIT @limit)`
  })
  return `SELECT ${columns} FROM (SELECT * FROM (${parts.join(' UNION ALL ')}) ORDER BY trigger_at, name LIMIT @limit) AS page
    JOIN tasks ON tasks.id = page.id ORDER BY page.trigger_at, page.name`
}

function pageEnd(scope: string): string {
  return `SELECT trigger_at, name FROM tasks ${scope} ${AFTER} ORDER BY trigger_at, name LIMIT 1 OFFSET ${MOST_PASSED - 1}`
}

function walkedRows(columns: string, scope: string, filter: string, hasEnd: boolean): string {
  const end = hasEnd ? 'AND (trigger_at, name) <= (@endTime, @endName)' : ''
  return `SELECT ${columns} FROM tasks ${scope} ${AFTER} AND ${IS_TASK} ${end} ${filter} ORDER BY trigger_at, name LIMIT @limit`
}
