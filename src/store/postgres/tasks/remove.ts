/** Removes tasks: those of a selection, and those that retention or a run with `removeAfter` takes. */
import { errorCallbackKey } from '../../../domain/task/error-callback.ts'
import { TASK_STATES, isFinal } from '../../../domain/task/task.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Selection, Store } from '../../store.ts'
import { oneByOne } from '../commit/group-writer.ts'
import type { GroupWriter } from '../commit/group-writer.ts'
import type { Transaction } from '../commit/transaction.ts'
import { readPage } from '../rows/pages.ts'
import { readTasks } from '../rows/read-tasks.ts'
import { KEYS, columnsOf, findRows, keyOf, lockFound, ofKeys, readRows, spanParams, split } from '../rows/rows.ts'
import { continueSeries } from './series.ts'

const of = (table: string): string => `DELETE FROM callme.${table} t USING ${KEYS} WHERE ${ofKeys('t')}`
const REMOVE_WAITING = `${of('tasks')} AND t.state <> 'running' RETURNING ${columnsOf('t')}`
const REMOVE_ENDED = `${of('finished')} RETURNING ${columnsOf('t')}`
const REMOVE_ATTEMPTS = of('attempts')
const PAST_RUNS = `SELECT DISTINCT a.name, a.trigger_at, a.run_id FROM ${KEYS} JOIN callme.attempts a ON ${ofKeys('a')}`

type Options = Parameters<Store['remove']>[1]
type Removal = Options & { readonly selection: Selection; readonly after: TaskKey | undefined }

/** How many tasks are removed in one transaction. */
const PAGE_ROWS = 1000

/** Removes the tasks of a selection that do not run, in several commits. @returns the number of removed tasks */
export async function removeMatching(writer: GroupWriter, given: Selection, options: Options): Promise<number> {
  const selection = { ...given, states: (given.states ?? TASK_STATES).filter((state) => state !== 'running') }
  let removed = 0
  let after: TaskKey | undefined
  do {
    const page = await writer.write(removePage, { ...options, selection, after, limit: Math.min(options.limit - removed, PAGE_ROWS) })
    removed += page.removed
    after = page.next
  } while (after && removed < options.limit)
  return removed
}

/** Answers the number of removed tasks, and where the following page starts. */
const removePage = oneByOne(async (transaction, removal: Removal): Promise<{ removed: number; next: TaskKey | undefined }> => {
  const { now } = removal
  const { rows: found, next } = await readPage(transaction, removal.selection, removal.after, removal.limit)
  const rows = await lockFound(transaction, found)
  const tasks = await readTasks(transaction, transaction.session, rows)
  if (removal.continueSeries) await continueSeries(transaction, rows, now)
  for (const task of tasks) transaction.changes.emit('deleted', task, now)
  const callbacks = await findRows(transaction, tasks.map(errorCallbackKey))
  await countRuns(transaction, rows)
  // An error callback that still waits is delivered, because its task did fail.
  const delivered = callbacks.filter(({ state }) => isFinal(state))
  await removeRows(transaction, [...rows, ...delivered])
  return { removed: rows.length, next }
})

/** Counts all runs of rows that are about to be removed as past runs. */
async function countRuns(transaction: Transaction, rows: readonly Pick<TaskRow, 'name' | 'trigger_at' | 'run_id'>[]): Promise<void> {
  if (rows.length === 0) return
  const present = new Set(rows.map(({ run_id: runId }) => runId))
  const tried = await transaction.query<Pick<TaskRow, 'trigger_at' | 'run_id'>>(PAST_RUNS, spanParams(rows.map(keyOf)))
  const past = tried.filter(({ run_id: runId }) => !present.has(runId))
  for (const { trigger_at: triggerAt } of [...rows, ...past]) transaction.changes.deleted({ triggerAt }, 1)
}

/** Counts the runs of tasks that have just gone, and forgets their attempts. */
export async function forgetRuns(transaction: Transaction, tasks: readonly (TaskKey & { readonly runId: string })[]): Promise<void> {
  if (tasks.length === 0) return
  const rows = tasks.map(({ name, triggerAt, runId }) => ({ name, trigger_at: triggerAt, run_id: runId }))
  await countRuns(transaction, rows)
  await transaction.query(REMOVE_ATTEMPTS, spanParams(tasks))
}

/** Removes rows with their attempts, and tells no listener. @returns the number of removed rows */
export async function removeRows(
  transaction: Transaction,
  rows: readonly Pick<TaskRow, 'name' | 'trigger_at' | 'state'>[],
): Promise<number> {
  if (rows.length === 0) return 0
  transaction.isWriting = true
  const [ended, waiting] = split(rows, ({ state }) => isFinal(state))
  const removed: TaskRow[] = []
  for (const [sql, part] of [[REMOVE_ENDED, ended] as const, [REMOVE_WAITING, waiting] as const]) {
    if (part.length > 0) removed.push(...(await readRows(transaction, sql, spanParams(part.map(keyOf)))))
  }
  // Another node may have removed the others.
  if (removed.length > 0) await transaction.query(REMOVE_ATTEMPTS, spanParams(removed.map(keyOf)))
  for (const row of removed) transaction.changes.moved(row, row.state, undefined)
  return removed.length
}
