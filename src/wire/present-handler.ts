/** How a handler looks on the wire: what it says, and nothing that it leaves to the tasks or to the defaults. */
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
