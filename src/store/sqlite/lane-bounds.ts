/**
 * Keeps `lanes.next_due` at or below the time at which a row of its lane may be claimed: the earliest `due_at`, or, where its handler
 * has no room, when it has again. Remembers what it wrote, so that most writes need not touch it.
 */
import { lanesOf } from './lane-name.ts'
import type { Statements } from './statements.ts'

/** Later than everything, the bound of a closed lane: the end of a running task, or a change of the handler, comes first. */
export const NEVER = Number.MAX_SAFE_INTEGER

const MOST_REMEMBERED = 10_000

export class LaneBounds {
  readonly #statements: Statements
  /** what the table holds; a lane that is absent here is unknown */
  readonly #nextDue = new Map<string, number>()
  /** of the claim before; undefined before the first */
  #lastNow: number | undefined

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** A row of the lane is due at `dueAt`; a lane that is closed stays closed. Must run inside the transaction that writes the row. */
  lower(lane: string, dueAt: number): void {
    const known = this.#nextDue.get(lane)
    if (known !== undefined && known <= dueAt) return
    this.#statements.lowerNextDue.run({ lane, dueAt, closed: NEVER })
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

  /** No row of the lane may be claimed before `until`. Must run inside a write transaction. */
  close(lane: string, until: number): void {
    this.#nextDue.delete(lane)
    this.#statements.raiseNextDue.run(until, lane)
  }

  /** A task of the handler has ended: lanes that were closed for want of room are looked at again. */
  open(group: string): void {
    this.#statements.openClosedLanes.run({ ...lanesOf(group), closed: NEVER })
  }

  /**
   * A claim is made at `now`. Where that is earlier than the one before, or may be, times until which lanes were closed mean nothing
   * any more. Must run inside a write transaction.
   */
  passTime(now: number): void {
    if (now < (this.#lastNow ?? Infinity)) this.#statements.openGroupLanes.run(now)
    this.#lastNow = now
  }

  /** What was written may have been undone. */
  forget(): void {
    this.#nextDue.clear()
    this.#lastNow = undefined
  }

  #remember(lane: string): void {
    if (this.#nextDue.size >= MOST_REMEMBERED) this.#nextDue.clear()
    const nextDue = this.#statements.nextDueOfLane.get(lane) as number
    // A closed lane is opened without a word to this memory.
    if (nextDue !== NEVER) this.#nextDue.set(lane, nextDue)
  }
}
