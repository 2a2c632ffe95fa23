/** A clock that stands still until a test moves it. Timers follow the monotonic time, as Node's do; a jump moves the wall clock alone. */
import type { Clock } from '../../src/clock.ts'

interface Timer {
  readonly at: number
  readonly wake: () => void
}

/** Enough turns of the event loop for a chain of awaits and group commits to come to rest. */
const SETTLING_TURNS = 25

export class FakeClock implements Clock {
  #wall: number
  #monotonic = 0
  readonly #timers = new Set<Timer>()

  /** @param start an RFC 3339 time, or epoch ms */
  constructor(start: string | number) {
    this.#wall = new Date(start).getTime()
  }

  now(): number {
    return this.#wall
  }

  monotonic(): number {
    return this.#monotonic
  }

  setTimer(ms: number, wake: () => void): () => void {
    const timer = { at: this.#monotonic + Math.max(0, ms), wake }
    this.#timers.add(timer)
    return () => {
      this.#timers.delete(timer)
    }
  }

  /** How many timers wait. */
  get timers(): number {
    return this.#timers.size
  }

  /** Lets `ms` pass: timers fire in the order of their times, also those set on the way, and what each sets off comes to rest before the next. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms
    await settle()
    for (let timer = this.#nextUntil(end); timer; timer = this.#nextUntil(end)) {
      this.#timers.delete(timer)
      this.#pass(Math.max(0, timer.at - this.#monotonic))
      timer.wake()
      await settle()
    }
    this.#pass(end - this.#monotonic)
    await settle()
  }

  /** Lets `ms` pass without a timer firing, as while the process is blocked; what is overdue fires with the next `advance`. */
  block(ms: number): void {
    this.#pass(ms)
  }

  /** Moves the wall clock alone, in either direction: an adjustment, or a suspended machine. */
  jump(ms: number): void {
    this.#wall += ms
  }

  #pass(ms: number): void {
    this.#monotonic += ms
    this.#wall += ms
  }

  #nextUntil(end: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer
    }
    return next
  }
}

/** Lets promises and immediates come to rest. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < SETTLING_TURNS; turn += 1) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
  }
}
