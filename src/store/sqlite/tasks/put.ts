/** Stores tasks of a client: new ones, and ones in the place of a task with the same key. */
import { servesTasksWithoutCallback } from '../../../domain/task/handler.ts'
import { pendingTask, type NewTask } from '../../../domain/task/task.ts'
import { nextState } from '../../../domain/attempt/transitions.ts'
import { freshRow } from '../../rules/assign-lane.ts'
import type { PutResult, Store } from '../../store.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { insertTask } from '../rows/rows.ts'
import { replaceRow, type PreviousRun } from './end-previous-run.ts'
import type { Transaction, Verb } from '../session.ts'

/** Without the definition, which may be large. */
const STORED = 'SELECT id, trigger_at, state, run_id, attempts, created FROM tasks WHERE name = ? AND trigger_at = ?'

type PutOptions = Parameters<Store['put']>[1]

export const putTasks: Verb<'put'> = (transaction, tasks, options) => {
  return tasks.map((task) => putTask(transaction, task, options))
}

function putTask(transaction: Transaction, given: NewTask, { now, ifAbsent }: PutOptions): PutResult {
  const { sql, handlers, changes } = transaction
  const { name, triggerAt, definition } = given
  if (definition.callback === undefined && !servesTasksWithoutCallback(handlers.of(name)?.definition)) return { status: 'no_callback' }
  const fresh = freshRow(handlers, given, { now })
  const created = insertTask(transaction, fresh)
  if (created !== undefined) return { status: 'created', task: created }
  const before = sql.one<PreviousRun & Pick<TaskRow, 'created'>>(STORED, name, triggerAt)
  if (ifAbsent) return { status: 'exists' }
  if (nextState(before.state, 'replaced', 0) === undefined) return { status: 'running' }
  replaceRow(transaction, before, fresh.row)
  const replaced = pendingTask(fresh.task, { created: before.created, now })
  changes.moved(given, before.state, 'pending')
  changes.emit('updated', replaced, now)
  return { status: 'replaced', task: replaced }
}
