/** Chores that may take long: prunes old tasks, and lets the store tidy up. */
import type { Execution } from './execute.ts'
import { periodicUpkeep, type Periodic } from './periodic.ts'

export interface UpkeepOptions extends Pick<Execution, 'store' | 'clock' | 'log'> {
  /** how long finished tasks are kept; 0 keeps them all */
  readonly retentionMs: number
  /** resolves when `clock` is right, even if the system's clock has jumped */
  readonly followJump: () => Promise<void>
}

const EVERY_MS = 10_000
/** Small enough that a tick never waits for it. */
const PRUNE_BATCH = 200
/** More tasks wait for the next pass. */
const PRUNED_AT_ONCE = 20_000

export class Upkeep {
  readonly #options: UpkeepOptions
  readonly #chores: Periodic

  constructor(options: UpkeepOptions) {
    this.#options = options
    this.#chores = periodicUpkeep(options, EVERY_MS, () => this.runOnce())
  }

  /** The error of the last chores; undefined where they were done. */
  get failure(): unknown {
    return this.#chores.failure
  }

  start(): void {
    this.#chores.startLater()
  }

  stop(): Promise<void> {
    return this.#chores.stop()
  }

  /** Does each chore once. @throws CallmeError of the store */
  async runOnce(): Promise<void> {
    await this.#prune()
    await this.#options.store.tidy()
  }

  async #prune(): Promise<void> {
    const { store, clock, log, retentionMs } = this.#options
    if (retentionMs === 0) return
    let pruned = 0
    let batch: number
    do {
      batch = await store.prune({ before: clock.now() - retentionMs, limit: PRUNE_BATCH })
      pruned += batch
    } while (batch > 0 && pruned < PRUNED_AT_ONCE && !this.#chores.isStopping)
    if (pruned > 0) log.info('pruned', { tasks: pruned })
  }
}
