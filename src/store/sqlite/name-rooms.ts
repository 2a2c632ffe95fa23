/** How many tasks of each name may be claimed now, by the limits of its handler. One is made for each claim, inside its transaction. */
import type { HandlerDefinition } from '../../domain/handler.ts'
import type { Session } from './session.ts'

export interface NameRoom {
  left: number
  /** where nothing is left, epoch ms from when on there may be something again; `NEVER` where that takes another event */
  readonly again: number
  readonly hasRate: boolean
}

/** Later than everything: the end of a running task, or a change of the handler, comes first. */
export const NEVER = Number.MAX_SAFE_INTEGER

const UNLIMITED: NameRoom = { left: Infinity, again: NEVER, hasRate: false }
/** Starts are counted by whole seconds, so that no 60 s that begin within one have too many; ahead as well, for the clock may be set back. */
const RATE_SECONDS = 60
/** Starts are remembered for longer, for the clock may be set forward and back. */
const KEEP_SECONDS = 3600

export class NameRooms {
  readonly #session: Session
  readonly #now: number
  readonly #rooms = new Map<string, NameRoom>()

  constructor(session: Session, now: number) {
    this.#session = session
    this.#now = now
  }

  /** For calls; a name whose tasks are pulled has no room for these. */
  forCalls(name: string): NameRoom {
    const handler = this.#session.handlers.definitionOf(name)
    if (handler === undefined) return { ...UNLIMITED }
    return handler.pull ? { left: 0, again: NEVER, hasRate: false } : this.#of(name, handler)
  }

  forWorkers(name: string, handler: HandlerDefinition): NameRoom {
    return this.#of(name, handler)
  }

  /** Takes note of so many attempts that start now. */
  take(name: string, room: NameRoom, count: number): void {
    room.left -= count
    if (!room.hasRate || count === 0) return
    const second = Math.floor(this.#now / 1000)
    this.#session.statements.addStarts.run({ name, second, count })
    this.#session.statements.forgetStarts.run(name, second - KEEP_SECONDS)
  }

  #of(name: string, handler: HandlerDefinition): NameRoom {
    const known = this.#rooms.get(name)
    if (known) return known
    const room = handler.paused ? { left: 0, again: NEVER, hasRate: false } : this.#within(name, handler)
    this.#rooms.set(name, room)
    return room
  }

  #within(name: string, { concurrency = Infinity, rate }: HandlerDefinition): NameRoom {
    const { statements } = this.#session
    const free = concurrency === Infinity ? Infinity : concurrency - (statements.runningOfName.get(name, concurrency) as number)
    if (rate === undefined) return { left: free, again: NEVER, hasRate: false }
    const second = Math.floor(this.#now / 1000)
    const { started, oldest } = statements.startsBetween.get(name, second - RATE_SECONDS, second + RATE_SECONDS) as {
      started: number
      oldest: number | null
    }
    const again = free <= 0 || oldest === null ? NEVER : (oldest + RATE_SECONDS + 1) * 1000
    return { left: Math.min(free, rate - started), again, hasRate: true }
  }
}
