/** Series: stores the task that follows a repeating one, inside the transaction that claims, ends or removes that one. */
import { freshRow } from '../../rules/assign-lane.ts'
import { firstMinute, isOfSeries, minuteAfter, seriesOf, taskAt } from '../../rules/next-in-series.ts'
import { findRow, insertTask } from '../rows/rows.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Transaction } from '../session.ts'

const MARK_REPEATED = 'UPDATE tasks SET repeated_to = ? WHERE id = ?'

/** Stores the next task of a row's series. A minute that another series has taken is passed over. @returns the `trigger_at` that follows */
export function continueSeries(transaction: Transaction, row: TaskRow, now: number): number | null {
  const series = seriesOf(row)
  if (series === undefined) return row.repeated_to
  for (let minute = firstMinute(series, row, now); minute !== undefined; minute = minuteAfter(series, minute)) {
    const taken = findRow(transaction, { name: row.name, triggerAt: minute })
    if (taken !== undefined && !isOfSeries(taken, series)) continue
    if (taken === undefined) {
      insertTask(transaction, freshRow(transaction.handlers, taskAt(series, minute, now), { now, definition: row.definition }))
    }
    transaction.sql.run(MARK_REPEATED, minute, row.id)
    return minute
  }
  return null
}
