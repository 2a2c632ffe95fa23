/** A handler on the wire: the fields that it has. Fields that it leaves to tasks or defaults are absent. */
import type { Handler, HandlerDefinition } from '../domain/task/handler.ts'
import { rfc3339 } from '../domain/time/trigger-time.ts'
import { redact } from './present-task.ts'

/** Times are RFC 3339 in UTC. */
export interface WireHandler extends HandlerDefinition {
  readonly name: string
  readonly created: string
  readonly updated: string
  /** why its stored definition cannot be read: its tasks wait until it is stored again. Absent where it can. */
  readonly error?: string
}

export function presentHandler({ name, definition, created, updated, unreadable }: Handler): WireHandler {
  const times = { created: rfc3339(created), updated: rfc3339(updated) }
  if (unreadable !== undefined) return { name, ...times, error: `${unreadable}; its tasks wait until the handler is stored again` }
  return { name, ...definition, ...(definition.headers && { headers: redact(definition.headers) }), ...times }
}
