/** A row of a store's handlers and the handler it stands for. */
import type { Handler, HandlerDefinition } from '../../domain/task/handler.ts'

export interface HandlerRow {
  readonly name: string
  readonly created: number
  readonly updated: number
  /** JSON */
  readonly definition: string
}

export function toHandler({ name, created, updated, definition }: HandlerRow): Handler {
  return { name, definition: JSON.parse(definition) as HandlerDefinition, created, updated }
}
