/** Templates: placeholders such as `{name}` in the callback and the payload of a handler, and in the bodies of error callbacks. */
import { rfc3339 } from '../time/trigger-time.ts'
import { isPattern, matchesName } from './name-pattern.ts'
import type { JsonValue, Task, TaskDefinition } from './task.ts'

/** What callback and payload of a handler may hold. */
const CALL_PLACEHOLDERS = ['{name}', '{id}', '{minute}', '{run_id}', '{attempt}'] as const

/** A handler's payload stands in each of its tasks, of which an answer may hold a thousand. */
export const MAX_HANDLER_PAYLOAD_BYTES = 16 * 1024
/** It stands in each claimed row and in each change of a task too. */
export const MAX_ERROR_PAYLOAD_BYTES = 4 * 1024

/** Which values of a definition are templates of its handler. */
export interface Templates {
  /** the name of the handler */
  readonly handler: string
  readonly of: readonly ('callback' | 'payload' | 'error_payload')[]
}

/** A payload of a definition, and whether it is the text of a JSON value. */
type Payload = Pick<TaskDefinition, 'payload' | 'payload_is_json'>
type Values = Readonly<Record<string, string>>

const PLACEHOLDER = /\{([a-z_]+)\}/g
/** Whatever a person may mean as a placeholder. */
const WORD_IN_BRACES = /\{\{?[\w.-]*\}?\}/g
const BRACE_IN_HOST = /^https?:\/\/[^/?#\\]*[{}]/i
/** Each part of a path that a URL leaves out, because it leads to the same folder or to the one above. */
const DOT_SEGMENTS = /\/(\.|%2e){1,2}(?=[/?#]|$)/gi

const isCallPlaceholder = (text: string): boolean => (CALL_PLACEHOLDERS as readonly string[]).includes(text)

export function holdsPlaceholder(text: string): boolean {
  return text.match(PLACEHOLDER)?.some(isCallPlaceholder) ?? false
}

/** Why a URL is no template of a call; undefined where it is one, or holds no placeholder at all. */
export function faultOfTemplate(url: string): string | undefined {
  if (BRACE_IN_HOST.test(url)) return 'must not hold a placeholder in its host; its path and its query may hold them'
  const unknown = url.match(WORD_IN_BRACES)?.find((word) => !isCallPlaceholder(word))
  if (unknown === undefined) return undefined
  return `must not hold ${JSON.stringify(unknown)}, which is no placeholder; known are ${CALL_PLACEHOLDERS.join(', ')}, and %7B is another brace`
}

export function textOf(payload: JsonValue): string {
  return typeof payload === 'string' ? payload : JSON.stringify(payload)
}

/** The definition with the placeholders of its handler filled in, as its call or its worker gets it. */
export function filledDefinition(task: Pick<Task, 'name' | 'triggerAt' | 'runId' | 'attempts' | 'definition'>): TaskDefinition {
  const { templates, ...definition } = task.definition
  if (templates === undefined) return task.definition
  const values = callValues(task)
  const { callback = '' } = definition
  return {
    ...definition,
    ...(templates.of.includes('callback') && { callback: fill(callback, values, encodeURIComponent) }),
    ...(templates.of.includes('payload') && filledPayload(definition, values)),
  }
}

/** Whether a name such as ".." leads the call to another path than its handler says. @param url the callback with its placeholders filled in */
export function leadsElsewhere({ definition: { templates, callback = '' } }: Pick<Task, 'definition'>, url: string): boolean {
  return templates !== undefined && dotSegments(url) > dotSegments(callback)
}

function dotSegments(url: string): number {
  return url.replace(/[?#].*/s, '').match(DOT_SEGMENTS)?.length ?? 0
}

/** The body that a task or its handler wants for its error callback. @param task as it ended @returns undefined where they want none of their own */
export function filledErrorPayload(task: Task): Payload | undefined {
  const { error_payload: payload, error_payload_is_json: isJson } = task.definition
  if (payload === undefined) return undefined
  const { state, responseStatus, error, triggerAt } = task
  const values = { ...callValues(task), state, status: String(responseStatus ?? ''), error: error ?? '', time: rfc3339(triggerAt * 1000) }
  return filledPayload({ payload, ...(isJson && { payload_is_json: isJson }) }, values)
}

function callValues({ name, triggerAt, runId, attempts, definition }: Parameters<typeof filledDefinition>[0]): Values {
  const id = idOf(name, definition.templates?.handler)
  return { name, id, minute: String(triggerAt), run_id: runId, attempt: String(attempts) }
}

/** What `*` stands for. A handler that is gone leaves the whole name. */
function idOf(name: string, handler = ''): string {
  return isPattern(handler) && matchesName(handler, name) ? name.slice(handler.length - 1) : name
}

/** In JSON a placeholder can only stand in a string, and so can its value. Every other byte stays. */
function filledPayload(
  { payload = '', payload_is_json: isJson = typeof payload !== 'string' ? true : undefined }: Payload,
  values: Values,
): Payload {
  const text = fill(textOf(payload), values, isJson ? (value) => JSON.stringify(value).slice(1, -1) : (value) => value)
  return isJson ? { payload: text, payload_is_json: true } : { payload: text }
}

function fill(text: string, values: Values, escape: (value: string) => string): string {
  return text.replace(PLACEHOLDER, (whole, word: string) => (Object.hasOwn(values, word) ? escape(values[word] ?? '') : whole))
}
