/** Removes tasks: those of a selection, old ones for retention, and those that were run with `removeAfter`. */
import { errorCallbackKey } from '../../../domain/task/error-callback.ts'
import { TASK_STATES, isFinal } from '../../../domain/task/task.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Selection, Store } from '../../store.ts'
import { oneByOne, type GroupWriter } from '../commit/group-writer.ts'
import type { Transaction } from '../commit/transaction.ts'
import { readPage } from '../rows/pages.ts'
import { readTasks, KEYS, findRows, keyOf, lockFound, ofKeys, queryKeys, split } from '../rows/rows.ts'
import { continueSeries } from './series.ts'

const of = (table: string): string => `DELETE FROM callme.${table} t USING ${KEYS} WHERE ${ofKeys('t')}`
const RETURNED = 't.name, t.trigger_at, t.state'
const REMOVE_WAITING = `${of('tasks')} AND t.state <> 'running' RETURNING ${RETURNED}`
const REMOVE_ENDED = `${of('finished')} RETURNING ${RETURNED}`
const REMOVE_ATTEMPTS = of('attempts')
const PAST_RUNS = `SELECT DISTINCT a.name, a.trigger_at, a.run_id FROM ${KEYS} JOIN callme.attempts a ON ${ofKeys('a')}`

type Options = Parameters<Store['remove']>[1]

/** The most tasks that one transaction removes. */
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

/** Answers the number of removed tasks, and the last key of a full page. */
const removePage = oneByOne(async (transaction, removal: Options & { selection: Selection; after: TaskKey | undefined }) => {
  const { selection, after, limit, now } = removal
  const { rows: found, next } = await readPage(transaction, selection, after, limit)
  const rows = await lockFound(transaction, found)
  if (removal.continueSeries) await continueSeries(transaction, rows, now)
  await removeTasks(transaction, rows, now)
  return { removed: rows.length, next }
})

/** Removes tasks as a client asks, and continues no series. @param rows locked */
export async function removeTasks(transaction: Transaction, rows: readonly TaskRow[], now: number): Promise<void> {
  const tasks = await readTasks(transaction, transaction.session, rows)
  for (const task of tasks) transaction.changes.emit('deleted', task, now)
  const callbacks = await findRows(transaction, tasks.map(errorCallbackKey))
  await countRuns(transaction, rows)
  // An error callback that still waits is delivered, because its task did fail.
  const delivered = callbacks.filter(({ state }) => isFinal(state))
  await removeRows(transaction, [...rows, ...delivered])
}

type Run = Pick<TaskRow, 'name' | 'trigger_at' | 'run_id'>

/** Counts all runs of rows that are about to be removed as past runs. */
async function countRuns(transaction: Transaction, rows: readonly Run[]): Promise<void> {
  const present = new Set(rows.map(({ run_id: runId }) => runId))
  const tried = await queryKeys<Run>(transaction, PAST_RUNS, rows.map(keyOf))
  const past = tried.filter(({ run_id: runId }) => !present.has(runId))
  for (const { trigger_at: triggerAt } of [...rows, ...past]) transaction.changes.deleted({ triggerAt }, 1)
}

/** Counts the runs of rows that have just gone, and forgets their attempts. */
export async function forgetRuns(transaction: Transaction, rows: readonly Run[]): Promise<void> {
  await countRuns(transaction, rows)
  await queryKeys(transaction, REMOVE_ATTEMPTS, rows.map(keyOf))
}

type StoredRow = Pick<TaskRow, 'name' | 'trigger_at' | 'state'>

/** Removes rows with their attempts, and emits no change. @returns the number of removed rows */
export async function removeRows(transaction: Transaction, rows: readonly StoredRow[]): Promise<number> {
  if (rows.length === 0) return 0
  transaction.isWriting = true
  const [ended, waiting] = split(rows, ({ state }) => isFinal(state))
  const removed = await queryKeys<StoredRow>(transaction, REMOVE_ENDED, ended.map(keyOf))
  removed.push(...(await queryKeys<StoredRow>(transaction, REMOVE_WAITING, waiting.map(keyOf))))
  // Another node may have removed the others.
  await queryKeys(transaction, REMOVE_ATTEMPTS, removed.map(keyOf))
  for (const row of removed) transaction.changes.moved(row, row.state, undefined)
  return removed.length
}
