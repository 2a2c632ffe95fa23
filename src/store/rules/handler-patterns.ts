/** Finds which of many handlers of more than one name applies to a name. */
import type { Handler } from '../../domain/task/handler.ts'
import { rangeOfNames } from '../../domain/task/name-pattern.ts'

export class HandlerPatterns {
  /** by how many characters names must begin with, and by these; the longest first */
  readonly #byLength = new Map<number, Map<string, Handler>>()

  constructor(patterns: readonly Handler[]) {
    for (const handler of patterns.toSorted((one, other) => other.name.length - one.name.length)) {
      const { first: beginning } = rangeOfNames(handler.name)
      const handlers = this.#byLength.get(beginning.length) ?? new Map<string, Handler>()
      this.#byLength.set(beginning.length, handlers.set(beginning, handler))
    }
  }

  /** @param but a pattern that is passed over */
  longestFor(name: string, but?: string): Handler | undefined {
    for (const [length, handlers] of this.#byLength) {
      const handler = handlers.get(name.slice(0, length))
      if (handler !== undefined && handler.name !== but) return handler
    }
    return undefined
  }
}
