/** Stores and removes handlers. Running tasks change lanes at once, waiting tasks in the backfill that follows. */
import { servesTasksWithoutCallback, type Handler } from '../../../domain/task/handler.ts'
import { rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { handlerLane, parseLane } from '../../rows/lane-name.ts'
import { toHandler, type HandlerRow } from '../../rows/handler-row.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { FORGET_STARTS } from '../results/starts.ts'
import { moveToLane } from '../rows/rows.ts'
import type { Session, Transaction, Verb } from '../session.ts'

const FIND = 'SELECT * FROM handlers WHERE name = ?'
const AFTER = 'SELECT * FROM handlers WHERE name > ? ORDER BY name LIMIT ?'
const UPSERT = `
  INSERT INTO handlers (name, created, updated, definition) VALUES (@name, @created, @now, @definition)
  ON CONFLICT (name) DO UPDATE SET updated = excluded.updated, definition = excluded.definition`
const REMOVE = 'DELETE FROM handlers WHERE name = ?'
const WAITING_IN_LANE = `
  SELECT 1 FROM tasks INDEXED BY tasks_waiting
  WHERE state IN ('pending', 'retrying') AND lane = @lane AND name >= @first AND name < @end LIMIT 1`
const RUNNING_IN_LANE = `
  SELECT 1 FROM tasks INDEXED BY tasks_running_of_handler
  WHERE state = 'running' AND instr(lane, '@') > 0 AND name >= @first AND name < @end AND lane = @lane LIMIT 1`
const RUNNING_OF_NAMES = `
  SELECT id, name, lane FROM tasks INDEXED BY tasks_running
  WHERE state = 'running' AND name >= @first AND name < @end AND instr(name, '@') = 0`
/** The backfill goes on after a crash, because its beginning is stored. */
const BEGIN_BACKFILL = 'REPLACE INTO handler_walks (name, after_name, after_trigger_at) VALUES (?, ?, -1)'

export const findHandler: Verb<'getHandler', Session> = ({ sql }, name) => {
  const row = sql.get<HandlerRow>(FIND, name)
  return row && toHandler(row)
}

export const listHandlers: Verb<'listHandlers', Session> = ({ sql }, { after = '', limit }) => {
  const { rows, isCut } = sql.bounded<HandlerRow>(AFTER, [after, limit + 1], ({ definition }) => definition.length)
  return { handlers: rows.slice(0, limit).map(toHandler), more: isCut || rows.length > limit }
}

export const putHandler: Verb<'putHandler'> = (transaction, name, definition, { now, force }) => {
  const { sql, handlers } = transaction
  const before = findHandler(transaction, name)
  const mayLoseCallback = !force && !servesTasksWithoutCallback(definition)
  if (mayLoseCallback && isNeeded(transaction, before ?? handlers.behind(name), name)) return 'needed'
  const handler: Handler = { name, definition, created: before?.created ?? now, updated: now }
  sql.run(UPSERT, { name, definition: JSON.stringify(definition), created: handler.created, now })
  applyChange(transaction, name, handler)
  if (before === undefined) moveRunning(transaction, name)
  if (before?.definition.max_delay !== definition.max_delay || before === undefined) sql.run(BEGIN_BACKFILL, name, rangeOfNames(name).first)
  return { status: before ? 'replaced' : 'created', handler }
}

export const removeHandler: Verb<'removeHandler'> = (transaction, name, { force }) => {
  const { sql, handlers } = transaction
  const before = findHandler(transaction, name)
  if (before === undefined) return 'unknown'
  const mayLoseCallback = !force && !servesTasksWithoutCallback(handlers.behind(name)?.definition)
  if (mayLoseCallback && isNeeded(transaction, before, name)) return 'needed'
  sql.run(REMOVE, name)
  sql.run(FORGET_STARTS, name, Number.MAX_SAFE_INTEGER)
  applyChange(transaction, name, undefined)
  moveRunning(transaction, name)
  sql.run(BEGIN_BACKFILL, name, rangeOfNames(name).first)
  return 'removed'
}

/** Whether tasks with names like `pattern` wait or run without any callback but that of `handler`. */
function isNeeded({ sql }: Transaction, handler: Handler | undefined, pattern: string): boolean {
  if (handler === undefined || !servesTasksWithoutCallback(handler.definition)) return false
  const rows = { lane: handlerLane(handler.name, ''), ...rangeOfNames(pattern) }
  return sql.get(WAITING_IN_LANE, rows) !== undefined || sql.get(RUNNING_IN_LANE, rows) !== undefined
}

/** Lanes that waited for a limit of the handler, or of the handler behind it, are open again. */
function applyChange({ handlers, cursors, changeLog }: Transaction, name: string, handler: Handler | undefined): void {
  handlers.set(name, handler)
  const behind = handlers.behind(name)
  cursors.open(name)
  if (behind !== undefined) cursors.open(behind.name)
  changeLog.notify()
}

/** Running tasks change lanes at once, because limits count them by lane. */
function moveRunning(transaction: Transaction, name: string): void {
  for (const row of transaction.sql.all<Pick<TaskRow, 'id' | 'name' | 'lane'>>(RUNNING_OF_NAMES, rangeOfNames(name))) {
    const lane = transaction.handlers.laneOf(row.name, parseLane(row.lane).host)
    if (lane !== row.lane) moveToLane(transaction, row, lane)
  }
}
