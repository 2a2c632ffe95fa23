/** Series: stores the task that follows a repeating one, inside the transaction that claims, ends or removes that one. */
import { freshRow } from '../../rules/assign-lane.ts'
import { firstMinute, isOfSeries, minuteAfter, seriesOf, taskAt } from '../../rules/next-in-series.ts'
import { findRow, insertTask } from '../rows/rows.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Transaction } from '../session.ts'

const WAITING_IN_SERIES = `
  SELECT * FROM tasks WHERE name = ? AND trigger_at > ? AND state IN ('pending', 'retrying') AND repeated_to IS NULL
    AND instr(definition, '"repeat"') > 0 ORDER BY trigger_at LIMIT 1`
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

/**
 * The tasks that wait in the series of a name and that none follows yet, oldest first: one, or several that an older program has stored.
 */
export function waitingInSeries({ sql }: Transaction, name: string): TaskRow[] {
  const rows: TaskRow[] = []
  const rowAfter = (minute: number): TaskRow | undefined => sql.get<TaskRow>(WAITING_IN_SERIES, name, minute)
  for (let row = rowAfter(-1); row !== undefined; row = rowAfter(row.trigger_at)) if (seriesOf(row) !== undefined) rows.push(row)
  return rows
}
