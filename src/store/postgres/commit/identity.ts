/**
 * Whether the database is still the one that a node opened. Somebody may drop it and make it anew, or set it back to an earlier state, while
 * nodes run. A database that is lost stays lost: nothing more is stored, read or called until the node starts again.
 */
import { CallmeError } from '../../../domain/errors.ts'

/** Answers one row, which `mustBe` takes. */
export const FIND_IDENTITY = 'SELECT id FROM callme.identity'
/** undefined_table */
const NO_TABLE = '42P01'

export class Identity {
  #id: string | undefined
  #lost: CallmeError | undefined

  /** Whether transactions must ask for the identity, because the store is open. */
  get isKnown(): boolean {
    return this.#id !== undefined
  }

  /** @param id of the database that the node opens */
  opened(id: string): void {
    this.#id = id
  }

  /** @throws CallmeError `store_unavailable` once the database is lost */
  mustHold(): void {
    if (this.#lost !== undefined) throw this.#lost
  }

  /** @param rows the answer of `FIND_IDENTITY` @throws CallmeError `store_unavailable` for those of another database */
  mustBe(rows: readonly { readonly id: string }[]): void {
    if (rows[0]?.id !== this.#id) throw this.#lose('it was made anew')
  }

  /** Takes note of an error of `FIND_IDENTITY`. @returns the error that says more */
  failed(error: unknown, code: string): unknown {
    return code === NO_TABLE ? this.#lose('it has no tables of callme') : error
  }

  /** The database lacks commits that this node has seen there. @returns the error that says so */
  wentBack(): CallmeError {
    return this.#lose('it was set back to an earlier state, and has lost commits of this node')
  }

  #lose(reason: string): CallmeError {
    const rest = 'Nothing more is stored or called. Start callme again to work with the database as it is now'
    this.#lost ??= new CallmeError('store_unavailable', `the database is not the one any more that callme opened: ${reason}. ${rest}`)
    return this.#lost
  }
}
