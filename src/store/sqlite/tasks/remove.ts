/** One stretch of a removal by a client: takes matching entries away, and lets their series go on where that is wanted. */
import { errorCallbackKey } from '../../../domain/task/error-callback.ts'
import { isFinal } from '../../../domain/task/task.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { Selection } from '../../store.ts'
import type { Changes } from '../../rules/changes.ts'
import { countRuns, findRow, readTask, removeRows } from '../rows/entries.ts'
import { continueSeries } from './series.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Session } from '../session.ts'

/** One that is still to be delivered stays: the task did fail. */
function removeErrorCallback(session: Session, { name, run_id: runId, trigger_at: triggerAt }: TaskRow, changes: Changes): void {
  const callback = findRow(session, errorCallbackKey({ name, runId, triggerAt }))
  if (callback && isFinal(callback.state)) removeRows(session, [callback], changes)
}

/**
 * Must run inside a write transaction.
 * @returns how many were removed, and where the following stretch starts
 */
export function removeTasks(
  session: Session,
  selection: Selection,
  after: TaskKey | undefined,
  options: { now: number; limit: number; continueSeries?: boolean },
  changes: Changes,
): { removed: number; next: TaskKey | undefined } {
  const { rows, next } = session.pages.page(selection, after, options.limit)
  for (const row of rows) {
    if (options.continueSeries) continueSeries(session, row, options.now, changes)
    changes.emit('deleted', readTask(session, row), options.now)
    removeErrorCallback(session, row, changes)
    countRuns(session, row, changes)
  }
  return { removed: removeRows(session, rows, changes), next }
}
