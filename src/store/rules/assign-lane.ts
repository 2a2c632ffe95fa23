/** Where a fresh task waits, and until when: its own values with those of the handler of its name behind them. */
import { withHandler } from '../../domain/task/handler.ts'
import { deadlineOf, hostOf, type NewTask } from '../../domain/task/task.ts'
import type { HandlerBook } from './handler-book.ts'

/** A row that is written for the first time; the store adds an id. */
export interface FreshRow extends Pick<NewTask, 'name' | 'triggerAt' | 'dueAt' | 'deadline' | 'runId'> {
  readonly lane: string
  /** epoch ms; null where the window begins with the minute */
  readonly windowFrom: number | null
  readonly inAdvance: 0 | 1
  /** epoch ms */
  readonly now: number
  readonly rescheduledFrom: number | null
  readonly repeatedTo: number | null
  /** JSON: the task's own values */
  readonly definition: string
}

/** @returns the task with its handler's values, and the lane of its row */
function assignLane(handlers: HandlerBook, task: NewTask): NewTask & { readonly lane: string } {
  const handler = handlers.of(task.name)
  if (handler === undefined && task.definition.callback !== undefined) return { ...task, lane: task.host }
  const definition = withHandler(task.definition, handler?.definition, handler?.name)
  const deadline = task.definition.max_delay === undefined ? deadlineOf(task.windowFrom, definition) : task.deadline
  return { ...task, definition, deadline, host: task.host || hostOf(definition), lane: handlers.laneOf(task.name, task.host) }
}

interface RowOptions {
  /** epoch ms */
  readonly now: number
  /** the task's own definition as JSON, where that is at hand */
  readonly definition?: string
  readonly rescheduledFrom?: number
  readonly repeatedTo?: number | null
}

/** The row of a fresh task, and the task as it reads back. @param task with its own values alone; its host is empty without a callback of its own */
export function freshRow(handlers: HandlerBook, task: NewTask, options: RowOptions): { readonly row: FreshRow; readonly task: NewTask } {
  const { now, definition = JSON.stringify(task.definition), rescheduledFrom = null, repeatedTo = null } = options
  const { lane, ...placed } = assignLane(handlers, task)
  const { name, triggerAt, dueAt, deadline, runId } = placed
  const window = {
    windowFrom: placed.windowFrom === triggerAt * 1000 ? null : placed.windowFrom,
    inAdvance: placed.inAdvance ? 1 : 0,
  } as const
  return { task: placed, row: { name, triggerAt, dueAt, deadline, runId, ...window, lane, now, rescheduledFrom, repeatedTo, definition } }
}
