/** A handler: limits for all tasks of a name or pattern, and defaults where a task has no value of its own. */
import type { TaskDefinition } from './task.ts'
import { holdsPlaceholder, textOf, type Templates } from './template.ts'

/** The definition that a client sent, with wire names. */
export interface HandlerDefinition extends Omit<TaskDefinition, 'repeat' | 'timezone' | 'spread' | 'templates'> {
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
  /** the name of its tasks, or a pattern: see name-pattern.ts */
  readonly name: string
  readonly definition: HandlerDefinition
  /** epoch ms */
  readonly created: number
  /** epoch ms */
  readonly updated: number
  /** why its stored definition cannot be read; absent where it can. Its tasks wait meanwhile. */
  readonly unreadable?: string
}

/** The values that decide what becomes of an attempt. */
const RULES = [
  ...(['expected_http_status', 'retry', 'max_delay', 'timeout', 'delivery', 'ack_timeout'] as const),
  ...(['error_callback', 'error_payload', 'error_payload_is_json'] as const),
] as const
/** The values of a handler that an attempt goes by until its end, as they were at its claim. */
export type AttemptRules = Pick<HandlerDefinition, (typeof RULES)[number]>

export function rulesOf(handler: HandlerDefinition = {}): AttemptRules {
  return Object.fromEntries(RULES.flatMap((field) => (handler[field] === undefined ? [] : [[field, handler[field]]])))
}

/** A handler, or none, as it is for an attempt that was claimed under these rules. */
export function underRules(handler: HandlerDefinition = {}, rules: AttemptRules): HandlerDefinition | undefined {
  const others = Object.entries(handler).filter(([field]) => !(RULES as readonly string[]).includes(field))
  const known = { ...Object.fromEntries(others), ...rules }
  return Object.keys(known).length === 0 ? undefined : known
}

/**
 * A task's definition over the defaults of its handler. Headers are merged by name in any case; the task's own header wins.
 * @param name that of the handler, whose values may be templates
 */
export function withHandler(own: TaskDefinition, handler: HandlerDefinition | undefined, name?: string): TaskDefinition {
  if (handler === undefined) return own
  const { concurrency: _concurrency, rate: _rate, paused: _paused, pull: _pull, ...defaults } = handler
  const { payload_is_json: isJson, error_payload_is_json: isErrorJson, ...values } = defaults
  const headers = mergeHeaders(values.headers, own.headers)
  const of = name === undefined ? [] : templatesOf(values).filter((field) => own[field] === undefined)
  return {
    ...values,
    // A task's own payload is not JSON because that of its handler is.
    ...(isJson && own.payload === undefined && { payload_is_json: isJson }),
    ...(isErrorJson && own.error_payload === undefined && { error_payload_is_json: isErrorJson }),
    ...own,
    ...(headers && { headers }),
    ...(name !== undefined && of.length > 0 && { templates: { handler: name, of } }),
  }
}

function templatesOf(handler: HandlerDefinition): Templates['of'][number][] {
  const fields = ['callback', 'payload', 'error_payload'] as const
  return fields.filter((field) => handler[field] !== undefined && holdsPlaceholder(textOf(handler[field])))
}

/** Whether the handler serves tasks that have no callback of their own. */
export function servesTasksWithoutCallback(handler: HandlerDefinition | undefined): boolean {
  return handler !== undefined && (handler.callback !== undefined || handler.pull === true)
}

type Headers = NonNullable<TaskDefinition['headers']>

function mergeHeaders(defaults: Headers | undefined, own: Headers | undefined): Headers | undefined {
  if (defaults === undefined || own === undefined) return own ?? defaults
  const names = new Set(Object.keys(own).map((name) => name.toLowerCase()))
  return { ...Object.fromEntries(Object.entries(defaults).filter(([name]) => !names.has(name.toLowerCase()))), ...own }
}
