/** Stores tasks of a client: new ones, and ones in the place of a task with the same key, or of the one that waits in the same series. */
import { servesTasksWithoutCallback } from '../../../domain/task/handler.ts'
import { pendingTask, type NewTask } from '../../../domain/task/task.ts'
import { nextState } from '../../../domain/attempt/transitions.ts'
import { freshRow } from '../../rules/assign-lane.ts'
import type { PutRefusal, PutResult, StoredTask } from '../../../domain/task/client-write.ts'
import type { Store } from '../../store.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { insertTask, readTask } from '../rows/rows.ts'
import { replaceRow, type PreviousRun } from './end-previous-run.ts'
import { removeTask } from './remove.ts'
import { waitingInSeries } from './series.ts'
import type { Transaction, Verb } from '../session.ts'

const OF_NAME = 'SELECT * FROM tasks WHERE name = ?'
const NOT_ENDED = `${OF_NAME} AND state IN ('pending', 'running', 'retrying') ORDER BY trigger_at LIMIT 1`
const NEWEST = `${OF_NAME} ORDER BY trigger_at DESC LIMIT 1`
/** Without the definition, which may be large. */
const STORED = 'SELECT id, trigger_at, state, run_id, attempts, created FROM tasks WHERE name = ? AND trigger_at = ?'

type PutOptions = Parameters<Store['put']>[1]

export const putTasks: Verb<'put'> = (transaction, tasks, options) => {
  return tasks.map((task) => putTask(transaction, task, options))
}

function putTask(transaction: Transaction, task: NewTask, options: PutOptions): PutResult {
  const { name, triggerAt, definition } = task
  const handler = transaction.handlers.of(name)?.definition
  if (definition.callback === undefined && !servesTasksWithoutCallback(handler)) return { status: 'no_callback' }
  const there = sameTask(transaction, task)
  if (there !== undefined) return { status: 'kept', task: readTask(transaction, there) }
  const waiting = definition.repeat === undefined ? [] : waitingInSeries(transaction, name)
  const [first] = waiting.map((row) => ({ name, triggerAt: row.trigger_at }))
  if (first !== undefined && options.ifAbsent) return { status: 'exists', key: first }
  const result = storeTask(transaction, task, options)
  if (!('task' in result) || first === undefined) return result
  for (const row of waiting) if (row.trigger_at !== triggerAt) removeTask(transaction, row, options.now)
  return { ...result, replaces: first }
}

/** The stored task beside which a unique one is not stored. */
function sameTask({ sql }: Transaction, { name, unique }: NewTask): TaskRow | undefined {
  if (unique === undefined) return undefined
  return sql.get<TaskRow>(NOT_ENDED, name) ?? (unique === 'ever' ? sql.get<TaskRow>(NEWEST, name) : undefined)
}

function storeTask(transaction: Transaction, given: NewTask, { now, ifAbsent }: PutOptions): StoredTask | PutRefusal {
  const { sql, handlers, changes } = transaction
  const { name, triggerAt } = given
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
