/** All handlers that a process knows: which one applies to the name of a task, and in which lane that puts its row. */
import { isErrorCallback } from '../../domain/task/error-callback.ts'
import type { Handler } from '../../domain/task/handler.ts'
import { isPattern, rangeOfNames } from '../../domain/task/name-pattern.ts'
import { ORPHANS, handlerLane } from '../rows/lane-name.ts'
import type { HandlersByName } from './assign-lane.ts'

/** By how many characters names must begin with, and by these characters. The longest beginning comes first. */
type Patterns = ReadonlyMap<number, ReadonlyMap<string, Handler>>

export class HandlerBook implements HandlersByName {
  readonly #handlers: Map<string, Handler>
  #patterns: Patterns | undefined

  constructor(handlers: readonly Handler[] = []) {
    this.#handlers = byName(handlers)
  }

  get areThere(): boolean {
    return this.#handlers.size > 0
  }

  /** The handler that applies to tasks of a name: that of the name itself, else that of the longest pattern. */
  of(name: string): Handler | undefined {
    if (!this.areThere || isErrorCallback({ name })) return undefined
    return this.#handlers.get(name) ?? this.#patternOf(name)
  }

  /** The handler that names have where none is called `name`. Behind a pattern that is the next shorter one, which matches all of its names. */
  behind(name: string): Handler | undefined {
    return this.#patternOf(isPattern(name) ? rangeOfNames(name).first : name, name)
  }

  /** The lane in which the rows of a name to one host belong. The host is empty for rows without a callback of their own. */
  laneOf(name: string, host: string): string {
    const handler = this.of(name)
    if (handler !== undefined) return handlerLane(handler.name, host)
    return host === '' ? ORPHANS : host
  }

  /** The book as it would be with another handler, or none, under a name. */
  with(name: string, handler: Handler | undefined): HandlerBook {
    const other = new HandlerBook([...this.#handlers.values()])
    other.set(name, handler)
    return other
  }

  /** Takes note of the handler that is stored now under a name. */
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

  /** @param but a pattern that is passed over */
  #patternOf(name: string, but?: string): Handler | undefined {
    this.#patterns ??= patternsOf([...this.#handlers.values()])
    for (const [length, handlers] of this.#patterns) {
      const handler = handlers.get(name.slice(0, length))
      if (handler !== undefined && handler.name !== but) return handler
    }
    return undefined
  }
}

function byName(handlers: readonly Handler[]): Map<string, Handler> {
  return new Map(handlers.map((handler) => [handler.name, handler]))
}

function patternsOf(handlers: readonly Handler[]): Patterns {
  const patterns = handlers
    .filter(({ name }) => isPattern(name))
    .map((handler) => ({ handler, beginning: rangeOfNames(handler.name).first }))
  const byLength = Map.groupBy(
    patterns.sort((a, b) => b.beginning.length - a.beginning.length),
    ({ beginning }) => beginning.length,
  )
  return new Map([...byLength].map(([length, same]) => [length, new Map(same.map(({ beginning, handler }) => [beginning, handler]))]))
}
