/** How many tasks of each handler may be claimed now, by its limits. One is made for each claim, inside its transaction. */
import type { HandlerDefinition } from '../../domain/handler.ts'
import { rangeOfNames } from '../../domain/name-pattern.ts'
import { NEVER } from './lane-bounds.ts'
import { lanesOf } from '../lane-name.ts'
import type { Session } from './session.ts'

export interface GroupRoom {
  left: number
  /** where nothing is left, epoch ms from when on there may be something again; `NEVER` where that takes another event */
  readonly again: number
  readonly hasRate: boolean
}

const UNLIMITED: GroupRoom = { left: Infinity, again: NEVER, hasRate: false }
/** Starts are counted by whole seconds, so that no 60 s that begin within one have too many; ahead as well, for the clock may be set back. */
const RATE_SECONDS = 60
/** Starts are remembered for longer, for the clock may be set forward and back. */
const KEEP_SECONDS = 3600

export class GroupRooms {
  readonly #session: Session
  readonly #now: number
  readonly #rooms = new Map<string, GroupRoom>()

  constructor(session: Session, now: number) {
    this.#session = session
    this.#now = now
  }

  /** For calls; tasks that are pulled leave no room for these. */
  forCalls(group: string): GroupRoom {
    const handler = this.#session.handlers.of(group)?.definition
    if (handler === undefined) return { ...UNLIMITED }
    return handler.pull ? { left: 0, again: NEVER, hasRate: false } : this.within(group, handler)
  }

  /** By the limits of the handler alone, as they are for workers. */
  within(group: string, handler: HandlerDefinition): GroupRoom {
    const known = this.#rooms.get(group)
    if (known) return known
    const room = handler.paused ? { left: 0, again: NEVER, hasRate: false } : this.#count(group, handler)
    this.#rooms.set(group, room)
    return room
  }

  /** Takes note of so many attempts that start now. */
  take(group: string, room: GroupRoom, count: number): void {
    room.left -= count
    if (!room.hasRate || count === 0) return
    const second = Math.floor(this.#now / 1000)
    this.#session.statements.addStarts.run({ name: group, second, count })
    this.#session.statements.forgetStarts.run(group, second - KEEP_SECONDS)
  }

  #count(group: string, { concurrency = Infinity, rate }: HandlerDefinition): GroupRoom {
    const { statements } = this.#session
    const free = concurrency === Infinity ? Infinity : concurrency - this.#running(group, concurrency)
    if (rate === undefined) return { left: free, again: NEVER, hasRate: false }
    const second = Math.floor(this.#now / 1000)
    const { started, oldest } = statements.startsBetween.get(group, second - RATE_SECONDS, second + RATE_SECONDS) as {
      started: number
      oldest: number | null
    }
    const again = free <= 0 || oldest === null ? NEVER : (oldest + RATE_SECONDS + 1) * 1000
    return { left: Math.min(free, rate - started), again, hasRate: true }
  }

  /** How many are running, up to `limit`. Names inside a pattern may have handlers of their own, and so other lanes. */
  #running(group: string, limit: number): number {
    const { first: firstLane, end: endLane } = lanesOf(group)
    return this.#session.statements.runningOfGroup.get({ ...rangeOfNames(group), firstLane, endLane, limit }) as number
  }
}
