/** Counts how many tasks of each handler a claim may take, within the handler's limits over all nodes. */
import type { HandlerDefinition } from '../../../domain/task/handler.ts'
import { toHandler, type HandlerRow } from '../../rows/handler-row.ts'
import { RATE_SECONDS, capacityWithin, noCapacity, noLimit, type HandlerCapacity } from '../../rules/handler-book.ts'
import { one } from '../commit/database.ts'
import type { Transaction } from '../commit/transaction.ts'
import { addStarts } from '../results/starts.ts'

/** Claims of a handler with limits take turns, in the order of names so that none deadlocks. A PUT does not wait for this lock. */
const LOCK = 'SELECT * FROM callme.handlers WHERE name = ANY($1) ORDER BY name FOR NO KEY UPDATE'
/** A lease is rescued long before it is over for this time. */
const OVERDUE_MS = 60_000
const RUNNING = `
  SELECT count(*)::int AS running FROM (
    SELECT 1 FROM callme.tasks
    WHERE state = 'running' AND strpos(lane, '@') > 0 AND split_part(lane, '@', 1) = $1 AND lease_until > $2 LIMIT $3) counted`
const STARTS = `
  SELECT coalesce(sum(n), 0)::int AS started, min(second) AS oldest FROM callme.starts WHERE name = $1 AND second BETWEEN $2 AND $3`

/** Made for one claim, inside its transaction. */
export class HandlerUsage {
  readonly #transaction: Transaction
  readonly #now: number
  /** Unix time */
  readonly #second: number
  readonly #capacities = new Map<string, HandlerCapacity>()
  /** the stored handlers, which stay as they are until the transaction ends; undefined for a removed one */
  readonly #locked = new Map<string, HandlerDefinition | undefined>()

  constructor(transaction: Transaction, now: number) {
    this.#transaction = transaction
    this.#now = now
    this.#second = Math.floor(now / 1000)
  }

  /** Locks the handlers with limits. Call it with all that may be asked for, before the first of them is. */
  async lock(handlers: readonly string[]): Promise<void> {
    const book = this.#transaction.session.handlers
    const open = new Set(handlers.filter((name) => !this.#locked.has(name) && hasLimits(book.of(name)?.definition ?? {})))
    if (open.size > 0) await this.#lockAll([...open])
  }

  /** The capacity for calls. A handler that workers pull has none. */
  async forCalls(handler: string): Promise<HandlerCapacity> {
    const definition = this.#transaction.session.handlers.of(handler)?.definition
    if (definition === undefined) return noLimit()
    return definition.pull ? noCapacity() : this.within(handler, definition)
  }

  /** The capacity within the limits alone, as it is for workers. */
  async within(handler: string, definition: HandlerDefinition): Promise<HandlerCapacity> {
    const known = this.#capacities.get(handler)
    if (known) return known
    const capacity = definition.paused ? noCapacity() : await this.#count(handler, definition)
    this.#capacities.set(handler, capacity)
    return capacity
  }

  /** Stores that attempts start now, for a handler with a rate. */
  async addStarts(handler: string, count: number): Promise<void> {
    await addStarts(this.#transaction, handler, count, this.#second)
  }

  /** Counts anew, after a claim. */
  recount(handler: string): Promise<HandlerCapacity> {
    this.#capacities.delete(handler)
    return this.forCalls(handler)
  }

  async #count(handler: string, remembered: HandlerDefinition): Promise<HandlerCapacity> {
    if (!hasLimits(remembered)) return noLimit()
    if (!this.#locked.has(handler)) await this.#lockAll([handler])
    const definition = this.#locked.get(handler) ?? remembered
    if (definition.paused) return noCapacity()
    const { concurrency, rate } = definition
    const running = concurrency === undefined ? 0 : await this.#running(handler, concurrency)
    if (rate === undefined) return capacityWithin(definition, { running, started: 0, oldest: null })
    const seconds = [this.#second - RATE_SECONDS, this.#second + RATE_SECONDS]
    const starts = await this.#transaction.query<{ started: number; oldest: number | null }>(STARTS, [handler, ...seconds])
    return capacityWithin(definition, { running, ...one(starts) })
  }

  async #lockAll(handlers: readonly string[]): Promise<void> {
    for (const handler of handlers) this.#locked.set(handler, undefined)
    for (const row of await this.#transaction.query<HandlerRow>(LOCK, [handlers])) this.#locked.set(row.name, toHandler(row).definition)
  }

  /** Counts up to `limit`. */
  async #running(handler: string, limit: number): Promise<number> {
    // A clock set back gives leases that end before the low-water mark.
    const after = Math.min(this.#transaction.session.leases.seen, this.#now - OVERDUE_MS)
    return one(await this.#transaction.query<{ running: number }>(RUNNING, [handler, after, limit])).running
  }
}

function hasLimits({ concurrency, rate }: HandlerDefinition): boolean {
  return concurrency !== undefined || rate !== undefined
}
