/** The store of a world, as the nodes open it and as the world looks at it. */
import type { HandlerDefinition } from '../../src/domain/task/handler.ts'
import type { TaskKey } from '../../src/domain/task/task-key.ts'
import type { LedgerSnapshot } from '../../src/store/ledger.ts'
import type { Store } from '../../src/store/store.ts'
import type { TaskRow } from '../../src/store/rows/task-row.ts'
import type { FaultOf } from './faulty-database.ts'

/** What has been committed since the last look. */
export interface Committed {
  /** by id, as they are now; undefined where there is none any more */
  readonly rows: ReadonlyMap<number, TaskRow | undefined>
  /** all of them, where one has changed */
  readonly handlers: ReadonlyMap<string, HandlerDefinition> | undefined
}

export interface OpenedStore {
  readonly store: Store
  /** Takes it away from its node: what was not committed is lost. Resolves when nothing more can be. */
  crash(): Promise<void>
}

export interface WorldStore {
  /** whether several nodes may have it open */
  readonly isShared: boolean
  /** whether a look sees what the latest commit has changed; else only what the last `refresh` has fetched */
  readonly seesEachCommit: boolean
  /** how the statements of the nodes fail, where they can be made to */
  faultOf: FaultOf
  open(): Promise<OpenedStore>
  refresh(): Promise<void>
  /** @returns undefined where nothing was committed */
  look(): Committed | undefined
  /** Replaces `INTACT` by a text in the definition of a task, if that waits. */
  damage(task: TaskKey, text: string): Promise<void>
  /** How many entries the store says there are in each state. */
  counts(): ReadonlyMap<string, number> | undefined
  /** The number of the latest change that listeners are to be told. */
  newestChange(): number
  /** What is recorded of all runs. */
  readLedger<T>(read: (ledger: LedgerSnapshot) => Promise<T>): Promise<T>
  end(): Promise<void>
}
