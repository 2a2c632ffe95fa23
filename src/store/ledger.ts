/** The seam to what is recorded of runs: read by whoever accounts for them, written by the verbs of the store. */
import type { LedgerTask, PastStanding } from '../domain/ledger/account.ts'
import type { TaskKey } from '../domain/task/task-key.ts'

/** Which entries are meant; every filter that is given must hold. One entry is its name with `from` its minute and `to` the next. */
export interface KeySelection {
  readonly name?: string
  /** a name or a pattern of names; both `name` and this must hold */
  readonly names?: string
  /** Unix seconds, inclusive */
  readonly from?: number
  /** Unix seconds, exclusive */
  readonly to?: number
}

export interface Ledger {
  /**
   * One page of entries with what is recorded of their runs, in the order of `triggerAt`, then name. `next` is where the following page
   * starts, also where this one holds nothing; absent at the end.
   */
  runs(
    selection: KeySelection,
    page: { readonly after?: TaskKey; readonly limit: number },
  ): Promise<{ readonly entries: LedgerTask[]; readonly next?: TaskKey }>
}

export interface PastRunCount {
  readonly standing: PastStanding
  readonly n: number
}

/** The ledger of a store as it is at one moment, whatever is written meanwhile. */
export interface LedgerSnapshot extends Ledger {
  /** epoch ms, by the clock that the store's tasks go by */
  readonly takenAt: number
  /** How many runs of minutes in a range (Unix seconds, `to` exclusive) no entry tells of any more, and as what they count. */
  pastRuns(range: { readonly from: number; readonly to: number }): Promise<readonly PastRunCount[]>
  /** How many entries there must be: counted with every write. */
  counted(): Promise<number>
}
