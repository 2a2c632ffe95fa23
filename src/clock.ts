/** The only source of time. Everything that waits or compares takes a Clock, so that tests can set it. */

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

/** By how many ms a time is ahead of the system's clock: one whole number, which threads can share. */
export type ClockOffset = BigInt64Array<SharedArrayBuffer>

/** An offset of 0. */
export function newClockOffset(): ClockOffset {
  return new BigInt64Array(new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT))
}

/** `base`, with a time that is ahead of its own by what `offset` holds at each moment. */
export function offsetClock(base: Clock, offset: ClockOffset): Clock {
  return {
    now: () => base.now() + Number(Atomics.load(offset, 0)),
    monotonic: () => base.monotonic(),
    setTimer: (ms, wake) => base.setTimer(ms, wake),
  }
}
