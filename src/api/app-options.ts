/** Everything that the endpoints need from the outside. */
import type { Clock } from '../clock.ts'
import type { ServerDefaults } from '../wire/present-task.ts'
import type { Log } from '../telemetry/log.ts'
import type { Store } from '../store/store.ts'
import type { Turns } from './http/turns.ts'

/** The state of the scheduler. */
export interface Readiness {
  /** whether the last tick succeeded, and is younger than two minutes */
  readonly ready: boolean
  /** the error of the last tick, where it failed */
  readonly failure?: unknown
  /** the error of the last chores (leases, rescues, retention); undefined where they were done */
  readonly upkeepFailure?: unknown
  /** end of the last tick, epoch ms; null before the first */
  readonly lastTick: number | null
  /** ms by which the clock of the store is ahead of the system's; 0 where it has none */
  readonly clockOffset: number
  /** what the node is short of, so that calls cannot be begun, as a sentence; null where it is not */
  readonly shortage: string | null
  /** whether the node claims nothing more, and ends once its calls have */
  readonly isStopping?: boolean
  /** why log lines are lost, where they are */
  readonly logFault?: string | undefined
}

/** What each endpoint is given. */
export interface EndpointOptions extends AppOptions {
  /** shared by all endpoints of an app */
  readonly turns: Turns
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
  /** The API is about to close: ends the answers that take long on purpose, event streams and claims that wait. */
  readonly stopping: AbortSignal
  /** @returns a number in [0, 1), for the jitter of a retry */
  readonly random: () => number
  readonly defaults: ServerDefaults
  readonly version: string
}
