/** Series: stores the tasks that follow repeating ones, inside the transaction that claims, ends or removes these. */
import { pendingTask } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import { freshRow } from '../../rules/assign-lane.ts'
import { firstMinute, isOfSeries, minuteAfter, seriesOf, taskAt } from '../../rules/next-in-series.ts'
import type { RowSeries } from '../../rules/next-in-series.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Transaction } from '../commit/transaction.ts'
import { insertFreeRows } from '../rows/fresh-rows.ts'
import { byKey, distinctBatches, findRows, keyOf, keyParams, split } from '../rows/rows.ts'

/** A row whose series goes on, and the minute that is tried for its next task. */
interface Following {
  readonly row: TaskRow
  readonly series: RowSeries
  readonly triggerAt: number
}

const MARK = `
  UPDATE callme.tasks t SET repeated_to = k.repeated_to FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (name, trigger_at, repeated_to)
  WHERE t.name = k.name AND t.trigger_at = k.trigger_at`

/**
 * Stores the next task of each row's series, and marks the row as followed. The next task gets the first minute of `repeat` after the row's
 * own and after `now`. A minute of another task that is not of the series is passed over.
 * @returns the rows, with the `trigger_at` of the tasks that follow
 */
export async function continueSeries(transaction: Transaction, rows: readonly TaskRow[], now: number): Promise<TaskRow[]> {
  const following = rows.flatMap((row) => {
    const series = seriesOf(row)
    return series === undefined ? [] : followingAt(row, series, firstMinute(series, row, now))
  })
  const followed = new Map<TaskRow, number>()
  for (const batch of distinctBatches(following, ({ row }) => row.name)) {
    for (let open = batch; open.length > 0;) {
      const next = await storeNext(transaction, open, now)
      for (const { row, triggerAt } of next.followed) followed.set(row, triggerAt)
      open = next.open
    }
  }
  if (followed.size === 0) return [...rows]
  await transaction.query(MARK, [...keyParams([...followed.keys()].map(keyOf)), [...followed.values()]])
  return rows.map((row) => ({ ...row, repeated_to: followed.get(row) ?? row.repeated_to }))
}

/** @returns the rows that are followed now, and those whose minute was taken, with the next one to try */
async function storeNext(
  transaction: Transaction,
  tried: readonly Following[],
  now: number,
): Promise<{ followed: Following[]; open: Following[] }> {
  const { changes, session } = transaction
  const next = tried.map((one) => {
    const options = { now, definition: one.row.definition }
    return { one, ...freshRow(session.handlers, taskAt(one.series, one.triggerAt, now), options) }
  })
  const rows = next.map(({ row }) => row)
  const free = await insertFreeRows(transaction, rows)
  const [stored, inTheWay] = split(next, ({ row }) => free.has(formatTaskKey(row)))
  for (const { task } of stored) {
    changes.moved(task, undefined, 'pending')
    changes.emit('created', pendingTask(task, { created: now, now }), now)
  }
  const taken = inTheWay.map(({ row }) => row)
  const others = byKey(await findRows(transaction, taken))
  const [followed, open] = [stored.map(({ one }) => one), [] as Following[]]
  for (const { one, row } of inTheWay) {
    const other = others.get(formatTaskKey(row))
    // A row in the way may be gone by now: its minute is tried again.
    if (other === undefined) open.push(one)
    else if (isOfSeries(other, one.series)) followed.push(one)
    else open.push(...followingAt(one.row, one.series, minuteAfter(one.series, one.triggerAt)))
  }
  return { followed, open }
}

/** A series without another minute ends. */
function followingAt(row: TaskRow, series: RowSeries, triggerAt: number | undefined): Following[] {
  return triggerAt === undefined ? [] : [{ row, series, triggerAt }]
}
