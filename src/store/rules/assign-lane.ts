/** Where a fresh entry waits, and until when: with what the handler of its name says where it says nothing itself. */
import { withHandler } from '../../domain/task/handler.ts'
import { deadlineOf, hostOf } from '../../domain/task/task.ts'
import type { NewTask } from '../../domain/task/task.ts'
import type { Handler } from '../../domain/task/handler.ts'

export interface HandlersByName {
  /** the one that applies to tasks of a name */
  of(name: string): Handler | undefined
  /** the lane in which the rows of a name to one host belong */
  laneOf(name: string, host: string): string
}

export function assignLane(handlers: HandlersByName, task: NewTask): NewTask & { readonly lane: string } {
  const handler = handlers.of(task.name)?.definition
  if (handler === undefined && task.definition.callback !== undefined) return { ...task, lane: task.host }
  const definition = withHandler(task.definition, handler)
  const deadline = task.definition.max_delay === undefined ? deadlineOf(task.triggerAt * 1000, definition) : task.deadline
  return { ...task, definition, deadline, host: task.host || hostOf(definition), lane: handlers.laneOf(task.name, task.host) }
}
