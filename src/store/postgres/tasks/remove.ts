/** Removes entries: those that a client wants gone, and those that retention takes. */
import { errorCallbackKey } from '../../../domain/task/error-callback.ts'
import { isFinal } from '../../../domain/task/task.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import type { Selection } from '../../store.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { KEYS, columnsOf, findRows, keyOf, lockFound, ofKeys, readRows, readTasks, spanParams } from '../rows/rows.ts'
import { readPage } from '../rows/pages.ts'
import { continueSeries } from './series.ts'
import type { Session } from '../session.ts'
import type { Transaction } from '../commit/transaction.ts'

const of = (table: string): string => `DELETE FROM callme.${table} t USING ${KEYS} WHERE ${ofKeys('t')}`
const REMOVE_WAITING = `${of('tasks')} AND t.state <> 'running' RETURNING ${columnsOf('t')}`
const REMOVE_ENDED = `${of('finished')} RETURNING ${columnsOf('t')}`
const REMOVE_ATTEMPTS = of('attempts')
const PAST_RUNS = `SELECT DISTINCT a.name, a.trigger_at, a.run_id FROM ${KEYS} JOIN callme.attempts a ON ${ofKeys('a')}`

/**
 * One stretch of a removal by a client.
 * @returns how many were removed, and where the following stretch starts
 */
export async function removeTasks(
  session: Session,
  transaction: Transaction,
  selection: Selection,
  after: TaskKey | undefined,
  options: { now: number; limit: number; continueSeries?: boolean },
): Promise<{ removed: number; next: TaskKey | undefined }> {
  const { rows: found, next } = await readPage(transaction, selection, after, options.limit)
  const rows = await lockFound(transaction, found)
  const tasks = await readTasks(transaction, session.handlers, rows)
  if (options.continueSeries) await continueSeries(session, transaction, rows, options.now)
  for (const task of tasks) transaction.changes.emit('deleted', task, options.now)
  const callbacks = await findRows(
    transaction,
    rows.map((row) => errorCallbackKey({ name: row.name, runId: row.run_id, triggerAt: row.trigger_at })),
  )
  await countRuns(transaction, rows)
  // One that is still to be delivered stays: the task did fail.
  const delivered = callbacks.filter(({ state }) => isFinal(state))
  await removeRows(transaction, [...rows, ...delivered])
  return { removed: rows.length, next }
}

/** Takes note of all runs of entries that a person removes. */
export async function countRuns(transaction: Transaction, rows: readonly Pick<TaskRow, 'name' | 'trigger_at' | 'run_id'>[]): Promise<void> {
  if (rows.length === 0) return
  const present = new Set(rows.map(({ run_id: runId }) => runId))
  const tried = await transaction.query<Pick<TaskRow, 'trigger_at' | 'run_id'>>(PAST_RUNS, spanParams(rows.map(keyOf)))
  const past = tried.filter(({ run_id: runId }) => !present.has(runId))
  for (const { trigger_at: triggerAt } of [...rows, ...past]) transaction.changes.deleted({ triggerAt }, 1)
}

/** Tells no listener: whoever removes for a client does. */
export async function removeRows(
  transaction: Transaction,
  rows: readonly Pick<TaskRow, 'name' | 'trigger_at' | 'state'>[],
): Promise<number> {
  if (rows.length === 0) return 0
  transaction.isWriting = true
  const [ended, waiting] = [rows.filter(({ state }) => isFinal(state)), rows.filter(({ state }) => !isFinal(state))]
  const removed: TaskRow[] = []
  for (const [sql, part] of [[REMOVE_ENDED, ended] as const, [REMOVE_WAITING, waiting] as const]) {
    if (part.length > 0) removed.push(...(await readRows(transaction, sql, spanParams(part.map(keyOf)))))
  }
  // Another node may have been faster.
  if (removed.length > 0) await transaction.query(REMOVE_ATTEMPTS, spanParams(removed.map(keyOf)))
  for (const row of removed) transaction.changes.moved(row, row.state, undefined)
  return removed.length
}
