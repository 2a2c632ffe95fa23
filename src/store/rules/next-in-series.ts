/** Which task follows one that repeats. */
import { nextOccurrence, parseRecurrence, type Recurrence } from '../../domain/time/recurrence.ts'
import { newTask, withDefaults, type NewTask, type TaskDefinition } from '../../domain/task/task.ts'
import { readDefinition } from '../rows/stored-json.ts'
import type { TaskRow } from '../rows/task-row.ts'

export interface RowSeries {
  readonly name: string
  /** the row's own definition */
  readonly own: TaskDefinition
  readonly recurrence: Recurrence
}

/** undefined where the row repeats nothing, or was followed already */
export function seriesOf(row: Pick<TaskRow, 'name' | 'repeated_to' | 'definition'>): RowSeries | undefined {
  if (row.repeated_to !== null || !row.definition.includes('"repeat"')) return undefined
  const stored = readDefinition<TaskDefinition>(row.definition)
  // Nobody can know when a task comes that cannot be read.
  if (!stored.ok || stored.value.repeat === undefined) return undefined
  const { value: own } = stored
  const recurrence = parseRecurrence(stored.value.repeat, own.timezone)
  // It was checked when it was stored. A zone that this machine knows no more must not hold up the claim of others.
  return recurrence.ok ? { name: row.name, own, recurrence: recurrence.value } : undefined
}

/** The first minute, Unix seconds, after the row's own and after `now` (epoch ms); undefined where none comes. */
export function firstMinute({ recurrence }: RowSeries, row: Pick<TaskRow, 'trigger_at'>, now: number): number | undefined {
  return nextOccurrence(recurrence, Math.max(row.trigger_at, Math.floor(now / 1000)))
}

/** The minute after one that another task has taken. */
export function minuteAfter({ recurrence }: RowSeries, taken: number): number | undefined {
  return nextOccurrence(recurrence, taken)
}

export function taskAt({ name, own }: RowSeries, triggerAt: number, now: number): NewTask {
  return newTask({ name, triggerAt }, own, now)
}

/** Whether the row that has the wanted minute is one of the same series, which then goes on with it. */
export function isOfSeries(row: Pick<TaskRow, 'definition'>, { own }: RowSeries): boolean {
  const other = readDefinition<TaskDefinition>(row.definition)
  return other.ok && other.value.repeat === own.repeat && withDefaults(other.value).timezone === withDefaults(own).timezone
}
