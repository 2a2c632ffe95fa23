/** How many tasks of each handler may be claimed now, by its limits, over all nodes. One is made for each claim, inside its transaction. */
import type { HandlerDefinition } from '../../../domain/task/handler.ts'
import { KEEP_SECONDS, RATE_SECONDS, noLimit, noCapacity, capacityWithin } from '../../rules/handler-capacity.ts'
import type { HandlerCapacity } from '../../rules/handler-capacity.ts'
import type { HandlerRow } from '../../rows/handler-row.ts'
import { toHandler } from '../../rows/handler-row.ts'
import type { Session } from '../session.ts'
import type { Transaction } from '../commit/transaction.ts'

/**
 * Of all that claim tasks of a handler with limits, one does at a time: each counts what those before it have claimed. In the order of
 * names, so that no two wait for each other. Whoever stores a task that needs a handler does not wait for them.
 */
const LOCK = 'SELECT * FROM callme.handlers WHERE name = ANY($1) ORDER BY name FOR NO KEY UPDATE'
/** A lease that ended so long ago was found long ago. */
const OVERDUE_MS = 60_000
const RUNNING = `
  SELECT count(*)::int AS running FROM (
    SELECT 1 FROM callme.tasks
    WHERE state = 'running' AND strpos(lane, '@') > 0 AND split_part(lane, '@', 1) = $1 AND lease_until > $2 LIMIT $3) counted`
const STARTS = `
  SELECT coalesce(sum(n), 0)::int AS started, min(second) AS oldest FROM callme.starts WHERE name = $1 AND second BETWEEN $2 AND $3`
const ADD_STARTS = `
  INSERT INTO callme.starts AS s (name, second, n) VALUES ($1, $2, $3) ON CONFLICT (name, second) DO UPDATE SET n = s.n + excluded.n`
const FORGET_STARTS = 'DELETE FROM callme.starts WHERE name = $1 AND second < $2'

export class HandlerUsage {
  readonly #transaction: Transaction
  readonly #session: Session
  readonly #now: number
  readonly #capacities = new Map<string, HandlerCapacity>()
  /** as they are until the transaction is over; undefined where one is gone */
  readonly #locked = new Map<string, HandlerDefinition | undefined>()

  constructor(transaction: Transaction, session: Session, now: number) {
    this.#transaction = transaction
    this.#session = session
    this.#now = now
  }

  /** To be called with all handlers that may be asked for, before the first of them is. */
  async lock(groups: readonly string[]): Promise<void> {
    const open = new Set(
      groups.filter((group) => !this.#locked.has(group) && hasLimits(this.#session.handlers.of(group)?.definition ?? {})),
    )
    if (open.size > 0) await this.#lockAll([...open])
  }

  /** For calls; tasks that are pulled leave no room for these. */
  async forCalls(group: string): Promise<HandlerCapacity> {
    const handler = this.#session.handlers.of(group)?.definition
    if (handler === undefined) return noLimit()
    return handler.pull ? noCapacity() : this.within(group, handler)
  }

  /** By the limits of the handler alone, as they are for workers. */
  async within(group: string, handler: HandlerDefinition): Promise<HandlerCapacity> {
    const known = this.#capacities.get(group)
    if (known) return known
    const room = handler.paused ? noCapacity() : await this.#count(group, handler)
    this.#capacities.set(group, room)
    return room
  }

  /** Takes note of so many attempts that start now. */
  async take(group: string, room: HandlerCapacity, count: number): Promise<void> {
    room.free -= count
    if (!room.hasRate || count === 0) return
    const second = Math.floor(this.#now / 1000)
    await this.#transaction.query(ADD_STARTS, [group, second, count])
    await this.#transaction.query(FORGET_STARTS, [group, second - KEEP_SECONDS])
  }

  /** Counts anew, after a claim. */
  async recount(group: string): Promise<HandlerCapacity> {
    this.#capacities.delete(group)
    return this.forCalls(group)
  }

  async #count(group: string, heard: HandlerDefinition): Promise<HandlerCapacity> {
    if (!hasLimits(heard)) return noLimit()
    if (!this.#locked.has(group)) await this.#lockAll([group])
    const handler = this.#locked.get(group) ?? heard
    if (handler.paused) return noCapacity()
    const { concurrency, rate } = handler
    const running = concurrency === undefined ? 0 : await this.#running(group, concurrency)
    const { started, oldest } = rate === undefined ? { started: 0, oldest: null } : await this.#starts(group)
    return capacityWithin(handler, { running, started, oldest })
  }

  async #lockAll(groups: readonly string[]): Promise<void> {
    for (const group of groups) this.#locked.set(group, undefined)
    for (const row of await this.#transaction.query<HandlerRow>(LOCK, [groups])) this.#locked.set(row.name, toHandler(row).definition)
  }

  /** Up to `limit`. */
  async #running(group: string, limit: number): Promise<number> {
    // A clock set back has leases end before what was looked at.
    const after = Math.min(this.#session.leases.seen, this.#now - OVERDUE_MS)
    const [row] = await this.#transaction.query<{ running: number }>(RUNNING, [group, after, limit])
    return row?.running ?? 0
  }

  async #starts(group: string): Promise<{ started: number; oldest: number | null }> {
    const second = Math.floor(this.#now / 1000)
    const params = [group, second - RATE_SECONDS, second + RATE_SECONDS]
    const [row] = await this.#transaction.query<{ started: number; oldest: number | null }>(STARTS, params)
    return row ?? { started: 0, oldest: null }
  }
}

function hasLimits({ concurrency, rate }: HandlerDefinition): boolean {
  return concurrency !== undefined || rate !== undefined
}
