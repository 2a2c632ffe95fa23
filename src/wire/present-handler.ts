/** A handler on the wire: the fields that it has. Fields that it leaves to tasks or defaults are absent. */
import type { Handler, HandlerDefinition } from '../domain/task/handler.ts'
import { redact } from './present-task.ts'

/** Times are RFC 3339 in UTC. */
export interface WireHandler extends HandlerDefinition {
  readonly name: string
  readonly created: string
  readonly updated: string
}

export function presentHandler({ name, definition, created, updated }: Handler): WireHandler {
  return {
    name,
    ...definition,
    ...(definition.headers && { headers: redact(definition.headers) }),
    created: new Date(created).toISOString(),
    updated: new Date(updated).toISOString(),
  }
}
