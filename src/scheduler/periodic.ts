/** Work that is done again and again, and never twice at the same time. */
import type { Clock } from '../clock.ts'
import type { Log } from '../telemetry/log.ts'

export interface PeriodicOptions {
  readonly clock: Pick<Clock, 'setTimer'>
  /** from the end of one run to the start of the next one */
  readonly everyMs: number
  readonly work: () => Promise<void>
  /** gets each error, and whether the run before has succeeded */
  readonly onFailure: (error: unknown, isFirst: boolean) => void
}

export class Periodic {
  readonly #options: PeriodicOptions
  #running: Promise<void> = Promise.resolve()
  #cancelTimer: (() => void) | undefined
  #isStopping = false
  #failure: unknown

  constructor(options: PeriodicOptions) {
    this.#options = options
  }

  /** The error of the last run; undefined where it succeeded. */
  get failure(): unknown {
    return this.#failure
  }

  /** Whether the run under way, if any, is the last one. */
  get isStopping(): boolean {
    return this.#isStopping
  }

  start(): void {
    this.#running = this.#run()
  }

  startLater(): void {
    this.#cancelTimer = this.#options.clock.setTimer(this.#options.everyMs, () => {
      this.start()
    })
  }

  /** Resolves when the run under way is over. No run follows. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#cancelTimer?.()
    await this.#running
  }

  async #run(): Promise<void> {
    try {
      await this.#options.work()
      this.#failure = undefined
    } catch (error) {
      this.#options.onFailure(error, this.#failure === undefined)
      this.#failure = error
    }
    if (!this.#isStopping) this.startLater()
  }
}

interface UpkeepLoop {
  readonly clock: Pick<Clock, 'setTimer'>
  readonly log: Log
  /** resolves when the clock is right, even if the system's clock has jumped */
  readonly followJump: () => Promise<void>
}

/** Upkeep of the store: each run begins with a right clock, and each failure is logged. */
export function periodicUpkeep({ clock, log, followJump }: UpkeepLoop, everyMs: number, runOnce: () => Promise<void>): Periodic {
  return new Periodic({
    ...{ clock, everyMs },
    work: () => followJump().then(runOnce),
    onFailure: (error) => {
      log.error('upkeep.failed', { err: error })
    },
  })
}
