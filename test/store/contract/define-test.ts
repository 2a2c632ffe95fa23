/** What a test of the store contract is given. */
import type { Config } from '../../../src/config/load-config.ts'
import type { Store } from '../../../src/store/store.ts'

export interface OpenStore {
  /** what it is, for those who open it beside this one */
  readonly where: Config['store']
  /** the store that is open now */
  readonly store: Store
  /** Closes the store and opens it again with what it holds. */
  reopen(): Promise<Store>
  /** Closes the store, where it is still open, and removes what it holds. */
  dispose(): Promise<void>
}

/** Defines a test with an empty store of its own. After it, the counts are compared with a full listing. */
export type DefineTest = (title: string, body: (opened: OpenStore) => Promise<void>) => void
