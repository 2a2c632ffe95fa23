/** What an edit makes of a stored row: a fresh run with another definition, in its minute or in another one. */
import { isFinal, withDefaults, type Task, type TaskDefinition } from '../../domain/task/task.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import { ownDefinition, type TaskRow } from '../rows/task-row.ts'
import type { EditResult, Revise } from '../../domain/task/client-write.ts'
import { freshRow, type FreshRow } from './assign-lane.ts'
import type { HandlerBook } from './handler-book.ts'

/** An edit that may be written, unless another task of the name is in the way. */
export interface PlannedEdit {
  readonly fresh: FreshRow
  readonly isMoved: boolean
  /** whether a handler must serve the task */
  readonly needsHandler: boolean
  /** whether it begins a series, which must be the only one of the name */
  readonly beginsSeries: boolean
  /** the text of the definition that the last attempt keeps; undefined where there is none, or the definition stays */
  readonly kept: string | undefined
}

interface Editing {
  readonly revise: Revise
  readonly now: number
  readonly run: boolean
}

/** @param task as the row reads back */
export function planEdit(handlers: HandlerBook, row: TaskRow, task: Task, { revise, now, run }: Editing): PlannedEdit | EditResult {
  if (row.state === 'running') return { status: 'running', task }
  if (isFinal(row.state) && !run) return { status: 'ended', task }
  const own = ownDefinition(row)
  const revised = revise(task, own)
  if (!revised.ok) {
    const { ok: _ok, ...refusal } = revised
    return { status: 'refused', ...refusal }
  }
  if (revised.value === undefined) return { status: 'same', task }
  const { value: next } = revised
  const isMoved = next.triggerAt !== row.trigger_at
  const definition = JSON.stringify(next.definition)
  const isRedefined = definition !== JSON.stringify(own)
  const repeatedTo = isSameSeries(own, next.definition) ? row.repeated_to : null
  const { row: fresh } = freshRow(handlers, next, {
    now,
    definition: isRedefined ? definition : row.definition,
    ...((isMoved || row.rescheduled_from !== null) && { rescheduledFrom: isMoved ? row.trigger_at : (row.rescheduled_from ?? 0) }),
    repeatedTo,
  })
  return {
    fresh,
    isMoved,
    needsHandler: next.definition.callback === undefined,
    beginsSeries: next.definition.repeat !== undefined && repeatedTo === null,
    kept: isRedefined && row.attempts > 0 ? row.definition : undefined,
  }
}

/** The waiting task of the series of the name that keeps a task from beginning another one. @param waiting of the name */
export function otherInSeries(waiting: readonly TaskRow[], row: TaskRow): TaskKey | undefined {
  const other = waiting.find(({ trigger_at: minute }) => minute !== row.trigger_at)
  return other && { name: other.name, triggerAt: other.trigger_at }
}

function isSameSeries(before: TaskDefinition, after: TaskDefinition): boolean {
  return before.repeat === after.repeat && withDefaults(before).timezone === withDefaults(after).timezone
}
