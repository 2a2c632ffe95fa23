/** Everything that the endpoints need from the outside. */
import type { Clock } from '../clock.ts'
import type { ServerDefaults } from '../wire/present-task.ts'
import type { Log } from '../telemetry/log.ts'
import type { Store } from '../store/store.ts'

/** The state of the scheduler. */
export interface Readiness {
  /** whether the last tick is younger than two minutes */
  readonly ready: boolean
  /** end of the last tick, epoch ms; null before the first */
  readonly lastTick: number | null
  /** ms by which the clock of the store is ahead of the system's; 0 where it has none */
  readonly clockOffset: number
  /** what the node is short of, so that calls cannot be begun, as a sentence; null where it is not */
  readonly shortage: string | null
}

export interface AppOptions {
  readonly store: Store
  /** the id of this node, for the claims of workers */
  readonly node: string
  readonly clock: Clock
  readonly log: Log
  /** Is called after every write that makes a task due, with the earliest time (epoch ms). */
  readonly wake: (dueAt: number) => void
  readonly readiness: () => Readiness
  /** Ends the answers that take long on purpose: event streams, and claims that wait. */
  readonly stopping: AbortSignal
  /** @returns a number in [0, 1), for the jitter of a retry */
  readonly random: () => number
  readonly defaults: ServerDefaults
  readonly version: string
}
