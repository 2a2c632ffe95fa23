/**
 * Keeps `lanes.next_due`, the cursor of each lane: no row of the lane may be claimed before that time. It is at most the earliest `due_at`
 * of the lane's waiting rows. Where the handler has no capacity, it is the time at which it has some again.
 */
import { NEVER } from '../../rules/handler-book.ts'
import { lanesOf } from '../../rows/lane-name.ts'
import type { Sql } from '../commit/sql.ts'

const LOWER = `
  INSERT INTO lanes (lane, next_due) VALUES (@lane, @dueAt)
  ON CONFLICT (lane) DO UPDATE SET next_due = excluded.next_due WHERE excluded.next_due < next_due AND next_due <> @closed`
const RAISE = 'UPDATE lanes SET next_due = ? WHERE lane = ?'
const REMOVE = 'DELETE FROM lanes WHERE lane = ?'
const DUE = `
  SELECT lane, next_due FROM lanes WHERE (next_due, lane) > (@next_due, @lane) AND next_due <= @now ORDER BY next_due, lane`
const NEXT_DUE = 'SELECT min(next_due) FROM lanes WHERE next_due > ?'
const FIRST_DUE = `SELECT min(due_at) FROM tasks INDEXED BY tasks_waiting WHERE state IN ('pending', 'retrying') AND lane = ?`
const FIRST_DUE_AFTER = `${FIRST_DUE} AND due_at > ?`
const OF_HANDLER = 'SELECT lane FROM lanes WHERE lane >= @first AND lane < @end'
const OPEN = 'UPDATE lanes SET next_due = 0 WHERE lane >= @first AND lane < @end'
const OPEN_CLOSED = `${OPEN} AND next_due = @closed`
const OPEN_LATER = `UPDATE lanes SET next_due = 0 WHERE next_due > ? AND instr(lane, '@') > 0`

const MOST_REMEMBERED = 10_000
/** A clock is often set back by less than this. */
const CLOCK_STEP_MS = 1000

interface DueLane {
  readonly lane: string
  /** epoch ms: the lane's cursor */
  readonly next_due: number
}

/** Before every lane. */
const FIRST: DueLane = { lane: '', next_due: -1 }

export class LaneCursors {
  readonly #sql: Sql
  /** by lane: its cursor is at most this time, or the lane is closed until another event */
  readonly #lowered = new Map<string, number>()
  /** the next search for due lanes begins after this one */
  #rotation = FIRST
  readonly #servedAt = new Map<string, number>()
  #turn = 0
  /** of the latest claim; undefined before the first */
  #lastNow: number | undefined
  /** whether the latest opening by `passTime` may still be undone */
  #hasOpened = false

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /**
   * The lanes that may have a due task, the longest due first. After an early stop the next search begins with the other lanes, so many
   * lanes with a backlog hide none behind them. The caller must not write before it stops.
   */
  *due(now: number): Generator<DueLane> {
    const start = this.#rotation
    yield* this.#search(now, start)
    if (start !== FIRST) yield* this.#search(now, FIRST, start)
  }

  /** Epoch ms: the earliest cursor after `now`; `NEVER` without one. */
  nextDue(now: number): number {
    return this.#sql.value<number | null>(NEXT_DUE, now) ?? NEVER
  }

  /** Epoch ms: the first `due_at` after `now` of the lane's waiting rows; `NEVER` without one. */
  nextDueOfLane(lane: string, now: number): number {
    return this.#sql.value<number | null>(FIRST_DUE_AFTER, lane, now) ?? NEVER
  }

  lanesOfHandler(handler: string): string[] {
    return this.#sql.all<Pick<DueLane, 'lane'>>(OF_HANDLER, lanesOf(handler)).map(({ lane }) => lane)
  }

  /** Takes note that a task of the lane was claimed. */
  served(lane: string): void {
    if (this.#servedAt.size >= MOST_REMEMBERED) this.#servedAt.clear()
    this.#turn += 1
    this.#servedAt.set(lane, this.#turn)
  }

  /** Grows with each served lane; 0 for a lane that was not served yet, or not for a while. */
  lastServed(lane: string): number {
    return this.#servedAt.get(lane) ?? 0
  }

  /** A row of the lane is due at `dueAt`. A closed lane stays closed. */
  lower(lane: string, dueAt: number): void {
    const lowered = this.#lowered.get(lane)
    if (lowered !== undefined && lowered <= dueAt) return
    this.#sql.run(LOWER, { lane, dueAt, closed: NEVER })
    if (this.#lowered.size >= MOST_REMEMBERED) this.#lowered.clear()
    this.#lowered.set(lane, dueAt)
  }

  /**
   * The lane had fewer due rows than its cursor promised. Rows that are out of time, and not ended yet, hold the cursor back.
   * @returns epoch ms: when the first row behind these is due; `NEVER` where the cursor shows that by itself
   */
  correct(lane: string, now: number): number {
    const first = this.#sql.value<number | null>(FIRST_DUE, lane)
    if (first !== null) {
      this.close(lane, first)
      return first > now ? NEVER : this.nextDueOfLane(lane, now)
    }
    this.#lowered.delete(lane)
    this.#servedAt.delete(lane)
    this.#sql.run(REMOVE, lane)
    return NEVER
  }

  /** No row of the lane may be claimed before `until`. */
  close(lane: string, until: number): void {
    this.#lowered.delete(lane)
    this.#sql.run(RAISE, until, lane)
  }

  /** Opens the lanes of a handler that wait for the end of a task. */
  openClosed(handler: string): void {
    this.#sql.run(OPEN_CLOSED, { ...lanesOf(handler), closed: NEVER })
  }

  /** Opens all lanes of a handler. */
  open(handler: string): void {
    this.#sql.run(OPEN, lanesOf(handler))
  }

  /** A claim is made at `now`. The times of closed lanes mean nothing in a new process or to a clock that was set back: the lanes open. */
  passTime(now: number): void {
    const last = this.#lastNow ?? Infinity
    const mustOpen = now < last - CLOCK_STEP_MS
    if (mustOpen) this.#sql.run(OPEN_LATER, now)
    if (mustOpen || now > last) this.#lastNow = now
    this.#hasOpened ||= mustOpen
  }

  /** The cursors are durable. */
  committed(): void {
    this.#hasOpened = false
  }

  /** A rollback may have undone cursors. */
  forget(): void {
    this.#lowered.clear()
    if (this.#hasOpened) this.#lastNow = undefined
    this.#hasOpened = false
  }

  /** @param until the last lane of the search; without it the last due lane */
  *#search(now: number, after: DueLane, until?: DueLane): Generator<DueLane> {
    for (const due of this.#sql.iterate<DueLane>(DUE, { ...after, now })) {
      if (until && (due.next_due > until.next_due || (due.next_due === until.next_due && due.lane > until.lane))) break
      this.#rotation = due
      yield due
    }
    this.#rotation = FIRST
  }
}
