/** Removes rows with their attempts. A client's removal also continues their series, counts their runs and emits their end. */
import { errorCallbackKey } from '../../../domain/task/error-callback.ts'
import { isFinal } from '../../../domain/task/task.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { Selection } from '../../store.ts'
import type { Changes } from '../../rules/changes.ts'
import { findRow, readTask } from '../rows/rows.ts'
import { continueSeries } from './series.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Session } from '../session.ts'

const REMOVE = 'DELETE FROM tasks WHERE id = ?'
const REMOVE_ATTEMPTS = 'DELETE FROM attempts WHERE task_id = ?'
const PAST_RUNS = 'SELECT count(DISTINCT run_id) FROM attempts WHERE task_id = ? AND run_id <> ?'

/** Without a change for listeners. @returns how many rows were removed */
export function removeRows({ sql }: Session, rows: readonly Pick<TaskRow, 'id' | 'name' | 'state'>[], changes: Changes): number {
  for (const { id, name, state } of rows) {
    sql.run(REMOVE, id)
    sql.run(REMOVE_ATTEMPTS, id)
    changes.moved({ name }, state, undefined)
  }
  return rows.length
}

/** Counts all runs of a task that a client removes. */
export function countRuns({ sql }: Session, row: Pick<TaskRow, 'id' | 'run_id' | 'trigger_at'>, changes: Changes): void {
  changes.deleted({ triggerAt: row.trigger_at }, 1 + sql.value<number>(PAST_RUNS, row.id, row.run_id))
}

/**
 * One batch of a client's removal. Must run inside a write transaction.
 * @returns how many tasks were removed, and where the next batch starts
 */
export function removeTasks(
  session: Session,
  selection: Selection,
  after: TaskKey | undefined,
  options: { now: number; limit: number; continueSeries?: boolean },
  changes: Changes,
): { removed: number; next?: TaskKey } {
  const { rows, next } = session.pages.page(selection, after, options.limit)
  for (const row of rows) {
    if (options.continueSeries) continueSeries(session, row, options.now, changes)
    changes.emit('deleted', readTask(session, row), options.now)
    removeErrorCallback(session, row, changes)
    countRuns(session, row, changes)
  }
  return { removed: removeRows(session, rows, changes), ...(next && { next }) }
}

/** An error callback that still waits stays: the task did fail. */
function removeErrorCallback(session: Session, { name, run_id: runId, trigger_at: triggerAt }: TaskRow, changes: Changes): void {
  const callback = findRow(session, errorCallbackKey({ name, runId, triggerAt }))
  if (callback && isFinal(callback.state)) removeRows(session, [callback], changes)
}
