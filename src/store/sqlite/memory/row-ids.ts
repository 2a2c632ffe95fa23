/**
 * Gives new rows their ids: the minute asked for, then a number. Rows of one minute so lie together in the file, where pages and
 * claims read them together.
 */
import { SECONDS_PER_MINUTE } from '../../../domain/time/trigger-time.ts'
import type { Statements } from '../statements.ts'

const IDS_OF_MINUTE = 2 ** 27
const MOST_REMEMBERED = 10_000

export class RowIds {
  readonly #statements: Pick<Statements, 'lastIdBetween'>
  readonly #next = new Map<number, number>()

  constructor(statements: Pick<Statements, 'lastIdBetween'>) {
    this.#statements = statements
  }

  /** An id that no row has had since this process began, for a row of the minute `triggerAt` (Unix seconds). */
  next(triggerAt: number): number {
    const id = this.#next.get(triggerAt) ?? this.#firstFree(triggerAt)
    if (this.#next.size >= MOST_REMEMBERED) this.#next.clear()
    this.#next.set(triggerAt, id + 1)
    return id
  }

  #firstFree(triggerAt: number): number {
    const first = (triggerAt / SECONDS_PER_MINUTE) * IDS_OF_MINUTE
    const last = this.#statements.lastIdBetween.get(first, first + IDS_OF_MINUTE - 1) as number | undefined
    return last === undefined ? first : last + 1
  }
}
