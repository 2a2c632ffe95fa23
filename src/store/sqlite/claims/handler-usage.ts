/** How many tasks of each handler may be claimed now, by its limits. Made for one claim, inside its transaction. */
import type { HandlerDefinition } from '../../../domain/task/handler.ts'
import { rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { KEEP_SECONDS, RATE_SECONDS, capacityWithin, noCapacity, noLimit } from '../../rules/handler-capacity.ts'
import type { HandlerCapacity } from '../../rules/handler-capacity.ts'
import { lanesOf } from '../../rows/lane-name.ts'
import type { Session } from '../session.ts'

// A pattern's range of names holds names with handlers of their own, so the lane decides.
const RUNNING = `
  SELECT count(*) FROM (
    SELECT 1 FROM tasks INDEXED BY tasks_running_of_handler
    WHERE state = 'running' AND instr(lane, '@') > 0 AND name >= @first AND name < @end AND lane >= @firstLane AND lane < @endLane LIMIT @limit)`
const STARTS = 'SELECT coalesce(sum(n), 0) AS started, min(second) AS oldest FROM starts WHERE name = ? AND second BETWEEN ? AND ?'
const ADD_STARTS = `
  INSERT INTO starts (name, second, n) VALUES (@name, @second, @count) ON CONFLICT (name, second) DO UPDATE SET n = n + excluded.n`
const FORGET_STARTS = 'DELETE FROM starts WHERE name = ? AND second < ?'

interface Starts {
  readonly started: number
  readonly oldest: number | null
}

const NO_STARTS: Starts = { started: 0, oldest: null }

export class HandlerUsage {
  readonly #session: Session
  readonly #second: number
  readonly #capacities = new Map<string, HandlerCapacity>()

  constructor(session: Session, now: number) {
    this.#session = session
    this.#second = Math.floor(now / 1000)
  }

  /** For calls: none where workers pull the handler's tasks. */
  forCalls(name: string): HandlerCapacity {
    const handler = this.#session.handlers.of(name)?.definition
    if (handler === undefined) return noLimit()
    return handler.pull ? noCapacity() : this.within(name, handler)
  }

  /** By the limits of the handler alone, for calls and workers alike. */
  within(name: string, handler: HandlerDefinition): HandlerCapacity {
    const known = this.#capacities.get(name)
    if (known) return known
    const capacity = handler.paused ? noCapacity() : this.#count(name, handler)
    this.#capacities.set(name, capacity)
    return capacity
  }

  /** Counts attempts that start now against the handler's rate. */
  addStarts(name: string, count: number): void {
    const { sql } = this.#session
    sql.run(ADD_STARTS, { name, second: this.#second, count })
    sql.run(FORGET_STARTS, name, this.#second - KEEP_SECONDS)
  }

  #count(name: string, handler: HandlerDefinition): HandlerCapacity {
    const { sql } = this.#session
    const { concurrency: limit, rate } = handler
    const { first: firstLane, end: endLane } = lanesOf(name)
    const running = limit === undefined ? 0 : sql.value<number>(RUNNING, { ...rangeOfNames(name), firstLane, endLane, limit })
    const span = [this.#second - RATE_SECONDS, this.#second + RATE_SECONDS]
    const starts = rate === undefined ? NO_STARTS : sql.one<Starts>(STARTS, name, ...span)
    return capacityWithin(handler, { running, ...starts })
  }
}
