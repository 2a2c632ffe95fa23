/** What a claim keeps in mind while it shares what may be claimed over the lanes. */
import type { HandlerCapacity } from './handler-capacity.ts'

/** One for all lanes of a host. */
export interface HostShare {
  readonly isProven: boolean
  readonly inflight: number
  free: number
}

export interface LaneShare {
  readonly lane: string
  readonly host: HostShare
  /** the handler's name; absent for a lane of a host alone */
  readonly handler?: string
  readonly limits?: HandlerCapacity
}

/** How many tasks may still be claimed, and when to claim again although no lane shows that anything is due then. */
export interface ClaimLeft {
  total: number
  unproven: number
  hiddenDue: number
}

/** How many lanes are looked at in one go at the least: what is known of a lane may be out of date and the lane have nothing. */
export const LANES_AT_ONCE = 100
/** How many lanes one claim looks at: with more, the caller is told to claim again, so that nothing else is held up. */
export const MOST_LANES = 500
/** How many rows one claim moves to the lanes where they belong, for the same reason. */
export const MOST_MOVED = 1000
