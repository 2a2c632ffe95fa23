/** Removes rows with their attempts. A client's removal also continues their series, counts their runs and emits their end. */
import { errorCallbackKey } from '../../../domain/task/error-callback.ts'
import { isFinal } from '../../../domain/task/task.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { Selection, Store } from '../../store.ts'
import { readPage } from '../rows/pages.ts'
import { findRow, readTask } from '../rows/rows.ts'
import { continueSeries } from './series.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Transaction } from '../session.ts'

const REMOVE = 'DELETE FROM tasks WHERE id = ?'
const REMOVE_ATTEMPTS = 'DELETE FROM attempts WHERE task_id = ?'
const PAST_RUNS = 'SELECT count(DISTINCT run_id) FROM attempts WHERE task_id = ? AND run_id <> ?'

/** Without a change for listeners. @returns how many rows were removed */
export function removeRows({ sql, changes }: Transaction, rows: readonly Pick<TaskRow, 'id' | 'name' | 'state'>[]): number {
  for (const { id, name, state } of rows) {
    sql.run(REMOVE, id)
    sql.run(REMOVE_ATTEMPTS, id)
    changes.moved({ name }, state, undefined)
  }
  return rows.length
}

/** Counts all runs of a task that a client removes. */
export function countRuns({ sql, changes }: Transaction, row: Pick<TaskRow, 'id' | 'run_id' | 'trigger_at'>): void {
  changes.deleted({ triggerAt: row.trigger_at }, 1 + sql.value<number>(PAST_RUNS, row.id, row.run_id))
}

type RemoveOptions = Parameters<Store['remove']>[1] & { readonly after: TaskKey | undefined }

/** One batch of a client's removal. @returns how many tasks were removed, and where the next batch starts */
export function removeTasks(transaction: Transaction, selection: Selection, options: RemoveOptions): { removed: number; next?: TaskKey } {
  const { rows, next } = readPage(transaction.sql, selection, options)
  for (const row of rows) {
    if (options.continueSeries) continueSeries(transaction, row, options.now)
    removeTask(transaction, row, options.now)
  }
  return { removed: rows.length, ...(next && { next }) }
}

/** Removes one task as a client asks, and continues no series. */
export function removeTask(transaction: Transaction, row: TaskRow, now: number): void {
  transaction.changes.emit('deleted', readTask(transaction, row), now)
  removeErrorCallback(transaction, row)
  countRuns(transaction, row)
  removeRows(transaction, [row])
}

/** A waiting error callback stays, because its task has failed all the same. */
function removeErrorCallback(transaction: Transaction, { name, run_id: runId, trigger_at: triggerAt }: TaskRow): void {
  const callback = findRow(transaction, errorCallbackKey({ name, runId, triggerAt }))
  if (callback && isFinal(callback.state)) removeRows(transaction, [callback])
}
