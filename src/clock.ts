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
