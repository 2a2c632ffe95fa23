/**
 * Where the waiting rows of each lane begin, in memory. A front is at or before the first waiting row of its lane, so that a claim need not
 * walk past what is left in the index of rows that were claimed long ago, which an open transaction keeps there. Whoever writes a waiting
 * row signals its place; a claim moves the fronts of the lanes it has looked at to what it has seen.
 */
import { NEVER } from '../../rules/handler-capacity.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { isBefore } from '../commit/commit-notes.ts'
import type { Place } from '../commit/commit-notes.ts'

interface LaneCursor {
  cursor: Place
  /** until when no row may be claimed, because its handler has no room; `NEVER` where that takes another event */
  closedUntil: number
  /** grows with each claim that took something; 0 before */
  servedAt: number
}

export interface DueLane extends Readonly<LaneCursor> {
  readonly lane: string
}

/** What was signalled since a claim began: it may be later than what the claim sees. */
export interface ClaimView {
  readonly lowered: Map<string, Place>
  readonly opened: Set<string>
}

/** By less than this a clock is corrected all the time. */
const CLOCK_STEP_MS = 1000
/** Claims that failed are never ended. One that has begun before as many others counts for nothing any more. */
const MOST_VIEWS = 64

export class LaneCursors {
  readonly #lanes = new Map<string, LaneCursor>()
  /** the lanes of each handler */
  readonly #lanesOfHandlers = new Map<string, Set<string>>()
  /** of the claims that are under way, oldest first */
  #views: ClaimView[] = []
  #turn = 0
  #lastNow = -Infinity

  /** A row of the lane waits at `place`. */
  lower(lane: string, place: Place): void {
    for (const { lowered } of this.#views) {
      const news = lowered.get(lane)
      if (news === undefined || isBefore(place, news)) lowered.set(lane, place)
    }
    const known = this.#lanes.get(lane)
    if (known === undefined) this.#add(lane, place)
    else if (isBefore(place, known.cursor)) known.cursor = place
  }

  /** Forgets all lanes but these. */
  replace(fronts: readonly { lane: string; place: Place }[]): void {
    this.#lanes.clear()
    this.#lanesOfHandlers.clear()
    for (const { lane, place } of fronts) this.lower(lane, place)
  }

  /**
   * A claim begins that knows all that was signalled until now. Where it is made earlier than the one before, times until which lanes were
   * closed mean nothing any more.
   */
  begin(now: number): ClaimView {
    if (now < this.#lastNow - CLOCK_STEP_MS) for (const lane of this.#lanes.values()) lane.closedUntil = 0
    this.#lastNow = now
    const sight = { lowered: new Map<string, Place>(), opened: new Set<string>() }
    this.#views = [...this.#views.slice(1 - MOST_VIEWS), sight]
    return sight
  }

  /** Remembers what a claim has seen, now that it is over: the first waiting row of each lane, if there is any, and until when lanes are closed. */
  end(
    sight: ClaimView,
    seen: { firsts: readonly { lane: string; first: Place | undefined }[]; closed: ReadonlyMap<string, number> },
  ): void {
    const isKnown = this.#views.includes(sight)
    this.#views = this.#views.filter((other) => other !== sight)
    if (!isKnown) return
    for (const { lane, first } of seen.firsts) this.#move(lane, first, sight.lowered.get(lane))
    for (const [lane, until] of seen.closed) {
      const known = this.#lanes.get(lane)
      if (known !== undefined && !sight.opened.has(parseLane(lane).handler ?? '')) known.closedUntil = until
    }
  }

  served(lane: string): void {
    const known = this.#lanes.get(lane)
    this.#turn += 1
    if (known !== undefined) known.servedAt = this.#turn
  }

  /** The handler may have room again. */
  open(group: string): void {
    for (const { opened } of this.#views) opened.add(group)
    for (const lane of this.of(group)) {
      const known = this.#lanes.get(lane)
      if (known !== undefined) known.closedUntil = 0
    }
  }

  /** At or before the first waiting row of the lane. */
  cursorOf(lane: string): Place {
    return this.#lanes.get(lane)?.cursor ?? { dueAt: 0, id: 0 }
  }

  /** The lanes of a handler. */
  of(group: string): readonly string[] {
    return [...(this.#lanesOfHandlers.get(group) ?? [])]
  }

  /** The lanes that may have something to claim. */
  due(now: number): DueLane[] {
    return [...this.#lanes]
      .filter(([, { cursor, closedUntil }]) => cursor.dueAt <= now && closedUntil <= now)
      .map(([lane, known]) => ({ lane, ...known }))
  }

  /** A time after `now`, no later than the first one at which a lane that has nothing to claim now may have; `NEVER` where none will. */
  nextDue(now: number): number {
    let next = NEVER
    for (const { cursor, closedUntil } of this.#lanes.values()) {
      const at = Math.max(cursor.dueAt, closedUntil)
      if (at > now) next = Math.min(next, at)
    }
    return next
  }

  #move(lane: string, first: Place | undefined, lowered: Place | undefined): void {
    const front = lowered !== undefined && (first === undefined || isBefore(lowered, first)) ? lowered : first
    const known = this.#lanes.get(lane)
    if (front === undefined) this.#remove(lane)
    else if (known === undefined) this.#add(lane, front)
    else known.cursor = front
  }

  #add(lane: string, front: Place): void {
    this.#lanes.set(lane, { cursor: front, closedUntil: 0, servedAt: 0 })
    const { handler } = parseLane(lane)
    if (handler !== undefined) this.#lanesOfHandlers.set(handler, (this.#lanesOfHandlers.get(handler) ?? new Set()).add(lane))
  }

  #remove(lane: string): void {
    this.#lanes.delete(lane)
    const { handler: handler = '' } = parseLane(lane)
    this.#lanesOfHandlers.get(handler)?.delete(lane)
    if (this.#lanesOfHandlers.get(handler)?.size === 0) this.#lanesOfHandlers.delete(handler)
  }
}
