/** One stretch of a removal by a client: takes matching entries away, and lets their series go on where that is wanted. */
import type { TaskKey } from '../../domain/task-key.ts'
import type { Selection } from '../store.ts'
import type { Changes } from './changes.ts'
import { readTask, removeRows } from './entries.ts'
import { continueSeries } from './series.ts'
import type { Session } from './session.ts'

/**
 * Must run inside a write transaction.
 * @returns how many were removed, and where the following stretch starts
 */
export function removeEntries(
  session: Session,
  selection: Selection,
  after: TaskKey | undefined,
  options: { now: number; limit: number; continueSeries?: boolean },
  changes: Changes,
): { removed: number; next: TaskKey | undefined } {
  const { rows, next } = session.selections.stretch(selection, after, options.limit)
  for (const row of rows) {
    if (options.continueSeries) continueSeries(session, row, options.now, changes)
    changes.tell('deleted', readTask(session, row), options.now)
  }
  return { removed: removeRows(session, rows, changes), next }
}
