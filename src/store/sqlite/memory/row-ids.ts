/** Gives new rows their ids: the minute asked for, then a number. Rows of one minute thus lie together in the file. */
import { SECONDS_PER_MINUTE } from '../../../domain/time/trigger-time.ts'
import type { Sql } from '../commit/sql.ts'

const IDS_OF_MINUTE = 2 ** 27
const MOST_REMEMBERED = 10_000
const LAST_ID_BETWEEN = 'SELECT max(id) FROM tasks WHERE id BETWEEN ? AND ?'

export class RowIds {
  readonly #sql: Sql
  /** by minute */
  readonly #next = new Map<number, number>()

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** A new id for a row of the minute `triggerAt` (Unix seconds). No two rows get the same id while this process runs. */
  next(triggerAt: number): number {
    const id = this.#next.get(triggerAt) ?? this.#firstFree(triggerAt)
    if (this.#next.size >= MOST_REMEMBERED) this.#next.clear()
    this.#next.set(triggerAt, id + 1)
    return id
  }

  #firstFree(triggerAt: number): number {
    const first = (triggerAt / SECONDS_PER_MINUTE) * IDS_OF_MINUTE
    const last = this.#sql.value<number | null>(LAST_ID_BETWEEN, first, first + IDS_OF_MINUTE - 1)
    return last === null ? first : last + 1
  }
}
