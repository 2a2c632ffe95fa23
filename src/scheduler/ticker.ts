/** The minute loop. It wakes at each minute, when the next task is due, and on `wake`; its passes never overlap. */
import type { Clock } from '../clock.ts'
import { nextMinute } from '../domain/time/trigger-time.ts'
import type { Log } from '../telemetry/log.ts'

/** The wall clock is read at least this often, because timers stand still while the machine is suspended. */
const LONGEST_SLEEP_MS = 1000
const JUMP_MS = 2000
const AGAIN_AFTER_FAILURE_MS = 1000
const READY_WITHIN_MS = 2 * 60_000

export class Ticker {
  readonly #clock: Clock
  readonly #log: Log
  readonly #pass: () => Promise<number | undefined>
  #running: Promise<void> | undefined
  #isStopping = false
  #isWoken = false
  #interruptPause: (() => void) | undefined
  #sleepsUntil = Infinity
  /** the lead of the wall clock over the monotonic one when it was last read */
  #offset = 0
  #lastTick: { wall: number; monotonic: number } | undefined
  /** of the last pass; undefined where that succeeded */
  #failure: unknown

  /** @param pass calls the due tasks, and returns when (epoch ms) the next task is due */
  constructor(options: { clock: Clock; log: Log; pass: () => Promise<number | undefined> }) {
    this.#clock = options.clock
    this.#log = options.log
    this.#pass = options.pass
  }

  start(): void {
    this.#offset = this.#clock.now() - this.#clock.monotonic()
    this.#running = this.#run()
  }

  /** Has a pass made at `dueAt` (epoch ms), at once where that is not in the future. */
  wake(dueAt: number): void {
    if (dueAt <= this.#clock.now()) this.#isWoken = true
    else if (dueAt < this.#sleepsUntil) this.#sleepsUntil = dueAt
    else return
    this.#interruptPause?.()
  }

  /** Resolves when the pass under way is over. No pass follows. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#interruptPause?.()
    await this.#running
  }

  /**
   * Whether the last pass succeeded, within the last two minutes, and when (epoch ms) the last good one began; null before the first.
   * `failure` is the error of the last pass where that failed.
   */
  readiness(): { ready: boolean; lastTick: number | null; failure?: unknown } {
    const age = this.#lastTick ? this.#clock.monotonic() - this.#lastTick.monotonic : Infinity
    const [failure, lastTick] = [this.#failure, this.#lastTick?.wall ?? null]
    return failure === undefined ? { ready: age < READY_WITHIN_MS, lastTick } : { ready: false, lastTick, failure }
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      this.#isWoken = false
      this.#sleepsUntil = Infinity
      const nextPass = await this.#tick()
      // During the pass, `wake` may have named an earlier time.
      this.#sleepsUntil = Math.min(this.#sleepsUntil, nextPass)
      if (!this.#hasJumped()) await this.#sleep()
    }
  }

  /** @returns when the next pass is due */
  async #tick(): Promise<number> {
    const startedAt = this.#clock.now()
    try {
      const nextDue = await this.#pass()
      this.#lastTick = { wall: startedAt, monotonic: this.#clock.monotonic() }
      this.#log.debug('tick.finished', { next_due: nextDue })
      this.#failure = undefined
      return Math.min(nextDue ?? Infinity, nextMinute(startedAt) * 1000)
    } catch (error) {
      if (this.#failure === undefined) this.#log.error('tick.failed', { err: error })
      this.#failure = error
      return startedAt + AGAIN_AFTER_FAILURE_MS
    }
  }

  /** Sleeps until the next pass is due. A jump of the clock ends the sleep, which could last hours otherwise. */
  async #sleep(): Promise<void> {
    while (!this.#isStopping && !this.#isWoken) {
      const wait = this.#sleepsUntil - this.#clock.now()
      if (wait <= 0) return
      await this.#pause(Math.min(wait, LONGEST_SLEEP_MS))
      if (this.#hasJumped()) return
    }
  }

  /** Whether the wall clock has jumped since the last call, during a pass or a pause. */
  #hasJumped(): boolean {
    const offset = this.#clock.now() - this.#clock.monotonic()
    const by = offset - this.#offset
    this.#offset = offset
    if (Math.abs(by) <= JUMP_MS) return false
    this.#log.warn('clock.jumped', { by_ms: Math.round(by) })
    return true
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.setTimer(ms, resolve)
      this.#interruptPause = () => {
        cancel()
        resolve()
      }
    })
  }
}
