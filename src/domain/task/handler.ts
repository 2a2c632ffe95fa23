/**
 * A handler: defaults for the tasks of one name, or of all that begin alike, which hold wherever a task says nothing, and limits for
 * all of them together.
 */
import type { TaskDefinition } from './task.ts'

/** What a client sent, with wire names. */
export interface HandlerDefinition extends Omit<TaskDefinition, 'payload' | 'repeat' | 'timezone' | 'spread'> {
  /** how many of its tasks may be running at the same time, over all nodes */
  readonly concurrency?: number
  /** how many attempts of its tasks may start in a minute, over all nodes */
  readonly rate?: number
  /** no attempt of its tasks starts */
  readonly paused?: boolean
  /** its tasks are not called: workers pull them */
  readonly pull?: boolean
}

export interface Handler {
  /** that of the tasks it is for, or a pattern of names: see name-pattern.ts */
  readonly name: string
  readonly definition: HandlerDefinition
  /** epoch ms */
  readonly created: number
  /** epoch ms */
  readonly updated: number
}

/** A task's definition with the defaults of its handler behind it. Headers are taken together, one by one: a task's own wins, in whatever case. */
export function withHandler(own: TaskDefinition, handler: HandlerDefinition | undefined): TaskDefinition {
  if (handler === undefined) return own
  const { concurrency: _concurrency, rate: _rate, paused: _paused, pull: _pull, ...defaults } = handler
  const headers = mergeHeaders(defaults.headers, own.headers)
  return { ...defaults, ...own, ...(headers && { headers }) }
}

/** Whether tasks that have no callback of their own can be done with it. */
export function servesTasksWithoutCallback(handler: HandlerDefinition | undefined): boolean {
  return handler !== undefined && (handler.callback !== undefined || handler.pull === true)
}

type Headers = NonNullable<TaskDefinition['headers']>

function mergeHeaders(defaults: Headers | undefined, own: Headers | undefined): Headers | undefined {
  if (defaults === undefined || own === undefined) return own ?? defaults
  const names = new Set(Object.keys(own).map((name) => name.toLowerCase()))
  return { ...Object.fromEntries(Object.entries(defaults).filter(([name]) => !names.has(name.toLowerCase()))), ...own }
}
