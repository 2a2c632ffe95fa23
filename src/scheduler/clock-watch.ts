/** Measures the lead of the store's clock over the system's, at the start and every minute. A store of one node has no clock. */
import type { Clock, ClockOffset } from '../clock.ts'
import type { Log } from '../telemetry/log.ts'
import type { Store } from '../store/store.ts'
import { Periodic } from './periodic.ts'

export interface ClockWatchOptions {
  readonly store: Pick<Store, 'time'>
  /** the system's */
  readonly clock: Clock
  /** is set to the measured lead */
  readonly offset: ClockOffset
  readonly log: Log
}

interface Sample {
  /** the lead of the store's clock in ms, exact to half the round trip */
  readonly offset: number
  readonly roundTrip: number
  /** the lead of the system's wall clock over its monotonic one */
  readonly lead: number
}

const EVERY_MS = 60_000
/** The sample with the shortest round trip counts: nothing has delayed it. */
const SAMPLES = 5
const SKEW_MS = 1000
/** The two clocks of a system drift apart by less in a minute. */
const JUMP_MS = 100

export class ClockWatch {
  readonly #options: ClockWatchOptions
  readonly #measuring: Periodic
  /** of the last sample that counted; undefined where nothing was measured */
  #lead: number | undefined
  #reportedOffset = 0

  constructor(options: ClockWatchOptions) {
    this.#options = options
    const onFailure = (error: unknown, isFirst: boolean): void => {
      if (isFirst) options.log.warn('clock.unmeasured', { err: error })
    }
    this.#measuring = new Periodic({ clock: options.clock, everyMs: EVERY_MS, work: () => this.runOnce(), onFailure })
  }

  /** The lead of the store's clock over the system's in ms; 0 where the store has no clock. */
  get offset(): number {
    return Number(Atomics.load(this.#options.offset, 0))
  }

  /** To be called once the first measurement has succeeded. */
  start(): void {
    if (this.#lead !== undefined) this.#measuring.startLater()
  }

  stop(): Promise<void> {
    return this.#measuring.stop()
  }

  /** Measures once. @throws CallmeError of the store; the offset stays as it was */
  async runOnce(): Promise<void> {
    const { offset, log } = this.#options
    const sample = await this.#measure()
    if (sample === undefined) return
    this.#lead = sample.lead
    Atomics.store(offset, 0, BigInt(Math.round(sample.offset)))
    if (Math.abs(this.offset - this.#reportedOffset) <= SKEW_MS) return
    this.#reportedOffset = this.offset
    if (Math.abs(this.offset) > SKEW_MS) log.warn('clock.skewed', { offset_ms: this.offset })
  }

  /**
   * Measures again where the system's clock has jumped since. To be called before times are compared: a wrong clock would start
   * calls early and end leases.
   * @throws CallmeError of the store
   */
  async followJump(): Promise<void> {
    if (this.#lead !== undefined && Math.abs(this.#leadNow() - this.#lead) > JUMP_MS) await this.runOnce()
  }

  /** @returns the best of some samples; undefined where the store has no clock */
  async #measure(): Promise<Sample | undefined> {
    const { store, clock } = this.#options
    let best: Sample | undefined
    for (let n = 0; n < SAMPLES; n += 1) {
      const [lead, wall, sentAt] = [this.#leadNow(), clock.now(), clock.monotonic()]
      const time = await store.time()
      if (time === undefined) return undefined
      const roundTrip = clock.monotonic() - sentAt
      if (best === undefined || roundTrip < best.roundTrip) best = { offset: time - (wall + roundTrip / 2), roundTrip, lead }
    }
    return best
  }

  #leadNow(): number {
    return this.#options.clock.now() - this.#options.clock.monotonic()
  }
}
