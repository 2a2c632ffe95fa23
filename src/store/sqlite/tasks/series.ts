/** Series: stores the entry that follows one that repeats, inside the transaction that takes that one. */
import { nextOccurrence } from '../../../domain/time/recurrence.ts'
import { newTask, pendingTask } from '../../../domain/task/task.ts'
import type { TaskDefinition } from '../../../domain/task/task.ts'
import type { Changes } from '../../rules/changes.ts'
import { assignLane } from '../../rules/assign-lane.ts'
import { isOfSeries, seriesOf } from '../../rules/next-in-series.ts'
import { findRow, insertRow } from '../rows/entries.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Session } from '../session.ts'

/**
 * Has a row followed by the next entry of its series, at the first time of `repeat` after the row's own minute and after `now`, unless
 * it repeats nothing or was followed already. A time whose key is taken by anything but an entry of the same series is passed over.
 * @returns the `trigger_at` of the entry that follows
 */
export function continueSeries(session: Session, row: TaskRow, now: number, changes: Changes): number | null {
  const series = seriesOf(row)
  if (series === undefined) return row.repeated_to
  const { own, recurrence } = series
  let triggerAt = nextOccurrence(recurrence, Math.max(row.trigger_at, Math.floor(now / 1000)))
  while (triggerAt !== undefined) {
    const taken = findRow(session, { name: row.name, triggerAt })
    if (taken === undefined) storeNext(session, { name: row.name, triggerAt, own, definition: row.definition }, now, changes)
    if (taken === undefined || isOfSeries(taken, series)) {
      session.statements.markRepeated.run(triggerAt, row.id)
      return triggerAt
    }
    triggerAt = nextOccurrence(recurrence, triggerAt)
  }
  return null
}

interface NextEntry {
  readonly name: string
  readonly triggerAt: number
  readonly own: TaskDefinition
  /** `own` as JSON */
  readonly definition: string
}

function storeNext(session: Session, { definition, own, ...key }: NextEntry, now: number, changes: Changes): void {
  const { lane, ...placed } = assignLane(session.handlers, newTask(key, own, now))
  const { dueAt, deadline, runId } = placed
  const row = { ...key, lane, dueAt, deadline, runId, now, rescheduledFrom: null, repeatedTo: null, definition }
  insertRow(session, row)
  changes.moved(key, undefined, 'pending')
  changes.emit('created', pendingTask(placed, { created: now, now }), now)
}
