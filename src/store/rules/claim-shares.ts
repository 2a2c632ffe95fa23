/** How a claim shares the tasks that it may take over the lanes: evenly, and within every limit. Both stores claim by this; only they read rows. */
import type { Claim, HostCapacity } from '../store.ts'
import { NEVER, type HandlerCapacity } from './handler-book.ts'

/** What several lanes have together. */
interface Shared {
  /** how many more tasks may be claimed */
  free: number
}

/** One for all lanes of a host. */
export interface HostShare extends HostCapacity, Shared {
  free: number
  /** what it has together with other hosts */
  readonly budgets: readonly Shared[]
}

export interface LaneShare {
  readonly lane: string
  readonly host: HostShare
  /** the handler's name; absent for a lane of a host alone */
  readonly handler?: string
  /** of the handler */
  readonly limits?: HandlerCapacity
}

/** What decides which lane comes first. */
export interface LaneTurn {
  readonly host: HostShare
  /** grows with each claim that took something of the lane; 0 before the first */
  readonly servedAt: number
  /** epoch ms: when its first task was due */
  readonly dueAt: number
}

/** One claim looks at this many lanes in one go at least: the memory of a lane may be out of date, and the lane empty. */
const LANES_AT_ONCE = 100
/** One claim looks at this many lanes. With more the caller claims again, so that nothing else waits for it. */
export const MOST_LANES = 500
/** One claim moves this many rows to the lanes where they belong, for the same reason. */
const MOST_MOVED = 1000

/** Idle hosts come first, then lanes that were served longest ago. A busy lane with an old backlog would otherwise get every slot that comes free. */
export function byTurn(a: LaneTurn, b: LaneTurn): number {
  return a.host.inflight - b.host.inflight || a.servedAt - b.servedAt || a.dueAt - b.dueAt
}

/** Made for one claim, inside its transaction. */
export class ClaimShares<Lane extends LaneShare = LaneShare> {
  readonly #claim: Pick<Claim, 'now' | 'hosts' | 'capacityOfNewHost'>
  readonly #hosts = new Map<string, HostShare>()
  readonly #lanes = new Map<string, Lane>()
  readonly #closed = new Map<string, number>()
  readonly #served = new Set<string>()
  readonly #emptied = new Set<string>()
  /** The lanes whose handler has no capacity, and from when (epoch ms) it may have some. */
  readonly closed: ReadonlyMap<string, number> = this.#closed
  /** The lanes of which tasks were taken. */
  readonly served: ReadonlySet<string> = this.#served
  /** The lanes that had fewer due tasks than were wanted. */
  readonly emptied: ReadonlySet<string> = this.#emptied
  #found: Lane[] = []
  #starts = new Map<string, number>()
  readonly #total: Shared
  readonly #budgets: Readonly<Record<HostCapacity['state'], readonly Shared[]>>
  #moved = 0
  #againAt = NEVER

  constructor(claim: Pick<Claim, 'now' | 'limit' | 'hosts' | 'capacityOfNewHost' | 'unprovenLimit' | 'silentLimit'>) {
    this.#claim = claim
    this.#total = { free: claim.limit }
    const [unproven, silent] = [{ free: claim.unprovenLimit }, { free: claim.silentLimit }]
    this.#budgets = { answers: [this.#total], new: [this.#total, unproven], silent: [this.#total, unproven, silent] }
  }

  /** Whether this claim may take more tasks. */
  get goesOn(): boolean {
    return this.#total.free > 0 && this.#againAt > this.#claim.now
  }

  /** Epoch ms: when to claim again although no lane shows a due task; `NEVER` where that is not needed. */
  get againAt(): number {
    return this.#againAt
  }

  /** The lanes that were looked at, but those that are closed. */
  get lanes(): readonly Lane[] {
    return [...this.#lanes.values()]
  }

  hostShare(host: string): HostShare {
    const known = this.#hosts.get(host)
    if (known) return known
    const { hosts, capacityOfNewHost } = this.#claim
    const capacity = hosts.get(host) ?? { free: capacityOfNewHost, state: 'new', inflight: 0 }
    const share = { ...capacity, budgets: this.#budgets[capacity.state] }
    this.#hosts.set(host, share)
    return share
  }

  /** Whether this claim has not looked at the lane yet and its host may have more calls. A look at the handler's limits is not needed for that. */
  isOpen(lane: string, host: HostShare): boolean {
    return !this.#lanes.has(lane) && !this.#closed.has(lane) && hasCapacity({ host })
  }

  /** Adds an open lane. A lane whose handler has no capacity is closed instead. @returns whether more lanes are wanted */
  add(share: Lane): boolean {
    if (share.limits !== undefined && share.limits.free <= 0) this.#closed.set(share.lane, share.limits.opensAt)
    else {
      this.#lanes.set(share.lane, share)
      this.#found.push(share)
    }
    return this.#found.length < Math.max(this.#total.free, LANES_AT_ONCE) && this.#closed.size < MOST_LANES
  }

  /** The lanes that were added since this was last asked, in their order. */
  takeFound(): Lane[] {
    if (this.#lanes.size + this.#closed.size >= MOST_LANES) this.#againAt = this.#claim.now
    const found = this.#found
    this.#found = []
    return found
  }

  /** How many tasks are wanted of each lane, so that all of them together keep every limit. A lane that may have none is left out. */
  wishes(lanes: readonly Lane[]): Map<Lane, number> {
    const counts = new Map<Shared, number>()
    for (const { host } of lanes) for (const budget of host.budgets) counts.set(budget, (counts.get(budget) ?? 0) + 1)
    const evenShare = (of: Shared): number => Math.max(1, Math.floor(of.free / (counts.get(of) ?? 1)))
    const shares = new Map([...counts.keys()].map((budget) => [budget, evenShare(budget)]))
    const reserved = new Map<Shared, number>()
    const wishes = new Map<Lane, number>()
    for (const lane of lanes) {
      const limits = limitsOf(lane)
      const wish = Math.min(...limits.map((of) => Math.min(of.free - (reserved.get(of) ?? 0), shares.get(of) ?? Infinity)))
      if (wish <= 0) continue
      wishes.set(lane, wish)
      for (const of of limits) reserved.set(of, (reserved.get(of) ?? 0) + wish)
    }
    return wishes
  }

  /** Takes note of the tasks that a wish has got. */
  took(share: Lane, wish: number, count: number): void {
    const { lane, handler, limits } = share
    if (count > 0) this.#served.add(lane)
    if (count < wish) this.#emptied.add(lane)
    for (const of of limitsOf(share)) of.free -= count
    if (handler !== undefined && limits?.hasRate && count > 0) this.#starts.set(handler, (this.#starts.get(handler) ?? 0) + count)
  }

  /** The lanes that may have more, for another round: first those that could have nothing in the round before. */
  stillOpen(lanes: readonly Lane[], wishes: ReadonlyMap<Lane, number>): Lane[] {
    return lanes
      .filter((lane) => !this.#emptied.has(lane.lane) && hasCapacity(lane))
      .sort((a, b) => Number(wishes.has(a)) - Number(wishes.has(b)))
  }

  /** How many attempts of each handler with a rate have started since this was last asked. */
  takeStarts(): ReadonlyMap<string, number> {
    const starts = this.#starts
    this.#starts = new Map()
    return starts
  }

  /** The lanes of handlers that this claim has used up. */
  exhausted(lanes: readonly Lane[]): { readonly lane: string; readonly handler: string }[] {
    return lanes.flatMap(({ lane, handler, limits }) => (handler !== undefined && limits && limits.free <= 0 ? [{ lane, handler }] : []))
  }

  /** A lane of a handler that was used up is passed over until `opensAt`, epoch ms. */
  close(lane: string, opensAt: number): void {
    this.#closed.set(lane, opensAt)
  }

  /** Rows have moved to these lanes, which may have been found empty before. @returns whether the claim may go on */
  moved(lanes: readonly string[]): boolean {
    for (const lane of lanes) {
      this.#lanes.delete(lane)
      this.#emptied.delete(lane)
    }
    this.#moved += lanes.length
    if (this.#moved < MOST_MOVED) return true
    this.#againAt = this.#claim.now
    return false
  }

  /** A task of an emptied lane is due at `dueAt`, epoch ms, although the lane does not show it. */
  hides(dueAt: number): void {
    this.#againAt = Math.min(this.#againAt, dueAt)
  }
}

function limitsOf({ host, limits }: Pick<LaneShare, 'host' | 'limits'>): Shared[] {
  return limits === undefined ? [host, ...host.budgets] : [host, ...host.budgets, limits]
}

function hasCapacity(lane: Pick<LaneShare, 'host' | 'limits'>): boolean {
  return limitsOf(lane).every(({ free }) => free > 0)
}
