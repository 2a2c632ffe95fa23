/**
 * Reads the definition of a stored task or handler. Its text may have been damaged since it was stored. Then the reader gets a reason
 * instead of an error, so that one row holds up no other. A reason never quotes the text, which may hold secrets.
 */
import type { HandlerDefinition } from '../../domain/task/handler.ts'
import type { TaskDefinition } from '../../domain/task/task.ts'

type Definition = TaskDefinition & HandlerDefinition

export type StoredDefinition<D> = { readonly ok: true; readonly value: D } | { readonly ok: false; readonly reason: string }

interface Kind {
  readonly expects: string
  readonly is: (value: unknown) => boolean
}

const TEXT: Kind = { expects: 'a text', is: (value) => typeof value === 'string' }
const SWITCH: Kind = { expects: 'true or false', is: (value) => typeof value === 'boolean' }
/** Larger ones would lead to times that no calendar has. */
const MOST = 1e9
const NUMBER: Kind = { expects: `a number from 0 to ${MOST}`, is: (value) => typeof value === 'number' && value >= 0 && value <= MOST }
const COUNT: Kind = { expects: `a whole number from 0 to ${MOST}`, is: (value) => Number.isInteger(value) && NUMBER.is(value) }
const ADDRESS: Kind = { expects: 'a URL', is: (value) => typeof value === 'string' && URL.canParse(value) }
const ANYTHING: Kind = { expects: 'a value', is: () => true }
const HEADERS: Kind = { expects: 'an object of texts', is: (value) => isObject(value) && Object.values(value).every(TEXT.is) }
const STATUS: Kind = {
  expects: 'a status, or a list of them',
  is: (value) => [value].flat().every((one) => typeof one === 'number' || typeof one === 'string'),
}

/** What the store, the scheduler and the caller rely on. Everything else was checked when the client sent it. */
const KINDS: Readonly<Record<Exclude<keyof Definition, 'templates'>, Kind>> = {
  callback: ADDRESS,
  callback_method: TEXT,
  payload: ANYTHING,
  payload_is_json: SWITCH,
  headers: HEADERS,
  expected_http_status: STATUS,
  retry: COUNT,
  max_delay: COUNT,
  timeout: NUMBER,
  delivery: TEXT,
  error_callback: ADDRESS,
  error_payload: ANYTHING,
  error_payload_is_json: SWITCH,
  ack_timeout: COUNT,
  repeat: TEXT,
  timezone: TEXT,
  spread: COUNT,
  concurrency: COUNT,
  rate: COUNT,
  paused: SWITCH,
  pull: SWITCH,
}

/** @param text of the column `definition` */
export function readDefinition<D extends TaskDefinition | HandlerDefinition>(text: string): StoredDefinition<D> {
  const value = parse(text)
  if (value === undefined) return unreadable('it is not valid JSON')
  if (!isObject(value)) return unreadable('it is not a JSON object')
  for (const [field, one] of Object.entries(value)) {
    const kind = Object.hasOwn(KINDS, field) ? KINDS[field as keyof typeof KINDS] : ANYTHING
    if (!kind.is(one)) return unreadable(`its ${field} is not ${kind.expects}`)
  }
  for (const field of ['payload', 'error_payload']) {
    const text = value[field]
    const isJson = value[`${field}_is_json`] === true
    if (isJson && (typeof text !== 'string' || parse(text) === undefined)) return unreadable(`its ${field} is not valid JSON`)
  }
  return { ok: true, value: value as D }
}

/** The value of a JSON text; undefined for another text. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unreadable(why: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason: `the stored definition cannot be read: ${why}` }
}
