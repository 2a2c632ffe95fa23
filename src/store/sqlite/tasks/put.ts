/** Stores one task of a client: a new one, or one in the place of a task with the same key. */
import { servesTasksWithoutCallback } from '../../../domain/task/handler.ts'
import { pendingTask } from '../../../domain/task/task.ts'
import type { NewTask } from '../../../domain/task/task.ts'
import { nextState } from '../../../domain/attempt/transitions.ts'
import { freshRow } from '../../rules/assign-lane.ts'
import type { Changes } from '../../rules/changes.ts'
import type { PutResult } from '../../store.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { insertRow } from '../rows/insert-rows.ts'
import { replaceRow } from './end-previous-run.ts'
import type { PreviousRun } from './end-previous-run.ts'
import type { Session } from '../session.ts'

/** Without the definition, which may be large. */
const STORED = 'SELECT id, trigger_at, state, run_id, attempts, created FROM tasks WHERE name = ? AND trigger_at = ?'

/** Must run inside a write transaction. */
export function putTask(
  session: Session,
  given: NewTask,
  { now, ifAbsent }: { now: number; ifAbsent?: boolean },
  changes: Changes,
): PutResult {
  const { sql, handlers } = session
  const { name, triggerAt, definition } = given
  if (definition.callback === undefined && !servesTasksWithoutCallback(handlers.of(name)?.definition)) return { status: 'no_callback' }
  const { row, task } = freshRow(handlers, given, { now })
  if (insertRow(session, row)) {
    const created = pendingTask(task, { created: now, now })
    changes.moved(task, undefined, 'pending')
    changes.emit('created', created, now)
    return { status: 'created', task: created }
  }
  const before = sql.one<PreviousRun & Pick<TaskRow, 'created'>>(STORED, name, triggerAt)
  if (ifAbsent) return { status: 'exists' }
  if (nextState(before.state, 'replaced', 0) === undefined) return { status: 'running' }
  replaceRow(session, before, row, changes)
  const replaced = pendingTask(task, { created: before.created, now })
  changes.moved(task, before.state, 'pending')
  changes.emit('updated', replaced, now)
  return { status: 'replaced', task: replaced }
}
