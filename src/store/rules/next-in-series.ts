/** What a row says of the series that it belongs to. */
import { parseRecurrence } from '../../domain/time/recurrence.ts'
import type { Recurrence } from '../../domain/time/recurrence.ts'
import { withDefaults } from '../../domain/task/task.ts'
import type { TaskDefinition } from '../../domain/task/task.ts'
import type { TaskRow } from '../rows/task-row.ts'

export interface RowSeries {
  /** the row's own definition */
  readonly own: TaskDefinition
  readonly recurrence: Recurrence
}

/** undefined where the row repeats nothing, or was followed already */
export function seriesOf(row: Pick<TaskRow, 'repeated_to' | 'definition'>): RowSeries | undefined {
  if (row.repeated_to !== null || !row.definition.includes('"repeat"')) return undefined
  const own = JSON.parse(row.definition) as TaskDefinition
  if (own.repeat === undefined) return undefined
  const recurrence = parseRecurrence(own.repeat, own.timezone)
  // Checked when it was stored; a zone that this machine does not know any more must not hold up the claim of others.
  return recurrence.ok ? { own, recurrence: recurrence.value } : undefined
}

export function isOfSeries(row: Pick<TaskRow, 'definition'>, own: TaskDefinition): boolean {
  const other = JSON.parse(row.definition) as TaskDefinition
  return other.repeat === own.repeat && withDefaults(other).timezone === withDefaults(own).timezone
}
