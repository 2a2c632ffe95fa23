/** A row of a store's handlers and the handler it stands for. */
import type { Handler, HandlerDefinition } from '../../domain/task/handler.ts'
import { readDefinition } from './stored-json.ts'

export interface HandlerRow {
  readonly name: string
  readonly created: number
  readonly updated: number
  /** JSON */
  readonly definition: string
}

/**
 * Stands for a definition that cannot be read. Nobody knows its limits, so its tasks wait until somebody stores the handler again. Nobody
 * knows its `delivery` either, so a lost call is not made again.
 */
const UNKNOWN: HandlerDefinition = { paused: true, pull: true, delivery: 'at_most_once' }

export function toHandler({ name, created, updated, definition }: HandlerRow): Handler {
  const stored = readDefinition<HandlerDefinition>(definition)
  if (stored.ok) return { name, definition: stored.value, created, updated }
  return { name, definition: UNKNOWN, created, updated, unreadable: stored.reason }
}
