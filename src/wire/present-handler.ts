/** A handler on the wire: the fields that it has. Fields that it leaves to tasks or defaults are absent. */
import type { Handler, HandlerDefinition } from '../domain/task/handler.ts'
import type { JsonValue } from '../domain/task/task.ts'
import { rfc3339 } from '../domain/time/trigger-time.ts'
import { shownPayload, type JsonText } from './json-text.ts'
import { redact } from './present-task.ts'

type PayloadField = 'payload' | 'payload_is_json' | 'error_payload' | 'error_payload_is_json'

/** Times are RFC 3339 in UTC. */
export interface WireHandler extends Omit<HandlerDefinition, PayloadField> {
  readonly name: string
  readonly payload?: JsonValue | JsonText
  readonly error_payload?: JsonValue | JsonText
  readonly created: string
  readonly updated: string
  /** why its stored definition cannot be read: its tasks wait until it is stored again. Absent where it can. */
  readonly error?: string
}

export function presentHandler({ name, definition, created, updated, unreadable }: Handler): WireHandler {
  const times = { created: rfc3339(created), updated: rfc3339(updated) }
  if (unreadable !== undefined) return { name, ...times, error: `${unreadable}; its tasks wait until the handler is stored again` }
  const { payload, payload_is_json: isJson, error_payload: errorPayload, error_payload_is_json: isErrorJson, ...fields } = definition
  return {
    name,
    ...fields,
    ...(payload !== undefined && { payload: shownPayload(payload, isJson) }),
    ...(errorPayload !== undefined && { error_payload: shownPayload(errorPayload, isErrorJson) }),
    ...(fields.headers && { headers: redact(fields.headers) }),
    ...times,
  }
}
