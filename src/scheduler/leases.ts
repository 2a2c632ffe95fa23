/** Renews the leases of this node's claims, and rescues tasks whose lease is over. */
import type { Task } from '../domain/task/task.ts'
import { formatTaskKey } from '../domain/task/task-key.ts'
import { renewLease, type SharedLease } from '../lease.ts'
import type { Execution } from './execute.ts'
import { periodicUpkeep, type Periodic } from './periodic.ts'

export interface LeasesOptions extends Pick<Execution, 'store' | 'clock' | 'log' | 'node'> {
  /** the tasks that this node has claimed and not yet recorded */
  readonly claims: () => readonly Task[]
  /** is told until when all of these claims hold */
  readonly lease: SharedLease
  /** is called with the time (epoch ms) at which rescued tasks are due */
  readonly wake: (dueAt: number) => void
  /** resolves when `clock` is right, even if the system's clock has jumped */
  readonly followJump: () => Promise<void>
}

/** How long a claim stands without being renewed, in ms. With the search for lost tasks that is less than 20 s. */
export const LEASE_MS = 15_000
/** How often leases are renewed and lost tasks are searched for. */
export const LOOK_EVERY_MS = 3000
/** A call is not started with less of its lease left. The clocks of nodes and database differ by less. */
export const LEASE_LEFT_MS = 1000
/** A lease is renewed once less of it is left, so that short calls cost no renewal. */
const RENEWED_BELOW_MS = 10_000
/** While the store is away for no longer, each node still renews in time. */
const LONGEST_GAP_MS = RENEWED_BELOW_MS - LOOK_EVERY_MS - LEASE_LEFT_MS
/** No write of renewals holds up other writes for long. */
const RENEW_BATCH = 1000
const RESCUE_BATCH = 200

export class Leases {
  readonly #options: LeasesOptions
  /** the ends of leases that were renewed, epoch ms */
  readonly #renewed = new WeakMap<Task, number>()
  readonly #looking: Periodic
  /** monotonic ms: the start of the last look that the store answered, and of the first one of those without a gap */
  #seenAt = -Infinity
  #steadySince = Infinity

  constructor(options: LeasesOptions) {
    this.#options = options
    this.#looking = periodicUpkeep(options, LOOK_EVERY_MS, () => this.runOnce())
  }

  /** The error of the last look; undefined where it was good. Leases may not be renewed meanwhile. */
  get failure(): unknown {
    return this.#looking.failure
  }

  /** Shows that this node lives, and rescues tasks that earlier processes left `running`. @param which the node whose own tasks stay, or whose name those processes had */
  async rescueAbandoned(which: { onlyNode: string; nodeName?: string }): Promise<void> {
    await this.#options.store.announce(this.#options.node)
    await this.#rescueAll({ ...which, now: this.#options.clock.now() })
  }

  start(): void {
    this.#looking.start()
  }

  stop(): Promise<void> {
    return this.#looking.stop()
  }

  /** Renews, and then rescues what is lost. @throws CallmeError of the store */
  async runOnce(): Promise<void> {
    const { clock } = this.#options
    // A suspend ends the leases of this node, but its calls go on: it renews before it rescues. Both go by one time, because a
    // suspend may come between them.
    const [now, startedAt] = [clock.now(), clock.monotonic()]
    const hasGap = startedAt - this.#seenAt > LONGEST_GAP_MS
    await this.#renew(now)
    if (hasGap || startedAt - this.#steadySince < LEASE_MS) await this.#options.store.rescue({ now, limit: 0 })
    else await this.#rescueAll({ now })
    this.#seenAt = startedAt
    // The answer may have waited for the store to come back.
    if (hasGap) this.#steadySince = clock.monotonic()
  }

  async #renew(now: number): Promise<void> {
    const { store, clock, claims, lease } = this.#options
    const endOf = (task: Task): number => this.#renewed.get(task) ?? task.leaseUntil ?? 0
    const leaseUntil = now + LEASE_MS
    // A clock that was set back leaves leases that would hold for long after the end of this node.
    const isUsual = (end: number): boolean => end >= now + RENEWED_BELOW_MS && end <= leaseUntil
    const ending = claims().filter((task) => !isUsual(endOf(task)))
    for (let start = 0; start < ending.length; start += RENEW_BATCH) {
      const batch = ending.slice(start, start + RENEW_BATCH)
      await store.renew(batch, { leaseUntil })
      for (const task of batch) this.#renewed.set(task, leaseUntil)
    }
    renewLease(lease, clock.now(), now + RENEWED_BELOW_MS - LEASE_LEFT_MS)
  }

  /** Goes on with the next look where it takes long, so that leases are renewed in time. */
  async #rescueAll(which: { now: number; onlyNode?: string; nodeName?: string }): Promise<void> {
    const { store, clock, log, node, wake } = this.#options
    const startedAt = clock.monotonic()
    let total = 0
    let rescued: Task[]
    do {
      rescued = await store.rescue({ ...which, limit: RESCUE_BATCH })
      if (rescued.length > 0) wake(clock.now())
      for (const task of rescued) {
        log.warn('claim.rescued', { task: formatTaskKey(task), run_id: task.runId, attempt: task.attempts, state: task.state, node })
      }
      total += rescued.length
    } while (rescued.length === RESCUE_BATCH && clock.monotonic() - startedAt < LOOK_EVERY_MS)
    if (total > 0) log.warn('rescued', { tasks: total, node })
  }
}
