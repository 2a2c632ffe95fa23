/** The claim: takes due rows lane by lane, shared evenly, without looking at the rows that wait behind a full lane. */
import { hostOf } from '../../../domain/task/task.ts'
import { LANES_AT_ONCE, MOST_LANES, MOST_MOVED } from '../../rules/claim-shares.ts'
import type { ClaimLeft, HostShare, LaneShare } from '../../rules/claim-shares.ts'
import { NEVER } from '../../rules/handler-capacity.ts'
import type { HandlerCapacity } from '../../rules/handler-capacity.ts'
import { parseLane } from '../../rows/lane-name.ts'
import type { Claim, ClaimResult } from '../../store.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { claimRows, firstPlaces, lockDue, moveRows } from './claim-statements.ts'
import type { LaneWish } from './claim-statements.ts'
import { finishClaim } from './finish-claim.ts'
import { HandlerUsage } from './handler-usage.ts'
import type { DueLane, ClaimView } from '../memory/lane-cursors.ts'
import type { Session } from '../session.ts'
import type { Transaction } from '../commit/transaction.ts'

interface OpenLane extends LaneShare {
  readonly front: DueLane['cursor']
}

/** When to look again at rows that another node was about to claim. */
const LOOK_AGAIN_MS = 250

export async function claimDue(session: Session, transaction: Transaction, claim: Claim): Promise<ClaimResult> {
  await session.peers.catchUp()
  const run = new ClaimRun(session, transaction, claim)
  const rows = await run.claim()
  const tasks = await finishClaim(session, transaction, rows, claim)
  const result = { tasks, nextDue: undefined as number | undefined }
  await run.moveFronts((nextDue) => {
    result.nextDue = nextDue < NEVER ? nextDue : undefined
  })
  return result
}

class ClaimRun {
  readonly #session: Session
  readonly #transaction: Transaction
  readonly #claim: Claim
  readonly #left: ClaimLeft
  readonly #sight: ClaimView
  readonly #groups: HandlerUsage
  readonly #hosts = new Map<string, HostShare>()
  readonly #seen = new Map<string, OpenLane>()
  readonly #served = new Set<string>()
  /** lanes that had less than was wanted of them */
  readonly #emptied = new Set<string>()
  readonly #closed = new Map<string, number>()
  #moved = 0

  constructor(session: Session, transaction: Transaction, claim: Claim) {
    this.#session = session
    this.#transaction = transaction
    this.#claim = claim
    this.#left = { total: claim.limit, unproven: claim.unprovenLimit, hiddenDue: NEVER }
    this.#sight = session.cursors.begin(claim.now)
    this.#groups = new HandlerUsage(transaction, session, claim.now)
  }

  async claim(): Promise<TaskRow[]> {
    const rows: TaskRow[] = []
    while (this.#left.total > 0 && this.#left.hiddenDue > this.#claim.now) {
      const lanes = await this.#lanesWithRoom()
      if (this.#seen.size + this.#closed.size >= MOST_LANES) this.#left.hiddenDue = this.#claim.now
      if (lanes.length === 0) break
      rows.push(...(await this.#claimOfLanes(lanes)))
      await this.#closeExhausted(lanes)
    }
    return rows
  }

  /** Remembers, once the claim is durable, where the lanes begin that it has looked at. @param onNextDue is told when to claim again */
  async moveFronts(onNextDue: (nextDue: number) => void): Promise<void> {
    const { cursors } = this.#session
    const { now } = this.#claim
    const firsts = await firstPlaces(this.#transaction, [...this.#seen.values()], now)
    this.#transaction.afterCommit(() => {
      cursors.end(this.#sight, { firsts, closed: this.#closed })
      for (const lane of this.#served) cursors.served(lane)
      // Behind those that are out of time, or that another node was about to claim: it may fail.
      const hidden = firsts.filter(({ lane, again }) => again !== undefined && this.#emptied.has(lane)).map(({ again = NEVER }) => again)
      const dues = hidden.map((again) => (again > now ? again : now + LOOK_AGAIN_MS))
      onNextDue(Math.min(this.#left.hiddenDue, cursors.nextDue(now), ...dues))
    })
  }

  /**
   * Lanes not seen before with something due: idle hosts first, then those that were served longest ago, then by how long they are due.
   * Those of full hosts are passed over. Those of handlers without room are closed until they have some.
   */
  async #lanesWithRoom(): Promise<OpenLane[]> {
    const { cursors } = this.#session
    const due = cursors.due(this.#claim.now).map((lane) => ({ ...lane, ...this.#hostOfLane(lane.lane) }))
    // Where slots come free one by one, a busy lane with an old backlog would otherwise get them all.
    due.sort((a, b) => a.host.inflight - b.host.inflight || a.servedAt - b.servedAt || a.cursor.dueAt - b.cursor.dueAt)
    const open = due.filter(({ lane, host }) => {
      const isNew = !this.#seen.has(lane) && !this.#closed.has(lane)
      return isNew && this.#hasRoom({ host })
    })
    await this.#groups.lock(open.slice(0, MOST_LANES).flatMap(({ group }) => group ?? []))
    const found: OpenLane[] = []
    for (const { lane, cursor, host, group } of open) {
      const limits = group === undefined ? undefined : await this.#groups.forCalls(group)
      const share = { lane, front: cursor, host, ...(group !== undefined && { group }), ...(limits !== undefined && { limits }) }
      if (limits !== undefined && limits.free <= 0) this.#closed.set(lane, limits.opensAt)
      else {
        found.push(share)
        this.#seen.set(lane, share)
      }
      if (found.length >= Math.max(this.#left.total, LANES_AT_ONCE) || this.#closed.size >= MOST_LANES) break
    }
    return found
  }

  #hostOfLane(lane: string): { host: HostShare; group: string | undefined } {
    const { handler, host } = parseLane(lane)
    const called = host === '' && handler !== undefined ? hostOf(this.#session.handlers.of(handler)?.definition ?? {}) : host
    const known = this.#hosts.get(called)
    if (known) return { host: known, group: handler }
    const share = { ...(this.#claim.hosts.get(called) ?? { free: this.#claim.capacityOfNewHost, isProven: false, inflight: 0 }) }
    this.#hosts.set(called, share)
    return { host: share, group: handler }
  }

  /** Gives each lane an even share of what is left, and again those that have more due, until nothing is due or nothing is left. */
  async #claimOfLanes(lanes: readonly OpenLane[]): Promise<TaskRow[]> {
    const claimed: TaskRow[] = []
    for (let open = lanes; open.length > 0;) {
      const wishes = this.#wishesOf(open)
      if (wishes.size === 0) break
      const rows = await this.#claimRows([...wishes.values()])
      if (rows === undefined) break
      claimed.push(...rows)
      const counts = new Map<string, number>()
      for (const { lane } of rows) counts.set(lane, (counts.get(lane) ?? 0) + 1)
      for (const share of open) await this.#take(share, counts.get(share.lane) ?? 0)
      // What was reserved for a lane that had less is left for the others: first for those for which nothing had been left.
      open = open
        .filter((share) => (counts.get(share.lane) ?? 0) === (wishes.get(share.lane)?.limit ?? 0) && this.#hasRoom(share))
        .sort((a, b) => Number(wishes.has(a.lane)) - Number(wishes.has(b.lane)))
      for (const [lane, { limit }] of wishes) if ((counts.get(lane) ?? 0) < limit) this.#emptied.add(lane)
    }
    return claimed
  }

  #hasRoom({ host, limits }: Pick<LaneShare, 'host' | 'limits'>): boolean {
    return host.free > 0 && (host.isProven || this.#left.unproven > 0) && (limits === undefined || limits.free > 0)
  }

  /** How many are wanted of each lane, so that all of them together are within every limit. */
  #wishesOf(open: readonly OpenLane[]): Map<string, LaneWish> {
    const left = { ...this.#left }
    const share = Math.max(1, Math.floor(left.total / open.length))
    const unprovenShare = Math.max(1, Math.floor(left.unproven / open.filter(({ host }) => !host.isProven).length))
    const [rooms, limitsLeft] = [new Map<HostShare, number>(), new Map<HandlerCapacity, number>()]
    const wishes = new Map<string, LaneWish>()
    for (const { lane, front, host, limits } of open) {
      const room = rooms.get(host) ?? host.free
      const within = limits === undefined ? Infinity : (limitsLeft.get(limits) ?? limits.free)
      const unproven = host.isProven ? Infinity : Math.min(unprovenShare, left.unproven)
      const limit = Math.min(room, within, left.total, unproven, share)
      if (limit <= 0) continue
      wishes.set(lane, { lane, front, limit })
      left.total -= limit
      if (!host.isProven) left.unproven -= limit
      rooms.set(host, room - limit)
      if (limits !== undefined) limitsLeft.set(limits, within - limit)
    }
    return wishes
  }

  async #take({ lane, host, handler, limits }: OpenLane, count: number): Promise<void> {
    if (count > 0) this.#served.add(lane)
    host.free -= count
    this.#left.total -= count
    if (!host.isProven) this.#left.unproven -= count
    if (handler !== undefined && limits !== undefined) await this.#groups.take(handler, limits, count)
  }

  /** @returns undefined where too many rows had to move for one claim */
  async #claimRows(wishes: readonly LaneWish[]): Promise<TaskRow[] | undefined> {
    if (this.#session.handlers.areThere || wishes.some(({ lane }) => parseLane(lane).handler !== undefined)) {
      if (!(await this.#moveMisplaced(wishes))) return undefined
    }
    return claimRows(this.#transaction, wishes, this.#claim)
  }

  /**
   * Rows whose handler came, went or changed place since they were stored leave the lane before they are claimed.
   * @returns whether the rows that are due may be claimed: false where too many had to move for one claim
   */
  async #moveMisplaced(wishes: readonly LaneWish[]): Promise<boolean> {
    const { handlers } = this.#session
    for (;;) {
      const due = await lockDue(this.#transaction, wishes, this.#claim.now)
      const homes = due.map((row) => ({ row, lane: handlers.laneOf(row.name, parseLane(row.lane).host) }))
      const misplaced = homes.filter(({ row, lane }) => lane !== row.lane)
      if (misplaced.length === 0) return true
      await moveRows(this.#transaction, misplaced)
      for (const { row, lane } of misplaced) {
        this.#session.cursors.lower(lane, { dueAt: row.due_at, id: row.id })
        // It may have been found empty before.
        this.#seen.delete(lane)
      }
      this.#moved += misplaced.length
      if (this.#moved < MOST_MOVED) continue
      this.#left.hiddenDue = this.#claim.now
      return false
    }
  }

  /** Handlers that have just used up their room: their lanes are passed over until they have some again. */
  async #closeExhausted(lanes: readonly OpenLane[]): Promise<void> {
    for (const { lane, handler, limits } of lanes) {
      if (handler === undefined || limits === undefined || limits.free > 0) continue
      this.#closed.set(lane, (await this.#groups.recount(handler)).opensAt)
    }
  }
}
