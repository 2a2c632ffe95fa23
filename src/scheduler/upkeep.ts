/** Chores that may take long: prunes old tasks, and lets the store tidy up. */
import type { Execution } from './execute.ts'

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
  #running: Promise<void> = Promise.resolve()
  #cancelTimer: (() => void) | undefined
  #isStopping = false
  /** the error of the last chores; undefined where they were done */
  failure: unknown

  constructor(options: UpkeepOptions) {
    this.#options = options
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
    await this.#prune()
    await this.#options.store.tidy()
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
