/** Runs the SQL texts of one database. Each text stands beside its use, and is prepared at its first use. */
/* eslint-disable @typescript-eslint/no-unnecessary-type-parameters -- who writes a text knows its rows */
import type { Database, Statement } from 'better-sqlite3'
import { PAGE_BYTES } from '../../../domain/task/page-size.ts'

/** Rows that were read in one go. `isCut` says that others follow, which were too many bytes. */
export interface Bounded<Row> {
  readonly rows: Row[]
  readonly isCut: boolean
}

export class Sql {
  readonly #db: Database
  readonly #statements = new Map<string, Statement>()

  constructor(db: Database) {
    this.#db = db
  }

  /** of the file */
  get path(): string {
    return this.#db.name
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

  /**
   * The first rows of a text, as many as hold `bytes` together.
   * @param bytesOf the size of a row
   */
  bounded<Row>(text: string, params: unknown, bytesOf: (row: Row) => number, bytes = PAGE_BYTES): Bounded<Row> {
    const rows: Row[] = []
    let left = bytes
    for (const row of this.iterate<Row>(text, params)) {
      if (left <= 0) return { rows, isCut: true }
      rows.push(row)
      left -= bytesOf(row)
    }
    return { rows, isCut: false }
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
