/** Reads, inserts and moves single rows. */
import { errorCallbackKey } from '../../../domain/task/error-callback.ts'
import { pendingTask, type NewTask, type Task } from '../../../domain/task/task.ts'
import { formatTaskKey, type TaskKey } from '../../../domain/task/task-key.ts'
import type { FreshRow } from '../../rules/assign-lane.ts'
import { ownDefinition, toTask, type TaskRow } from '../../rows/task-row.ts'
import type { Session, Transaction } from '../session.ts'

const FIND = 'SELECT * FROM tasks WHERE name = ? AND trigger_at = ?'
/** Without the definition, which holds the reported task. */
const FIND_PROGRESS = 'SELECT state, attempts, executed_at, response_status, error FROM tasks WHERE name = ? AND trigger_at = ?'
const INSERT = `
  INSERT INTO tasks (id, name, trigger_at, state, lane, due_at, deadline, run_id, attempts, lost, in_advance, window_from, created, updated,
    rescheduled_from, repeated_to, definition)
  VALUES (@id, @name, @triggerAt, 'pending', @lane, @dueAt, @deadline, @runId, 0, 0, @inAdvance, @windowFrom, @now, @now,
    @rescheduledFrom, @repeatedTo, @definition)
  ON CONFLICT (name, trigger_at) DO NOTHING`
const MOVE = 'UPDATE tasks SET lane = ? WHERE id = ?'

type Progress = Pick<TaskRow, 'state' | 'attempts' | 'executed_at' | 'response_status' | 'error'>

export function findRow({ sql }: Session, key: TaskKey): TaskRow | undefined {
  return sql.get<TaskRow>(FIND, key.name, key.triggerAt)
}

/** @returns undefined for an unknown key */
export function getTask(session: Session, key: TaskKey, { own = false } = {}): Task | undefined {
  const row = findRow(session, key)
  return row && { ...readTask(session, row), ...(own && { definition: ownDefinition(row) }) }
}

/** The stored task. @throws Error without a row, which only a defect explains */
export function readBack(session: Session, key: TaskKey): Task {
  const task = getTask(session, key)
  if (task === undefined) throw new Error(`the entry ${formatTaskKey(key)} is gone`)
  return task
}

/** The task of a row, with the defaults of its handler and the progress of its error callback. */
export function readTask(session: Session, row: TaskRow): Task {
  const task = toTask(row, session.handlers.of(row.name))
  if (row.state !== 'failed' && row.state !== 'skipped') return task
  const { name, triggerAt } = errorCallbackKey(task)
  const callback = session.sql.get<Progress>(FIND_PROGRESS, name, triggerAt)
  if (callback === undefined) return task
  const { state, attempts, executed_at: executedAt, response_status: responseStatus, error } = callback
  return { ...task, errorCallback: { state, attempts, executedAt, responseStatus, error } }
}

export function moveToLane({ sql }: Transaction, { id }: Pick<TaskRow, 'id'>, lane: string): void {
  sql.run(MOVE, lane, id)
}

/** @returns false, with nothing changed, where the key is taken */
export function insertRow({ sql, cursors, rowIds }: Transaction, row: FreshRow): boolean {
  const isNew = sql.run(INSERT, { ...row, id: rowIds.next(row.triggerAt) }) === 1
  if (isNew) cursors.lower(row.lane, row.dueAt)
  return isNew
}

/** Inserts the row of a fresh task, counts it and emits it. @returns undefined, with nothing changed, where the key is taken */
export function insertTask(transaction: Transaction, { row, task }: { row: FreshRow; task: NewTask }): Task | undefined {
  if (!insertRow(transaction, row)) return undefined
  const created = pendingTask(task, { created: row.now, now: row.now })
  transaction.changes.moved(task, undefined, 'pending')
  transaction.changes.emit('created', created, row.now)
  return created
}
