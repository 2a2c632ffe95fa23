/** The handlers that a process knows: which one applies to the name of a task, in which lane that puts its row, and how many tasks it may start. */
import { isErrorCallback } from '../../domain/task/error-callback.ts'
import type { Handler, HandlerDefinition } from '../../domain/task/handler.ts'
import { isPattern, rangeOfNames } from '../../domain/task/name-pattern.ts'
import { ORPHANS, handlerLane } from '../rows/lane-name.ts'

export class HandlerBook {
  readonly #handlers = new Map<string, Handler>()
  /** how many characters the patterns have, the longest first */
  #patternLengths: readonly number[] | undefined

  constructor(handlers: readonly Handler[] = []) {
    this.replace(handlers)
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
    if (isPattern(name)) this.#patternLengths = undefined
  }

  replace(handlers: readonly Handler[]): void {
    this.#handlers.clear()
    for (const handler of handlers) this.#handlers.set(handler.name, handler)
    this.#patternLengths = undefined
  }

  /** @param but a pattern that is passed over */
  #patternOf(name: string, but?: string): Handler | undefined {
    this.#patternLengths ??= [...new Set([...this.#handlers.keys()].filter(isPattern).map(({ length }) => length))].sort((a, b) => b - a)
    for (const length of this.#patternLengths) {
      const handler = this.#handlers.get(`${name.slice(0, length - 1)}*`)
      if (handler !== undefined && handler.name !== but) return handler
    }
    return undefined
  }
}

/** How many tasks of a handler may be claimed, by its limits and its stored tasks. */
export interface HandlerCapacity {
  free: number
  /** epoch ms: from when on there may be capacity again where there is none; `NEVER` where that takes another event */
  readonly opensAt: number
  readonly hasRate: boolean
}

/** Later than every time: the end of a running task, or a change of the handler, comes first. */
export const NEVER = Number.MAX_SAFE_INTEGER
/** Starts are counted by whole seconds, so that no 60 s that begin within a second hold too many. The clock may be set back, so starts ahead count too. */
export const RATE_SECONDS = 60
/** Starts are remembered for longer, because the clock may be set forward and back. */
export const KEEP_SECONDS = 3600

/** When to claim again, epoch ms; undefined where another event comes first. */
export const knownTime = (time: number): number | undefined => (time < NEVER ? time : undefined)

export const noLimit = (): HandlerCapacity => ({ free: Infinity, opensAt: NEVER, hasRate: false })
export const noCapacity = (): HandlerCapacity => ({ free: 0, opensAt: NEVER, hasRate: false })

/** @param stored its running tasks, and its attempts started at most `RATE_SECONDS` away, the first in the second `oldest` (Unix time) */
export function capacityWithin(
  { concurrency = Infinity, rate }: HandlerDefinition,
  stored: { readonly running: number; readonly started: number; readonly oldest: number | null },
): HandlerCapacity {
  const free = concurrency === Infinity ? Infinity : concurrency - stored.running
  if (rate === undefined) return { free, opensAt: NEVER, hasRate: false }
  const opensAt = free <= 0 || stored.oldest === null ? NEVER : (stored.oldest + RATE_SECONDS + 1) * 1000
  return { free: Math.min(free, rate - stored.started), opensAt, hasRate: true }
}
