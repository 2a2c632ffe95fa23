/** The claim for calls: takes due rows lane by lane, shared evenly. It reads no row that waits behind a full lane. */
import { hostOf } from '../../../domain/task/task.ts'
import { ClaimShares, byTurn, type LaneShare, type LaneTurn } from '../../rules/claim-shares.ts'
import { knownTime, noCapacity, noLimit, type HandlerCapacity } from '../../rules/handler-book.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { rulesText, type TaskRow } from '../../rows/task-row.ts'
import { PAGE_BYTES } from '../../../domain/task/page-size.ts'
import type { Claim } from '../../store.ts'
import { moveToLane } from '../rows/rows.ts'
import { CLAIM, FIND_DUE, type DueRow } from './claim-statements.ts'
import { finishClaim } from './finish-claim.ts'
import { capacityOf } from '../handlers/handler-usage.ts'
import { addStarts } from '../results/starts.ts'
import type { Transaction, Verb } from '../session.ts'

type OpenLane = LaneShare & LaneTurn

/** So many rows are claimed before their size is looked at. */
const ROWS_AT_ONCE = 4

export const claimDue: Verb<'claimDue'> = (transaction, claim) => {
  transaction.cursors.passTime(claim.now)
  const run = new ClaimRun(transaction, claim)
  const tasks = finishClaim(transaction, run.claim(), claim)
  const nextDue = run.nextDue()
  return { tasks, nextDue: knownTime(nextDue) }
}

class ClaimRun {
  readonly #transaction: Transaction
  readonly #claim: Claim
  readonly #shares: ClaimShares<OpenLane>
  /** by handler, without the tasks of this claim */
  readonly #capacities = new Map<string, HandlerCapacity>()
  /** how much the definitions of further rows may hold */
  #bytes = PAGE_BYTES

  constructor(transaction: Transaction, claim: Claim) {
    this.#transaction = transaction
    this.#claim = claim
    this.#shares = new ClaimShares(claim)
  }

  claim(): TaskRow[] {
    const rows: TaskRow[] = []
    while (this.#shares.goesOn) {
      const lanes = this.#openLanes()
      if (lanes.length === 0) break
      rows.push(...this.#claimOfLanes(lanes))
      const second = Math.floor(this.#claim.now / 1000)
      for (const [handler, count] of this.#shares.takeStarts()) addStarts(this.#transaction, handler, count, second)
      this.#closeExhausted(lanes)
    }
    for (const [lane, until] of this.#shares.closed) this.#transaction.cursors.close(lane, until)
    return rows
  }

  nextDue(): number {
    return Math.min(this.#shares.againAt, this.#transaction.cursors.nextDue(this.#claim.now))
  }

  /** Due lanes that this claim has not seen. It passes over lanes of full hosts, and closes lanes of handlers without capacity. */
  #openLanes(): OpenLane[] {
    const { cursors, handlers } = this.#transaction
    for (const { lane, next_due: dueAt } of cursors.due(this.#claim.now)) {
      const { handler, host: ownHost } = parseLane(lane)
      // Rows without a callback of their own go to the host of their handler.
      const called = handler !== undefined && ownHost === '' ? hostOf(handlers.of(handler)?.definition ?? {}) : ownHost
      const host = this.#shares.hostShare(called)
      if (!this.#shares.isOpen(lane, host)) continue
      const turn = { lane, host, dueAt, servedAt: cursors.lastServed(lane) }
      const share = handler === undefined ? turn : { ...turn, handler, limits: this.#limitsOf(handler, this.#capacities) }
      if (!this.#shares.add(share)) break
    }
    return this.#shares.takeFound().sort(byTurn)
  }

  /** For calls: a handler whose tasks workers pull has no capacity. @param known the handlers that are counted already */
  #limitsOf(name: string, known: Map<string, HandlerCapacity>): HandlerCapacity {
    const handler = this.#transaction.handlers.of(name)
    if (handler === undefined) return noLimit()
    if (handler.definition.pull) return noCapacity()
    const capacity = known.get(name) ?? capacityOf(this.#transaction, handler, this.#claim.now)
    known.set(name, capacity)
    return capacity
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
        if (this.#bytes <= 0) return claimed
      }
      open = this.#shares.stillOpen(open, wishes)
    }
    return claimed
  }

  /** @returns undefined where the claim must stop, because it has moved too many rows */
  #claimOfLane(share: OpenLane, limit: number): TaskRow[] | undefined {
    const { sql, handlers, cursors } = this.#transaction
    const { lane, handler } = share
    if ((handler !== undefined || handlers.areThere) && !this.#moveMisplaced(lane, limit)) return undefined
    const { now, node, leaseUntil } = this.#claim
    const rules = rulesText(handler === undefined ? undefined : handlers.of(handler)?.definition)
    const rows: TaskRow[] = []
    for (let part = ROWS_AT_ONCE; part === ROWS_AT_ONCE && rows.length < limit && this.#bytes > 0;) {
      const claimed = sql.all<TaskRow>(CLAIM, { lane, limit: Math.min(ROWS_AT_ONCE, limit - rows.length), now, node, leaseUntil, rules })
      for (const { definition } of claimed) this.#bytes -= definition.length
      rows.push(...claimed)
      part = claimed.length
    }
    // The caller claims again, so that nothing else waits for large definitions.
    if (this.#bytes <= 0) this.#shares.hides(now)
    this.#shares.took(share, limit, rows.length)
    if (rows.length > 0) cursors.served(lane)
    if (rows.length < limit) this.#shares.hides(cursors.correct(lane, now))
    return rows
  }

  /** A handler may have come or gone since due rows were stored. @returns whether the first `limit` due rows may be claimed */
  #moveMisplaced(lane: string, limit: number): boolean {
    const { sql, cursors, handlers } = this.#transaction
    const { host } = parseLane(lane)
    for (;;) {
      const due = sql.all<DueRow>(FIND_DUE, { lane, now: this.#claim.now, limit })
      const misplaced = due.map((row) => ({ row, home: handlers.laneOf(row.name, host) })).filter(({ home }) => home !== lane)
      if (misplaced.length === 0) return true
      for (const { row, home } of misplaced) {
        moveToLane(this.#transaction, row, home)
        cursors.lower(home, row.due_at)
      }
      if (!this.#shares.moved(misplaced.map(({ home }) => home))) return false
    }
  }

  /** Counts the handlers again, because the tasks of this claim run now. */
  #closeExhausted(lanes: readonly OpenLane[]): void {
    const counted = new Map<string, HandlerCapacity>()
    for (const { lane, handler } of this.#shares.exhausted(lanes)) this.#shares.close(lane, this.#limitsOf(handler, counted).opensAt)
  }
}
