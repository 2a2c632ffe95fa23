/** Chores beside the minute loop: renews leases, rescues tasks of lost nodes, prunes old tasks, lets the store tidy up. */
import type { Task } from '../domain/task/task.ts'
import { formatTaskKey } from '../domain/task/task-key.ts'
import { LEASE_MS } from './dispatch.ts'
import type { Execution } from './execute.ts'

export interface UpkeepOptions extends Pick<Execution, 'store' | 'clock' | 'log' | 'node'> {
  /** the tasks that this node has claimed and not yet recorded */
  readonly claims: () => readonly Task[]
  /** how long finished tasks are kept; 0 keeps them all */
  readonly retentionMs: number
  /** is called with the time (epoch ms) at which rescued tasks are due */
  readonly wake: (dueAt: number) => void
  /** resolves when `clock` is right, even if the system's clock has jumped */
  readonly followJump: () => Promise<void>
}

/** With the time that a pass takes, a lost task is found within 15 s after its lease. */
const EVERY_MS = 10_000
/** Thousands of calls may be open. No request and no tick waits until all of their leases are renewed. */
const RENEW_BATCH = 500
const RESCUE_BATCH = 200
/** Small enough that a tick never waits for it. */
const PRUNE_BATCH = 200
/** More tasks wait for the next pass, so that leases are renewed in time. */
const PRUNED_AT_ONCE = 20_000

export class Upkeep {
  readonly #options: UpkeepOptions
  #running: Promise<void> = Promise.resolve()
  #cancelTimer: (() => void) | undefined
  #isStopping = false
  /** the error of the last chores; undefined where they were done. Leases may not be renewed meanwhile. */
  failure: unknown

  constructor(options: UpkeepOptions) {
    this.#options = options
  }

  /** Rescues the tasks that earlier processes left `running`. Only for a store that no other process can have open. */
  async rescueAbandoned(): Promise<void> {
    await this.#rescue({ now: this.#options.clock.now(), onlyNode: this.#options.node })
  }

  start(): void {
    this.#cancelTimer = this.#options.clock.setTimer(EVERY_MS, () => {
      this.#running = this.#runAndContinue()
    })
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    this.#cancelTimer?.()
    await this.#running
  }

  /** Does each chore once. @throws CallmeError of the store */
  async runOnce(): Promise<void> {
    const { store, clock, claims } = this.#options
    // A suspend ends the leases of this node, but its calls go on: it renews before it rescues. Both go by one time, because a
    // suspend may come between them.
    const now = clock.now()
    const held = claims()
    let renewed = 0
    do {
      await store.renew(held.slice(renewed, renewed + RENEW_BATCH), { leaseUntil: now + LEASE_MS })
      renewed += RENEW_BATCH
    } while (renewed < held.length)
    await this.#rescue({ now })
    await this.#prune()
    await store.tidy()
  }

  async #runAndContinue(): Promise<void> {
    try {
      await this.#options.followJump()
      await this.runOnce()
      this.failure = undefined
    } catch (error) {
      this.failure = error
      this.#options.log.error('upkeep.failed', { err: error })
    }
    if (!this.#isStopping) this.start()
  }

  async #rescue(which: { now: number; onlyNode?: string }): Promise<void> {
    const { store, clock, log, node, wake } = this.#options
    let total = 0
    let rescued: Task[]
    do {
      rescued = await store.rescue({ ...which, limit: RESCUE_BATCH })
      if (rescued.length > 0) wake(clock.now())
      for (const task of rescued) {
        log.warn('claim.rescued', { task: formatTaskKey(task), run_id: task.runId, attempt: task.attempts, state: task.state, node })
      }
      total += rescued.length
      // A batch of large tasks is smaller.
    } while (rescued.length > 0)
    if (total > 0) log.warn('rescued', { tasks: total, node })
  }

  async #prune(): Promise<void> {
    const { store, clock, log, retentionMs } = this.#options
    if (retentionMs === 0) return
    let pruned = 0
    let batch: number
    do {
      batch = await store.prune({ before: clock.now() - retentionMs, limit: PRUNE_BATCH })
      pruned += batch
    } while (batch > 0 && pruned < PRUNED_AT_ONCE && !this.#isStopping)
    if (pruned > 0) log.info('pruned', { tasks: pruned })
  }
}
