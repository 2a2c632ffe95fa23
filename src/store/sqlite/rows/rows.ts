/** Reads single rows, and the tasks that they stand for. */
import { errorCallbackKey } from '../../../domain/task/error-callback.ts'
import type { Task } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import { toTask } from '../../rows/task-row.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Session, Transaction } from '../session.ts'

const FIND = 'SELECT * FROM tasks WHERE name = ? AND trigger_at = ?'
const MOVE = 'UPDATE tasks SET lane = ? WHERE id = ?'

export function findRow({ sql }: Session, key: TaskKey): TaskRow | undefined {
  return sql.get<TaskRow>(FIND, key.name, key.triggerAt)
}

/** undefined for an unknown key */
export function getTask(session: Session, key: TaskKey): Task | undefined {
  const row = findRow(session, key)
  return row && readTask(session, row)
}

/** A task as it is now. @throws Error where it is not there: a defect of the program */
export function readBack(session: Session, key: TaskKey): Task {
  const task = getTask(session, key)
  if (task === undefined) throw new Error(`the entry ${formatTaskKey(key)} is gone`)
  return task
}

/** The task of a row, with the defaults of its handler and the progress of its error callback. */
export function readTask(session: Session, row: TaskRow): Task {
  const task = toTask(row, session.handlers.of(row.name)?.definition)
  if (row.state !== 'failed' && row.state !== 'skipped') return task
  const callback = findRow(session, errorCallbackKey(task))
  if (callback === undefined) return task
  const { state, attempts, executed_at: executedAt, response_status: responseStatus, error } = callback
  return { ...task, errorCallback: { state, attempts, executedAt, responseStatus, error } }
}

export function moveToLane({ sql }: Transaction, { id }: Pick<TaskRow, 'id'>, lane: string): void {
  sql.run(MOVE, lane, id)
}
