/**
 * Keeps `lanes.next_due` at or below the `due_at` of every waiting row of its lane, and remembers what it wrote, so that most writes
 * need not touch it.
 */
import type { Statements } from './statements.ts'

const MOST_REMEMBERED = 10_000

export class LaneBounds {
  readonly #statements: Statements
  /** what the table holds; a lane that is absent here is unknown */
  readonly #nextDue = new Map<string, number>()

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** A row of the lane is due at `dueAt`. Must run inside the transaction that writes the row. */
  lower(lane: string, dueAt: number): void {
    const known = this.#nextDue.get(lane)
    if (known !== undefined && known <= dueAt) return
    this.#statements.lowerNextDue.run(lane, dueAt)
    if (known !== undefined) this.#nextDue.set(lane, dueAt)
    else this.#remember(lane)
  }

  /**
   * The lane had nothing to claim although its bound said so. Must run inside a write transaction.
   * @returns the earliest `due_at` of its waiting rows
   */
  correct(lane: string): number | undefined {
    const first = this.#statements.firstDueOfLane.get(lane) as number | null
    this.#nextDue.delete(lane)
    if (first === null) this.#statements.forgetLane.run(lane)
    else this.#statements.raiseNextDue.run(first, lane)
    return first ?? undefined
  }

  /** What was written may have been undone. */
  forget(): void {
    this.#nextDue.clear()
  }

  #remember(lane: string): void {
    if (this.#nextDue.size >= MOST_REMEMBERED) this.#nextDue.clear()
    this.#nextDue.set(lane, this.#statements.nextDueOfLane.get(lane) as number)
  }
}
