/** How many tasks of a handler may be claimed, by its limits and by what is stored of its tasks. */
import type { HandlerDefinition } from '../../domain/task/handler.ts'

export interface HandlerCapacity {
  free: number
  /** epoch ms: from when on there may be capacity again where there is none; `NEVER` where that takes another event */
  readonly opensAt: number
  readonly hasRate: boolean
}

/** Later than every time: the end of a running task, or a change of the handler, comes first. */
export const NEVER = Number.MAX_SAFE_INTEGER
/** Starts are counted by whole seconds, so that no 60 s that begin within a second hold too many. The clock may be set back, so starts ahead count too. */
export const RATE_SECONDS = 60
/** Starts are remembered for longer, because the clock may be set forward and back. */
export const KEEP_SECONDS = 3600

export const noLimit = (): HandlerCapacity => ({ free: Infinity, opensAt: NEVER, hasRate: false })
export const noCapacity = (): HandlerCapacity => ({ free: 0, opensAt: NEVER, hasRate: false })

/** @param stored its running tasks, and its attempts started at most `RATE_SECONDS` away, the first in the second `oldest` (Unix time) */
export function capacityWithin(
  { concurrency = Infinity, rate }: HandlerDefinition,
  stored: { readonly running: number; readonly started: number; readonly oldest: number | null },
): HandlerCapacity {
  const free = concurrency === Infinity ? Infinity : concurrency - stored.running
  if (rate === undefined) return { free, opensAt: NEVER, hasRate: false }
  const opensAt = free <= 0 || stored.oldest === null ? NEVER : (stored.oldest + RATE_SECONDS + 1) * 1000
  return { free: Math.min(free, rate - stored.started), opensAt, hasRate: true }
}
