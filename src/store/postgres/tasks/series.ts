/** Stores the next tasks of series, in the transaction that claims, ends or removes the rows before them. */
import { pendingTask } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import { freshRow } from '../../rules/assign-lane.ts'
import { firstMinute, isOfSeries, minuteAfter, seriesOf, taskAt, type RowSeries } from '../../rules/next-in-series.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Transaction } from '../commit/transaction.ts'
import { insertFreeRows } from '../rows/fresh-rows.ts'
import { byKey, columnsOf, distinctBatches, findRows, readRows, setColumn } from '../rows/rows.ts'

const WAITING_IN_SERIES = `
  SELECT ${columnsOf('t')} FROM callme.tasks t WHERE t.name = $1 AND t.state IN ('pending', 'retrying') AND t.repeated_to IS NULL
    AND t.definition LIKE '%"repeat":"%' ORDER BY t.trigger_at FOR UPDATE`

/** A row whose series goes on, and the next minute to try. */
interface Following {
  readonly row: TaskRow
  readonly series: RowSeries
  readonly triggerAt: number
}

/**
 * Stores the next task of each row's series, and marks the row as followed. The next task gets the first minute of `repeat` after the row's
 * own and after `now`. It passes over a minute of another task outside the series.
 * @returns the rows, with the `trigger_at` of the next tasks
 */
export async function continueSeries(transaction: Transaction, rows: readonly TaskRow[], now: number): Promise<TaskRow[]> {
  const following = rows.flatMap((row) => {
    const series = seriesOf(row)
    return series === undefined ? [] : followingAt(row, series, firstMinute(series, row, now))
  })
  const followed: Followed = new Map()
  for (const batch of distinctBatches(following, ({ row }) => row.name)) {
    for (let open = batch; open.length > 0;) open = await storeNext(transaction, open, now, followed)
  }
  if (followed.size === 0) return [...rows]
  const marked = [...followed].map(([row, triggerAt]) => ({ ...row, repeated_to: triggerAt }))
  await setColumn(transaction, 'repeated_to', marked)
  return rows.map((row) => ({ ...row, repeated_to: followed.get(row) ?? row.repeated_to }))
}

type Followed = Map<TaskRow, number>

/** Adds the rows that are followed now to `followed`. @returns the other rows, with the next minute to try */
async function storeNext(transaction: Transaction, tried: readonly Following[], now: number, followed: Followed): Promise<Following[]> {
  const { changes, session } = transaction
  const next = tried.map((one) => {
    const options = { now, definition: one.row.definition }
    return { one, ...freshRow(session.handlers, taskAt(one.series, one.triggerAt, now), options) }
  })
  const rows = next.map(({ row }) => row)
  const free = await insertFreeRows(transaction, rows)
  const taken = rows.filter((row) => !free.has(formatTaskKey(row)))
  const others = byKey(await findRows(transaction, taken))
  return next.flatMap(({ one, row, task }) => {
    const { series, triggerAt } = one
    const other = others.get(formatTaskKey(row))
    if (free.has(formatTaskKey(row))) {
      changes.moved(task, undefined, 'pending')
      changes.emit('created', pendingTask(task, { created: now, now }), now)
    } else {
      // A row in the way may be gone by now. Then its minute is tried again.
      if (other === undefined) return one
      if (!isOfSeries(other, series)) return followingAt(one.row, series, minuteAfter(series, triggerAt))
    }
    followed.set(one.row, triggerAt)
    return []
  })
}

/** A series without another minute ends. */
function followingAt(row: TaskRow, series: RowSeries, triggerAt: number | undefined): Following[] {
  return triggerAt === undefined ? [] : [{ row, series, triggerAt }]
}

/**
 * The tasks that wait in the series of a name and that none follows yet, oldest first, locked until the transaction ends: one, or several
 * that an older program has stored. The caller has locked the name against others that begin a series.
 */
export async function waitingInSeries(transaction: Transaction, name: string): Promise<TaskRow[]> {
  const read = async (): Promise<TaskRow[]> => {
    return (await readRows(transaction, WAITING_IN_SERIES, [name])).filter((row) => seriesOf(row) !== undefined)
  }
  const minutes = (rows: readonly TaskRow[]): string => rows.map((row) => row.trigger_at).join()
  // A read that waited for a claim does not see what follows the claimed task. The read after it does.
  for (let rows = await read(); ;) {
    const again = await read()
    if (minutes(again) === minutes(rows)) return again
    rows = again
  }
}
