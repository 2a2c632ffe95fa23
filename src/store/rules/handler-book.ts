/** All handlers in memory, as far as this node has heard: which one applies to a task's name, and in which lane that puts its rows. */
import { isErrorCallback } from '../../domain/task/error-callback.ts'
import type { Handler } from '../../domain/task/handler.ts'
import { isPattern, rangeOfNames } from '../../domain/task/name-pattern.ts'
import { HandlerPatterns } from './handler-patterns.ts'
import { ORPHANS, handlerLane } from '../rows/lane-name.ts'

export class HandlerBook {
  readonly #handlers = new Map<string, Handler>()
  #patterns: HandlerPatterns | undefined

  get areThere(): boolean {
    return this.#handlers.size > 0
  }

  /** The one that applies to tasks of a name: that of the name itself, else the one of the longest pattern. */
  of(name: string): Handler | undefined {
    if (!this.areThere || isErrorCallback({ name })) return undefined
    return this.#handlers.get(name) ?? this.#patternFor(name)
  }

  /** The one that names have where no handler is called `name`: of a pattern the next shorter one, which matches all that it does. */
  behind(name: string): Handler | undefined {
    return this.#patternFor(isPattern(name) ? rangeOfNames(name).first : name, name)
  }

  /** The lane in which the rows of a name to one host belong; the empty host is that of rows without a callback of their own. */
  laneOf(name: string, host: string): string {
    const handler = this.of(name)
    if (handler !== undefined) return handlerLane(handler.name, host)
    return host === '' ? ORPHANS : host
  }

  /** As it would be with another handler, or none, under a name. */
  with(name: string, handler: Handler | undefined): HandlerBook {
    const other = new HandlerBook()
    other.replace([...this.#handlers.values()])
    other.set(name, handler)
    return other
  }

  /** Takes note of what is stored now under a name. */
  set(name: string, handler: Handler | undefined): void {
    if (handler === undefined) this.#handlers.delete(name)
    else this.#handlers.set(name, handler)
    if (isPattern(name)) this.#patterns = undefined
  }

  replace(handlers: readonly Handler[]): void {
    this.#handlers.clear()
    for (const handler of handlers) this.#handlers.set(handler.name, handler)
    this.#patterns = undefined
  }

  #patternFor(name: string, but?: string): Handler | undefined {
    this.#patterns ??= new HandlerPatterns([...this.#handlers.values()].filter((handler) => isPattern(handler.name)))
    return this.#patterns.longestFor(name, but)
  }
}
