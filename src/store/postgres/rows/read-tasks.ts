/** Reads tasks: each row with the defaults of its handler and the progress of its error callback. */
import { errorCallbackKey } from '../../../domain/task/error-callback.ts'
import type { Task } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import { toTask } from '../../rows/task-row.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { one } from '../commit/database.ts'
import type { Queries } from '../commit/database.ts'
import type { Session } from '../session.ts'
import { byKey, findRow, findRows } from './rows.ts'

/** The tasks of the rows, in their order. */
export async function readTasks(queries: Queries, { handlers }: Pick<Session, 'handlers'>, rows: readonly TaskRow[]): Promise<Task[]> {
  const tasks = rows.map((row) => toTask(row, handlers.of(row.name)?.definition))
  const troubled = tasks.filter(({ state }) => state === 'failed' || state === 'skipped').map(errorCallbackKey)
  const callbacks = byKey(await findRows(queries, troubled))
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
