/**
 * Keeps `lanes.next_due` at or below the time at which a row of its lane may be claimed: the earliest `due_at`, or, where its handler
 * has no room, when it has again. Remembers what it wrote, so that most writes need not touch it.
 */
import { NEVER } from '../../rules/handler-capacity.ts'
import { lanesOf } from '../../rows/lane-name.ts'
import type { Statements } from '../statements.ts'

const MOST_REMEMBERED = 10_000

interface DueLane {
  readonly lane: string
  readonly next_due: number
}

/** Before every lane. */
const FIRST: DueLane = { lane: '', next_due: -1 }
/** By less than this a clock is corrected all the time. */
const CLOCK_STEP_MS = 1000

export class LaneCursors {
  readonly #statements: Statements
  /** what the table holds; a lane that is absent here is unknown */
  readonly #nextDue = new Map<string, number>()
  /** the lane after which the next look at those that are due begins */
  #rotation = FIRST
  readonly #servedAt = new Map<string, number>()
  #turn = 0
  /** of the latest claim; undefined before the first */
  #lastNow: number | undefined
  /** whether what `passTime` wrote last may still be undone */
  #hasOpened = false

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /**
   * The lanes that may have something due, by how long. Whoever stops on the way is given the others first the next time, so that many
   * lanes with a backlog do not hide one behind them. Nothing may be written on the way.
   */
  *dueLanes(now: number): Generator<string> {
    const start = this.#rotation
    yield* this.#walk(now, start)
    if (start !== FIRST) yield* this.#walk(now, FIRST, start)
  }

  /** A task of the lane was claimed. */
  served(lane: string): void {
    if (this.#servedAt.size >= MOST_REMEMBERED) this.#servedAt.clear()
    this.#turn += 1
    this.#servedAt.set(lane, this.#turn)
  }

  /** Grows with each lane that is served; 0 for one that was not served yet, or not for a while. */
  lastServed(lane: string): number {
    return this.#servedAt.get(lane) ?? 0
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
    if (first === null) this.#servedAt.delete(lane)
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
    const last = this.#lastNow ?? Infinity
    const mustOpen = now < last - CLOCK_STEP_MS
    if (mustOpen) this.#statements.openHandlerLanes.run(now)
    if (mustOpen || now > last) this.#lastNow = now
    this.#hasOpened ||= mustOpen
  }

  /** What was written is durable. */
  committed(): void {
    this.#hasOpened = false
  }

  /** What was written may have been undone. */
  forget(): void {
    this.#nextDue.clear()
    if (this.#hasOpened) this.#lastNow = undefined
    this.#hasOpened = false
  }

  /** @param until the lane after which the walk is over; the last one that is due where absent */
  *#walk(now: number, after: DueLane, until?: DueLane): Generator<string> {
    for (const due of this.#statements.dueLanes.iterate({ nextDue: after.next_due, lane: after.lane, now }) as IterableIterator<DueLane>) {
      if (until && (due.next_due > until.next_due || (due.next_due === until.next_due && due.lane > until.lane))) break
      this.#rotation = due
      yield due.lane
    }
    this.#rotation = FIRST
  }

  #remember(lane: string): void {
    if (this.#nextDue.size >= MOST_REMEMBERED) this.#nextDue.clear()
    const nextDue = this.#statements.nextDueOfLane.get(lane) as number
    // A closed lane is opened without a word to this memory.
    if (nextDue !== NEVER) this.#nextDue.set(lane, nextDue)
  }
}
