/**
 * Statements by name, so that a session parses and plans each of them once. A pooler in transaction mode must know of them; PgBouncer does
 * from 1.21 on. For one that does not, the URL of the store says `prepare=false`.
 */
import type { QueryConfig } from 'pg'

/** A session keeps memory for each of them. */
const MOST_NAMES = 300

export class NamedStatements {
  readonly #names = new Map<string, string>()
  readonly #most: number

  /** @param url of the database */
  constructor(url: string) {
    this.#most = new URL(url).searchParams.get('prepare') === 'false' ? 0 : MOST_NAMES
  }

  /** A statement without parameters stays without a name: it may be several in one text. */
  named(text: string, params: readonly unknown[]): QueryConfig {
    const values = [...params]
    if (values.length > 0 && !this.#names.has(text) && this.#names.size < this.#most) this.#names.set(text, `callme_${this.#names.size}`)
    const name = this.#names.get(text)
    return name === undefined ? { text, values } : { name, text, values }
  }
}
