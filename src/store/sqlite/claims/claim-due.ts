/** The claim: takes due rows lane by lane, shared evenly, without looking at the rows that wait behind a full lane. */
import { hostOf } from '../../../domain/task/task.ts'
import { LANES_AT_ONCE, MOST_LANES, MOST_MOVED } from '../../rules/claim-shares.ts'
import type { ClaimLeft, HostShare, LaneShare } from '../../rules/claim-shares.ts'
import { NEVER } from '../../rules/handler-capacity.ts'
import type { Claim, ClaimResult } from '../../store.ts'
import type { Changes } from '../../rules/changes.ts'
import { finishClaim } from './finish-claim.ts'
import { HandlerUsage } from './handler-usage.ts'
import { parseLane } from '../../rows/lane-name.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Session } from '../session.ts'

/** Must run inside a write transaction. */
export function claimDue(session: Session, claim: Claim, changes: Changes): ClaimResult {
  session.cursors.passTime(claim.now)
  const run = new ClaimRun(session, claim)
  const rows = run.claim()
  const tasks = finishClaim(session, rows, claim, changes)
  const nextDue = run.nextDue()
  return { tasks, nextDue: nextDue < NEVER ? nextDue : undefined }
}

class ClaimRun {
  readonly #session: Session
  readonly #claim: Claim
  readonly #left: ClaimLeft
  readonly #groups: HandlerUsage
  readonly #hosts = new Map<string, HostShare>()
  readonly #seen = new Set<string>()
  #moved = 0

  constructor(session: Session, claim: Claim) {
    this.#session = session
    this.#claim = claim
    this.#left = { total: claim.limit, unproven: claim.unprovenLimit, hiddenDue: NEVER }
    this.#groups = new HandlerUsage(session, claim.now)
  }

  claim(): TaskRow[] {
    const rows: TaskRow[] = []
    while (this.#left.total > 0 && this.#left.hiddenDue > this.#claim.now) {
      const lanes = this.#lanesWithRoom()
      if (this.#seen.size >= MOST_LANES) this.#left.hiddenDue = this.#claim.now
      if (lanes.length === 0) break
      rows.push(...this.#claimOfLanes(lanes))
      this.#closeExhausted(lanes)
    }
    return rows
  }

  nextDue(): number {
    const next = this.#session.statements.nextDue.get(this.#claim.now) as number | null
    return Math.min(this.#left.hiddenDue, next ?? NEVER)
  }

  /**
   * Lanes not seen before with something due: idle hosts first, then those that were served longest ago, then by how long they are due.
   * Those of full hosts are passed over. Those of handlers without room are closed until they have some.
   */
  #lanesWithRoom(): LaneShare[] {
    const { cursors } = this.#session
    const found: LaneShare[] = []
    const closed: [string, number][] = []
    for (const lane of cursors.dueLanes(this.#claim.now)) {
      if (this.#seen.has(lane)) continue
      const share = this.#shareOf(lane)
      if (share === undefined) continue
      if (share.limits !== undefined && share.limits.free <= 0) closed.push([lane, share.limits.opensAt])
      else found.push(share)
      this.#seen.add(lane)
      if (found.length >= Math.max(this.#left.total, LANES_AT_ONCE) || closed.length >= MOST_LANES) break
    }
    for (const [lane, until] of closed) cursors.close(lane, until)
    // Where slots come free one by one, a busy lane with an old backlog would otherwise get them all.
    return found.sort((a, b) => a.host.inflight - b.host.inflight || cursors.lastServed(a.lane) - cursors.lastServed(b.lane))
  }

  /** undefined where the lane's host has no room: that is known without a look at the limits of its handler. */
  #shareOf(lane: string): LaneShare | undefined {
    const { handler, host } = parseLane(lane)
    const called = host === '' && handler !== undefined ? hostOf(this.#session.handlers.of(handler)?.definition ?? {}) : host
    const share = this.#hostShare(called)
    if (share.free <= 0 || (!share.isProven && this.#left.unproven <= 0)) return undefined
    return handler === undefined ? { lane, host: share } : { lane, host: share, handler, limits: this.#groups.forCalls(handler) }
  }

  #hostShare(host: string): HostShare {
    const known = this.#hosts.get(host)
    if (known) return known
    const share = { ...(this.#claim.hosts.get(host) ?? { free: this.#claim.capacityOfNewHost, isProven: false, inflight: 0 }) }
    this.#hosts.set(host, share)
    return share
  }

  /** Gives each lane an even share of what is left, and again those that have more due, until nothing is due or nothing is left. */
  #claimOfLanes(lanes: readonly LaneShare[]): TaskRow[] {
    const claimed: TaskRow[] = []
    for (let open = lanes; open.length > 0;) {
      const share = Math.max(1, Math.floor(this.#left.total / open.length))
      const unprovenShare = Math.max(1, Math.floor(this.#left.unproven / open.filter(({ host }) => !host.isProven).length))
      open = open.filter((lane) => {
        const limit = Math.min(this.#limitOf(lane, unprovenShare), share)
        if (limit <= 0) return false
        const rows = this.#claimOfLane(lane, limit)
        claimed.push(...rows)
        return rows.length === limit
      })
    }
    return claimed
  }

  #limitOf({ host, limits }: LaneShare, unprovenShare: number): number {
    const unproven = host.isProven ? Infinity : Math.min(unprovenShare, this.#left.unproven)
    return Math.min(host.free, limits?.free ?? Infinity, this.#left.total, unproven)
  }

  #claimOfLane({ lane, host, handler, limits }: LaneShare, limit: number): TaskRow[] {
    const { statements, handlers, cursors } = this.#session
    if ((handler !== undefined || handlers.areThere) && !this.#moveMisplaced(lane, limit)) return []
    const { now, node, leaseUntil } = this.#claim
    const rows = statements.claim.all({ lane, limit, now, node, leaseUntil }) as TaskRow[]
    if (rows.length > 0) cursors.served(lane)
    host.free -= rows.length
    this.#left.total -= rows.length
    if (!host.isProven) this.#left.unproven -= rows.length
    if (handler !== undefined && limits !== undefined) this.#groups.take(handler, limits, rows.length)
    if (rows.length < limit) this.#left.hiddenDue = Math.min(this.#left.hiddenDue, this.#nextOfEmptied(lane))
    return rows
  }

  /**
   * Rows whose handler came, went or changed place since they were stored leave the lane before they are claimed.
   * @returns whether the first `limit` rows that are due may be claimed: false where too many had to move for one claim
   */
  #moveMisplaced(lane: string, limit: number): boolean {
    const { statements, cursors, handlers } = this.#session
    const { host } = parseLane(lane)
    for (;;) {
      const due = statements.dueOfLane.all({ lane, now: this.#claim.now, limit }) as Pick<TaskRow, 'id' | 'name' | 'due_at'>[]
      const misplaced = due.filter(({ name }) => handlers.laneOf(name, host) !== lane)
      for (const { id, name, due_at: dueAt } of misplaced) {
        const home = handlers.laneOf(name, host)
        statements.moveToLane.run(home, id)
        cursors.lower(home, dueAt)
        // It may have been found empty before.
        this.#seen.delete(home)
      }
      if (misplaced.length === 0) return true
      this.#moved += misplaced.length
      if (this.#moved >= MOST_MOVED) {
        this.#left.hiddenDue = this.#claim.now
        return false
      }
    }
  }

  /** Rows that are out of time, and have not been ended yet, keep a lane's bound where it is: then the next row is looked for behind them. */
  #nextOfEmptied(lane: string): number {
    const { statements, cursors } = this.#session
    const first = cursors.correct(lane)
    if (first === undefined || first > this.#claim.now) return NEVER
    return (statements.firstDueOfLaneAfter.get(lane, this.#claim.now) as number | null) ?? NEVER
  }

  /** Handlers that have just used up their room: their lanes are passed over until they have some again. */
  #closeExhausted(lanes: readonly LaneShare[]): void {
    const exhausted = lanes.filter(({ limits }) => limits !== undefined && limits.free <= 0)
    if (exhausted.length === 0) return
    const rooms = new HandlerUsage(this.#session, this.#claim.now)
    for (const { lane, handler } of exhausted) if (handler !== undefined) this.#session.cursors.close(lane, rooms.forCalls(handler).opensAt)
  }
}
