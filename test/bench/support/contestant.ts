/** What the peers bench can have done by each program that it compares, callme among them. */
import type { Jobs } from '../peers/peer.ts'
import type { StorePlace } from './store-place.ts'

export type { Jobs } from '../peers/peer.ts'

export const CALLERS = 64
export const BATCH = 1000

export interface Contestant {
  readonly name: string
  /** several contestants may be one product on different stores */
  readonly product: string
  /** what must have happened before a job counts as stored */
  readonly storedWhen: string
  /** a fresh place for its store, with a server of its own where it needs one */
  readonly openPlace: () => Promise<StorePlace & AsyncDisposable>
  /** Stores jobs while its process does not run. */
  readonly fill: (store: string, jobs: Jobs) => Promise<void>
  /** Starts its process, and does not wait for it. */
  readonly launch: (store: string) => Promise<Running>
}

/** The process of a contestant. What is asked before it has started is answered once it has. */
export interface Running {
  readonly pid: number
  /** Stores one job after the other, from `CALLERS` sides at once. @returns how long it took, ms */
  addEach(jobs: Jobs): Promise<number>
  /** Stores `BATCH` jobs at a time. @returns how long it took, ms */
  addBulk(jobs: Jobs): Promise<number>
  /** Begins to work off what is due, where it has not begun by itself. */
  work(): Promise<void>
  /** how many jobs are stored and not recorded as successful */
  waiting(): Promise<number>
  /** As `kill -9` does. */
  kill(): Promise<void>
  /** Ends it in order. */
  stop(): Promise<void>
}
