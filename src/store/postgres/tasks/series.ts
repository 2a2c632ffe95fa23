/** Series: stores the entries that follow those that repeat, inside the transaction that takes these. */
import { nextOccurrence } from '../../../domain/time/recurrence.ts'
import { newTask, pendingTask } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import { assignLane } from '../../rules/assign-lane.ts'
import { isOfSeries, seriesOf } from '../../rules/next-in-series.ts'
import type { RowSeries } from '../../rules/next-in-series.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { inDistinctBatches } from '../commit/distinct-batches.ts'
import { insertFreeRows } from '../rows/insert-rows.ts'
import { findRows, keyOf, keyParams } from '../rows/rows.ts'
import type { Session } from '../session.ts'
import type { Transaction } from '../commit/transaction.ts'

/** A row whose series goes on, and the time that is tried for its next entry. */
interface Following {
  readonly row: TaskRow
  readonly series: RowSeries
  triggerAt: number | undefined
}

const MARK = `
  UPDATE callme.tasks t SET repeated_to = k.repeated_to FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (name, trigger_at, repeated_to)
  WHERE t.name = k.name AND t.trigger_at = k.trigger_at`

/**
 * Has each row followed by the next entry of its series, at the first time of `repeat` after the row's own minute and after `now`, unless
 * it repeats nothing or was followed already. A time whose key is taken by anything but an entry of the same series is passed over.
 * @returns the rows, with the `trigger_at` of the entries that follow
 */
export async function continueSeries(
  session: Session,
  transaction: Transaction,
  rows: readonly TaskRow[],
  now: number,
): Promise<TaskRow[]> {
  const following = rows.flatMap((row): Following[] => {
    const series = seriesOf(row)
    if (series === undefined) return []
    return [{ row, series, triggerAt: nextOccurrence(series.recurrence, Math.max(row.trigger_at, Math.floor(now / 1000))) }]
  })
  if (following.length === 0) return [...rows]
  // Entries of one name may be followed at once.
  await inDistinctBatches(
    following,
    ({ row }) => row.name,
    async (wave) => {
      for (let open = wave; open.length > 0;) open = await storeNext(session, transaction, open, now)
      return wave
    },
  )
  const followed = following.filter(({ triggerAt }) => triggerAt !== undefined)
  const times = followed.map(({ triggerAt }) => triggerAt)
  await transaction.query(MARK, [...keyParams(followed.map(({ row }) => keyOf(row))), times])
  const nextOf = new Map(followed.map(({ row, triggerAt }) => [row, triggerAt]))
  return rows.map((row) => ({ ...row, repeated_to: nextOf.get(row) ?? row.repeated_to }))
}

/** @returns those whose time is taken by another entry, with the next time to try */
async function storeNext(session: Session, transaction: Transaction, open: readonly Following[], now: number): Promise<Following[]> {
  const wanted = open.flatMap((one) =>
    one.triggerAt === undefined ? [] : [{ one, key: { name: one.row.name, triggerAt: one.triggerAt } }],
  )
  const placed = wanted.map(({ one: { row, series }, key }) => {
    const { lane, ...task } = assignLane(session.handlers, newTask(key, series.own, now))
    const { dueAt, deadline, runId } = task
    return {
      task,
      row: { ...key, lane, dueAt, deadline, runId, now, rescheduledFrom: null, repeatedTo: null, definition: row.definition },
    }
  })
  const free = await insertFreeRows(
    transaction,
    placed.map(({ row }) => row),
  )
  for (const { task } of placed) {
    if (!free.has(formatTaskKey(task))) continue
    transaction.changes.moved(task, undefined, 'pending')
    transaction.changes.emit('created', pendingTask(task, { created: now, now }), now)
  }
  const notFree = wanted.filter(({ key }) => !free.has(formatTaskKey(key)))
  const taken = new Map(
    (
      await findRows(
        transaction,
        notFree.map(({ key }) => key),
      )
    ).map((row) => [formatTaskKey(keyOf(row)), row]),
  )
  return notFree.flatMap(({ one, key }) => {
    const other = taken.get(formatTaskKey(key))
    if (other !== undefined && isOfSeries(other, one.series)) return []
    // What was in the way may be gone meanwhile: the same time again.
    if (other !== undefined) one.triggerAt = nextOccurrence(one.series.recurrence, key.triggerAt)
    return [one]
  })
}
