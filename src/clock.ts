/** The only source of time. Code that waits or compares times takes a Clock, so that tests can set the time. */

export interface Clock {
  /** wall clock, epoch ms; may jump in either direction */
  now(): number
  /** ms from an arbitrary start; never goes back, may stand still while the machine is suspended */
  monotonic(): number
  /** Calls `wake` once, after about `ms` (possibly a little early). @returns a function that cancels it */
  setTimer(ms: number, wake: () => void): () => void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer: (ms, wake) => {
    const timer = setTimeout(wake, ms)
    return () => {
      clearTimeout(timer)
    }
  },
}

/** The lead of a clock over the system's in ms: one whole number that threads share. */
export type ClockOffset = BigInt64Array<SharedArrayBuffer>

/** An offset of 0. */
export function newClockOffset(): ClockOffset {
  return new BigInt64Array(new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT))
}

/** A clock that is ahead of `base` by the present value of `offset`. */
export function offsetClock(base: Clock, offset: ClockOffset): Clock {
  return {
    now: () => base.now() + Number(Atomics.load(offset, 0)),
    monotonic: () => base.monotonic(),
    setTimer: (ms, wake) => base.setTimer(ms, wake),
  }
}
