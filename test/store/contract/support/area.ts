/** What a file of the store contract is: an area, which defines its tests when a store is given. */
import type { Config } from '../../../../src/config/load-config.ts'
import type { OnFailure } from '../../../../src/domain/task/error-callback.ts'
import type { Store } from '../../../../src/store/store.ts'

export interface OpenStore {
  /** what it is, for those who open it beside this one */
  readonly where: Config['store']
  /** the store that is open now */
  readonly store: Store
  /** Closes the store and opens it again with what it holds. */
  reopen(options?: { onFailure: OnFailure }): Promise<Store>
  /** Closes the store, where it is still open, and removes what it holds. */
  dispose(): Promise<void>
}

/** Defines a test with an empty store of its own. After it, the counts are compared with a full listing. */
export type DefineTest = (title: string, body: (opened: OpenStore) => Promise<void>) => void

export class Area {
  /** the words in front of the titles of its tests */
  readonly name: string
  /** Defines its tests. @param open opens one more empty store, which the test disposes of */
  readonly define: (test: DefineTest, open: () => Promise<OpenStore>) => void

  constructor(name: string, define: Area['define']) {
    this.name = name
    this.define = define
  }
}

/** Each file of the folder `contract` exports one area as its default. */
export function area(name: string, define: Area['define']): Area {
  return new Area(name, define)
}
