/** Runs the SQL texts of one database. Each text stands beside its use, and is prepared at its first use. */
/* eslint-disable @typescript-eslint/no-unnecessary-type-parameters -- who writes a text knows its rows */
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

  /** The row of a text that always gives one. @throws Error without a row, which only a defect explains */
  one<Row>(text: string, ...params: unknown[]): Row {
    const row = this.get<Row>(text, ...params)
    if (row === undefined) throw new Error(`no row: ${text}`)
    return row
  }

  /** The value of a text that always gives one row with one column. @throws Error without a row, which only a defect explains */
  value<T>(text: string, ...params: unknown[]): T {
    const statement = this.#prepare(text).pluck()
    const value = statement.get(...params)
    if (value === undefined) throw new Error(`no row: ${text}`)
    return value as T
  }

  #prepare(text: string): Statement {
    const known = this.#statements.get(text)
    if (known) return known
    const statement = this.#db.prepare(text)
    this.#statements.set(text, statement)
    return statement
  }
}
