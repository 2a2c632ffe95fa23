/** What other nodes must know of one write: where rows wait now, whose limits have room again, which handlers have changed. Written with it. */

import type { Handler } from '../../../domain/task/handler.ts'

/** Where a row waits: the first row of a lane is the one that is due first, and of these the one that was stored first. */
export interface Place {
  readonly dueAt: number
  readonly id: number
}

/** As they are stored, as JSON. */
export interface CommitNotesJson {
  /** the first place of each lane, and the earliest deadline there */
  readonly lanes?: readonly (readonly [lane: string, dueAt: number, id: number, deadline: number])[]
  readonly groups?: readonly string[]
  readonly handlers?: readonly string[]
}

export class CommitNotes {
  readonly #lanes = new Map<string, { place: Place; deadline: number }>()
  readonly #freed = new Set<string>()
  /** as they are now */
  readonly handlers = new Map<string, Handler | undefined>()

  /** A row waits in the lane. */
  rowWaits(lane: string, place: Place, deadline: number): void {
    const known = this.#lanes.get(lane)
    if (known === undefined) this.#lanes.set(lane, { place, deadline })
    else {
      if (isBefore(place, known.place)) known.place = place
      known.deadline = Math.min(known.deadline, deadline)
    }
  }

  /** A handler may have room again. */
  capacityFreed(group: string): void {
    this.#freed.add(group)
  }

  /** A handler came, went or changed. */
  handlerChanged(name: string, handler: Handler | undefined): void {
    this.handlers.set(name, handler)
  }

  /** undefined where there is nothing to know */
  toJson(): CommitNotesJson | undefined {
    if (this.#lanes.size + this.#freed.size + this.handlers.size === 0) return undefined
    const lanes = [...this.#lanes].map(([lane, { place, deadline }]) => [lane, place.dueAt, place.id, deadline] as const)
    return {
      ...(lanes.length > 0 && { lanes }),
      ...(this.#freed.size > 0 && { groups: [...this.#freed] }),
      ...(this.handlers.size > 0 && { handlers: [...this.handlers.keys()] }),
    }
  }
}

export function isBefore(one: Place, other: Place): boolean {
  return one.dueAt < other.dueAt || (one.dueAt === other.dueAt && one.id < other.id)
}
