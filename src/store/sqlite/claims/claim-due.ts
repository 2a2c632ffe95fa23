/** The claim for calls: takes due rows lane by lane, shared evenly. It reads no row that waits behind a full lane. */
import { hostOf } from '../../../domain/task/task.ts'
import { ClaimShares, byTurn } from '../../rules/claim-shares.ts'
import type { LaneShare, LaneTurn } from '../../rules/claim-shares.ts'
import { NEVER } from '../../rules/handler-capacity.ts'
import type { Changes } from '../../rules/changes.ts'
import { parseLane } from '../../rows/lane-name.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Claim, ClaimResult } from '../../store.ts'
import { moveToLane } from '../rows/rows.ts'
import { claimOfLane, findDue } from './claim-statements.ts'
import { finishClaim } from './finish-claim.ts'
import { HandlerUsage } from './handler-usage.ts'
import type { Session } from '../session.ts'

type OpenLane = LaneShare & LaneTurn

/** Must run inside a write transaction. */
export function claimDue(session: Session, claim: Claim, changes: Changes): ClaimResult {
  session.cursors.passTime(claim.now)
  const run = new ClaimRun(session, claim)
  const tasks = finishClaim(session, run.claim(), claim, changes)
  const nextDue = run.nextDue()
  return { tasks, nextDue: nextDue < NEVER ? nextDue : undefined }
}

class ClaimRun {
  readonly #session: Session
  readonly #claim: Claim
  readonly #shares: ClaimShares<OpenLane>

  constructor(session: Session, claim: Claim) {
    this.#session = session
    this.#claim = claim
    this.#shares = new ClaimShares(claim)
  }

  claim(): TaskRow[] {
    const { cursors } = this.#session
    const usage = new HandlerUsage(this.#session, this.#claim.now)
    const rows: TaskRow[] = []
    while (this.#shares.goesOn) {
      const lanes = this.#openLanes(usage)
      if (lanes.length === 0) break
      rows.push(...this.#claimOfLanes(lanes))
      for (const [handler, count] of this.#shares.takeStarts()) usage.addStarts(handler, count)
      this.#closeExhausted(lanes)
    }
    for (const [lane, until] of this.#shares.closed) cursors.close(lane, until)
    return rows
  }

  nextDue(): number {
    return Math.min(this.#shares.againAt, this.#session.cursors.nextDue(this.#claim.now))
  }

  /** Due lanes that this claim has not seen. Lanes of full hosts are passed over, lanes of handlers without capacity are closed. */
  #openLanes(usage: HandlerUsage): OpenLane[] {
    const { cursors } = this.#session
    for (const { lane, dueAt } of cursors.due(this.#claim.now)) {
      const { handler, host: ownHost } = parseLane(lane)
      const host = this.#shares.hostShare(this.#hostOfLane(handler, ownHost))
      if (!this.#shares.isOpen(lane, host)) continue
      const turn = { lane, host, dueAt, servedAt: cursors.lastServed(lane) }
      if (!this.#shares.add(handler === undefined ? turn : { ...turn, handler, limits: usage.forCalls(handler) })) break
    }
    return this.#shares.takeFound().sort(byTurn)
  }

  /** Rows without a callback of their own go to the host of their handler. */
  #hostOfLane(handler: string | undefined, ownHost: string): string {
    return ownHost === '' && handler !== undefined ? hostOf(this.#session.handlers.of(handler)?.definition ?? {}) : ownHost
  }

  #claimOfLanes(lanes: OpenLane[]): TaskRow[] {
    const claimed: TaskRow[] = []
    for (let open = lanes; open.length > 0;) {
      const wishes = this.#shares.wishes(open)
      if (wishes.size === 0) break
      for (const [lane, wish] of wishes) {
        const rows = this.#claimOfLane(lane, wish)
        if (rows === undefined) return claimed
        claimed.push(...rows)
      }
      open = this.#shares.stillOpen(open, wishes)
    }
    return claimed
  }

  /** @returns undefined where too many rows had to move for one claim */
  #claimOfLane(share: OpenLane, wish: number): TaskRow[] | undefined {
    const { handlers, cursors } = this.#session
    const { lane, handler } = share
    if ((handler !== undefined || handlers.areThere) && !this.#moveMisplaced(lane, wish)) return undefined
    const rows = claimOfLane(this.#session, lane, wish, this.#claim)
    this.#shares.took(share, wish, rows.length)
    if (rows.length > 0) cursors.served(lane)
    if (rows.length < wish) this.#shares.hides(this.#nextOfEmptied(lane))
    return rows
  }

  /**
   * Rows leave the lane before the claim where their handler came, went or changed place since they were stored.
   * @returns whether the first `limit` due rows may be claimed
   */
  #moveMisplaced(lane: string, limit: number): boolean {
    const { cursors, handlers } = this.#session
    const { host } = parseLane(lane)
    for (;;) {
      const due = findDue(this.#session, lane, this.#claim.now, limit).map((row) => ({ row, home: handlers.laneOf(row.name, host) }))
      const misplaced = due.filter(({ home }) => home !== lane)
      if (misplaced.length === 0) return true
      for (const { row, home } of misplaced) {
        moveToLane(this.#session, row, home)
        cursors.lower(home, row.due_at)
      }
      if (!this.#shares.moved(misplaced.map(({ home }) => home))) return false
    }
  }

  /** Rows that are out of time, and not ended yet, hold a lane's cursor back. The next row is found behind them. */
  #nextOfEmptied(lane: string): number {
    const { cursors } = this.#session
    const first = cursors.correct(lane)
    return first === undefined || first > this.#claim.now ? NEVER : cursors.nextDueOfLane(lane, this.#claim.now)
  }

  #closeExhausted(lanes: readonly OpenLane[]): void {
    const usage = new HandlerUsage(this.#session, this.#claim.now)
    for (const { lane, handler } of this.#shares.exhausted(lanes)) this.#shares.close(lane, usage.forCalls(handler).opensAt)
  }
}
