/** How many tasks of each handler may be claimed now, by its limits. One is made for each claim, inside its transaction. */
import type { HandlerDefinition } from '../../../domain/task/handler.ts'
import { rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { KEEP_SECONDS, RATE_SECONDS, noLimit, noCapacity, capacityWithin } from '../../rules/handler-capacity.ts'
import type { HandlerCapacity } from '../../rules/handler-capacity.ts'
import { lanesOf } from '../../rows/lane-name.ts'
import type { Session } from '../session.ts'

export class HandlerUsage {
  readonly #session: Session
  readonly #now: number
  readonly #capacities = new Map<string, HandlerCapacity>()

  constructor(session: Session, now: number) {
    this.#session = session
    this.#now = now
  }

  /** For calls; tasks that are pulled leave no room for these. */
  forCalls(group: string): HandlerCapacity {
    const handler = this.#session.handlers.of(group)?.definition
    if (handler === undefined) return noLimit()
    return handler.pull ? noCapacity() : this.within(group, handler)
  }

  /** By the limits of the handler alone, as they are for workers. */
  within(group: string, handler: HandlerDefinition): HandlerCapacity {
    const known = this.#capacities.get(group)
    if (known) return known
    const room = handler.paused ? noCapacity() : this.#count(group, handler)
    this.#capacities.set(group, room)
    return room
  }

  /** Takes note of so many attempts that start now. */
  take(group: string, room: HandlerCapacity, count: number): void {
    room.free -= count
    if (!room.hasRate || count === 0) return
    const second = Math.floor(this.#now / 1000)
    this.#session.statements.addStarts.run({ name: group, second, count })
    this.#session.statements.forgetStarts.run(group, second - KEEP_SECONDS)
  }

  #count(group: string, handler: HandlerDefinition): HandlerCapacity {
    const { concurrency, rate } = handler
    const running = concurrency === undefined ? 0 : this.#running(group, concurrency)
    const second = Math.floor(this.#now / 1000)
    const { started, oldest } = (
      rate === undefined
        ? { started: 0, oldest: null }
        : this.#session.statements.startsBetween.get(group, second - RATE_SECONDS, second + RATE_SECONDS)
    ) as { started: number; oldest: number | null }
    return capacityWithin(handler, { running, started, oldest })
  }

  /** How many are running, up to `limit`. Names inside a pattern may have handlers of their own, and so other lanes. */
  #running(group: string, limit: number): number {
    const { first: firstLane, end: endLane } = lanesOf(group)
    return this.#session.statements.runningOfHandler.get({ ...rangeOfNames(group), firstLane, endLane, limit }) as number
  }
}
