/** Changes a task in its place: one that waits, or one that has ended and runs again. */
import { isFinal } from '../../../domain/task/task.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import { otherInSeries, planEdit, type PlannedEdit } from '../../rules/edited-task.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { EditResult, Revise } from '../../../domain/task/client-write.ts'
import { oneByOne } from '../commit/group-writer.ts'
import { Conflict } from '../commit/store-error.ts'
import type { Transaction } from '../commit/transaction.ts'
import { endPreviousRuns, insertFreeRows, moveAttempts, moveRows, resetRows } from '../rows/fresh-rows.ts'
import { findRow, lockFound, readBack, readTask, setColumn } from '../rows/rows.ts'
import { lockNames, lockServing } from './put.ts'
import { waitingInSeries } from './series.ts'

const KEEP_DEFINITION = `
  UPDATE callme.attempts SET definition = $5 WHERE trigger_at = $2 AND name = $1 AND run_id = $3 AND number = $4`
const TAKE_OUT = 'DELETE FROM callme.finished WHERE trigger_at = $2 AND name = $1'
const CHANGED = 'another node has changed the task meanwhile'

interface Editing {
  readonly key: TaskKey
  readonly revise: Revise
  readonly now: number
  readonly run: boolean
}

/** Locks come in the order of a put: handlers, names, rows. */
export const editTask = oneByOne(async (transaction, { key, revise, now, run }: Editing): Promise<EditResult> => {
  const { session, changes } = transaction
  const { handlers } = session
  const serving = await lockServing(transaction, [key.name])
  await lockNames(transaction, [key.name])
  const row = await lockTask(transaction, key)
  if (row === undefined) return { status: 'unknown' }
  const plan = planEdit(handlers, row, await readTask(transaction, session, row), { revise, now, run })
  if (!('fresh' in plan)) return plan
  const { fresh, isMoved, needsHandler, beginsSeries } = plan
  if (needsHandler && !serving.has(handlers.of(key.name)?.name ?? '')) return { status: 'no_callback' }
  const { name, triggerAt } = fresh
  if (isMoved && (await findRow(transaction, fresh)) !== undefined) return { status: 'minute_taken', key: { name, triggerAt } }
  const other = beginsSeries ? otherInSeries(await waitingInSeries(transaction, name), row) : undefined
  if (other !== undefined) return { status: 'in_series', key: other }
  await writeEdit(transaction, row, plan)
  const task = await readBack(transaction, session, fresh)
  changes.moved(key, row.state, 'pending')
  changes.emit('updated', task, now)
  return { status: 'edited', task }
})

/** The row of a key, locked until the transaction ends. */
async function lockTask(transaction: Transaction, key: TaskKey): Promise<TaskRow | undefined> {
  const found = await findRow(transaction, key)
  if (found === undefined) return undefined
  const locked = await lockFound(transaction, [found])
  // What was found before the lock may be older than the row.
  const row = locked.length === 0 ? undefined : await findRow(transaction, key)
  if (row === undefined) throw new Conflict(CHANGED)
  return row
}

async function writeEdit(transaction: Transaction, row: TaskRow, { fresh, isMoved, kept }: PlannedEdit): Promise<void> {
  if (kept !== undefined) await transaction.query(KEEP_DEFINITION, [row.name, row.trigger_at, row.run_id, row.attempts, kept])
  await endPreviousRuns(transaction, [row])
  if (isFinal(row.state)) {
    await transaction.query(TAKE_OUT, [row.name, row.trigger_at])
    const inserted = await insertFreeRows(transaction, [fresh])
    if (inserted.size === 0) throw new Conflict(CHANGED)
    await setColumn(transaction, 'created', [{ name: fresh.name, trigger_at: fresh.triggerAt, created: row.created }])
    if (isMoved) await moveAttempts(transaction, [fresh])
  } else if (isMoved) await moveRows(transaction, [{ fresh, id: row.id }])
  else await resetRows(transaction, [{ fresh, id: row.id }])
}
