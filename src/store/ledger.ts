/** The seam to the records of runs. The verbs of the store write them; lateness and `callme verify` read them. */
import type { LedgerTask, PastStanding } from '../domain/ledger/account.ts'
import type { TaskKey } from '../domain/task/task-key.ts'

/** Which tasks are meant; every filter that is given must hold. One task is its name, with `from` its minute and `to` the next. */
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
   * One page of tasks with the records of their runs, in the order of `triggerAt`, then name. `next` is where the following page
   * starts, also where this one holds nothing; absent at the end.
   */
  runs(
    selection: KeySelection,
    page: { readonly after?: TaskKey; readonly limit: number },
  ): Promise<{ readonly tasks: LedgerTask[]; readonly next?: TaskKey }>
}

export interface PastRunCount {
  readonly standing: PastStanding
  readonly n: number
}

/** The ledger of a store at one moment. No later write shows in it. */
export interface LedgerSnapshot extends Ledger {
  /** epoch ms, by the clock that the store's tasks go by */
  readonly takenAt: number
  /** How many runs of minutes in a range (Unix seconds, `to` exclusive) have no record any more, and as what they count. */
  pastRuns(range: { readonly from: number; readonly to: number }): Promise<readonly PastRunCount[]>
  /** How many tasks there must be: counted with every write. */
  counted(): Promise<number>
}
