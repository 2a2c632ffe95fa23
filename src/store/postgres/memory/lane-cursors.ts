/**
 * Where searches begin, in memory. An open transaction keeps index entries of rows that are long gone, and a search must not walk past them.
 * A lane's cursor is at or before its first waiting row; a low-water mark is a time up to which a column has nothing left. Every write
 * notes where its rows wait, and a finished claim moves the cursors of its lanes.
 */
import { NEVER } from '../../rules/handler-capacity.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { isBefore } from '../commit/transaction.ts'
import type { Place } from '../commit/transaction.ts'

interface LaneCursor {
  cursor: Place
  /** no row may be claimed before this time, because its handler has no capacity; `NEVER` until another event opens the lane */
  closedUntil: number
  /** grows with each claim that took a row; 0 before the first one */
  servedAt: number
}

export interface DueLane extends Readonly<LaneCursor> {
  readonly lane: string
}

/** The notes that arrived after a claim began. The claim may not have seen their rows. */
export interface ClaimView {
  readonly lowered: Map<string, Place>
  readonly opened: Set<string>
}

/** Corrections of a clock are smaller than this. */
const CLOCK_STEP_MS = 1000
/** A failed claim never ends its view. This many later claims make a view void. */
const MOST_VIEWS = 64

export class LaneCursors {
  readonly #lanes = new Map<string, LaneCursor>()
  /** the same cursors by handler, then lane */
  readonly #byHandler = new Map<string, Map<string, LaneCursor>>()
  /** those of claims under way, oldest first */
  #views: ClaimView[] = []
  #turn = 0
  #lastNow = -Infinity

  /** A row of the lane waits at `place`. */
  lower(lane: string, place: Place): void {
    for (const { lowered } of this.#views) {
      const noted = lowered.get(lane)
      if (noted === undefined || isBefore(place, noted)) lowered.set(lane, place)
    }
    const known = this.#lanes.get(lane)
    if (known === undefined || isBefore(place, known.cursor)) this.#set(lane, place)
  }

  /** Forgets all lanes but these. */
  replace(cursors: readonly { lane: string; place: Place }[]): void {
    this.#lanes.clear()
    this.#byHandler.clear()
    for (const { lane, place } of cursors) this.lower(lane, place)
  }

  /** A claim begins, and sees the rows of all notes so far. A clock set back opens all lanes, because their times mean nothing any more. */
  begin(now: number): ClaimView {
    if (now < this.#lastNow - CLOCK_STEP_MS) for (const lane of this.#lanes.values()) lane.closedUntil = 0
    this.#lastNow = now
    const view = { lowered: new Map<string, Place>(), opened: new Set<string>() }
    this.#views = [...this.#views.slice(1 - MOST_VIEWS), view]
    return view
  }

  /** A claim is durable: its lanes begin at the first rows that it left, and closed lanes stay closed. A note since its begin goes before both. */
  end(view: ClaimView, seen: { firsts: readonly { lane: string; first: Place | undefined }[]; closed: ReadonlyMap<string, number> }): void {
    const isKnown = this.#views.includes(view)
    this.#views = this.#views.filter((other) => other !== view)
    if (!isKnown) return
    for (const { lane, first } of seen.firsts) {
      const lowered = view.lowered.get(lane)
      const cursor = lowered !== undefined && (first === undefined || isBefore(lowered, first)) ? lowered : first
      if (cursor === undefined) this.#remove(lane)
      else this.#set(lane, cursor)
    }
    for (const [lane, until] of seen.closed) {
      const known = this.#lanes.get(lane)
      if (known !== undefined && !view.opened.has(parseLane(lane).handler ?? '')) known.closedUntil = until
    }
  }

  served(lane: string): void {
    const known = this.#lanes.get(lane)
    this.#turn += 1
    if (known !== undefined) known.servedAt = this.#turn
  }

  /** The handler may have capacity again. */
  open(handler: string): void {
    for (const { opened } of this.#views) opened.add(handler)
    for (const lane of this.#byHandler.get(handler)?.values() ?? []) lane.closedUntil = 0
  }

  /** The lanes of a handler with their cursors. */
  ofHandler(handler: string): { lane: string; cursor: Place }[] {
    return [...(this.#byHandler.get(handler) ?? [])].map(([lane, { cursor }]) => ({ lane, cursor }))
  }

  /** The lanes that may have a row to claim. */
  due(now: number): DueLane[] {
    return [...this.#lanes].filter(([, at]) => at.cursor.dueAt <= now && at.closedUntil <= now).map(([lane, at]) => ({ lane, ...at }))
  }

  /** The earliest time after `now` at which another lane may have a row to claim; `NEVER` without such a lane. */
  nextDue(now: number): number {
    let next = NEVER
    for (const { cursor, closedUntil } of this.#lanes.values()) {
      const at = Math.max(cursor.dueAt, closedUntil)
      if (at > now) next = Math.min(next, at)
    }
    return next
  }

  #set(lane: string, cursor: Place): void {
    const known = this.#lanes.get(lane) ?? { cursor, closedUntil: 0, servedAt: 0 }
    known.cursor = cursor
    if (this.#lanes.has(lane)) return
    this.#lanes.set(lane, known)
    const { handler } = parseLane(lane)
    if (handler === undefined) return
    this.#byHandler.set(handler, (this.#byHandler.get(handler) ?? new Map<string, LaneCursor>()).set(lane, known))
  }

  #remove(lane: string): void {
    this.#lanes.delete(lane)
    const { handler = '' } = parseLane(lane)
    const lanes = this.#byHandler.get(handler)
    lanes?.delete(lane)
    if (lanes?.size === 0) this.#byHandler.delete(handler)
  }
}

/** A time at or before which a search of a column has nothing left to find. */
export class LowWaterMark {
  #seen = 0
  #lastNow = -Infinity
  /** the earliest time noted during a search, which may have missed its row */
  #lowered = Infinity

  /** Nothing is left at or before this time. */
  get seen(): number {
    return this.#seen
  }

  /** A search at `now` begins. @returns the time after which it must look; 0 after the clock was set back */
  begin(now: number): number {
    if (now < this.#lastNow) this.#seen = 0
    this.#lastNow = now
    this.#lowered = Infinity
    return this.#seen
  }

  /** The search found nothing at or before `time`. */
  clear(time: number): void {
    this.#seen = Math.max(0, Math.min(Math.max(this.#seen, time), this.#lowered - 1))
  }

  /** A row may have this time. */
  lower(time: number): void {
    this.#lowered = Math.min(this.#lowered, time)
    this.#seen = Math.max(0, Math.min(this.#seen, time - 1))
  }
}
