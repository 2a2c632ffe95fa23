/** Runs the SQL texts of one database. Each text stands beside its use, and is prepared once, at its first use. */
import type { Database, Statement } from 'better-sqlite3'

export class Sql {
  readonly #db: Database
  readonly #statements = new Map<string, Statement>()

  constructor(db: Database) {
    this.#db = db
  }

  /** @returns how many rows have changed */
  run(text: string, ...params: unknown[]): number {
    return this.#prepare(text).run(...params).changes
  }

  get<Row>(text: string, ...params: unknown[]): Row | undefined {
    return this.#prepare(text).get(...params) as Row | undefined
  }

  all<Row>(text: string, ...params: unknown[]): Row[] {
    return this.#prepare(text).all(...params) as Row[]
  }

  iterate<Row>(text: string, ...params: unknown[]): IterableIterator<Row> {
    return this.#prepare(text).iterate(...params) as IterableIterator<Row>
  }

  /** The first column of the first row; undefined without a row. */
  value<T>(text: string, ...params: unknown[]): T | undefined {
    return this.#prepare(text)
      .pluck()
      .get(...params) as T | undefined
  }

  /** The first column of each row. */
  values<T>(text: string, ...params: unknown[]): T[] {
    return this.#prepare(text)
      .pluck()
      .all(...params) as T[]
  }

  #prepare(text: string): Statement {
    const known = this.#statements.get(text)
    if (known) return known
    const statement = this.#db.prepare(text)
    this.#statements.set(text, statement)
    return statement
  }
}
