/** The claim of a node: takes due rows lane by lane, in even shares. It never looks at the rows behind a full lane. */
import { hostOf } from '../../../domain/task/task.ts'
import { parseLane } from '../../rows/lane-name.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { ClaimShares, MOST_LANES, byTurn, type HostShare, type LaneShare } from '../../rules/claim-shares.ts'
import { PAGE_BYTES } from '../../../domain/task/page-size.ts'
import type { Claim, ClaimResult } from '../../store.ts'
import { oneByOne } from '../commit/group-writer.ts'
import type { Place, Transaction } from '../commit/transaction.ts'
import type { ClaimView } from '../memory/lane-cursors.ts'
import { knownTime } from '../../rules/handler-book.ts'
import { claimRows, finishClaim, firstPlaces, lockDue, moveRows, type LaneFirst, type LaneWish } from './claim-rows.ts'
import { HandlerUsage } from '../handlers/handler-usage.ts'

interface OpenLane extends LaneShare {
  readonly cursor: Place
}

/** When to look again at rows that another node was about to claim. */
const LOOK_AGAIN_MS = 250

/** Answers with a function that makes the answer: the store calls it once the claim is durable. */
export const claimDue = oneByOne(async (transaction, claim: Claim): Promise<() => ClaimResult> => {
  await transaction.session.peers.catchUp()
  const run = new ClaimRun(transaction, claim)
  const tasks = await finishClaim(transaction, await run.claim(), claim)
  const firsts = await firstPlaces(transaction, run.shares.lanes, claim.now)
  return () => ({ tasks, nextDue: run.end(firsts) })
})

class ClaimRun {
  readonly #transaction: Transaction
  readonly #claim: Claim
  readonly #view: ClaimView
  readonly shares: ClaimShares<OpenLane>
  readonly #usage: HandlerUsage
  /** how much the definitions of further rows may hold */
  #bytes = PAGE_BYTES

  constructor(transaction: Transaction, claim: Claim) {
    this.#transaction = transaction
    this.#claim = claim
    this.#view = transaction.session.cursors.begin(claim.now)
    this.shares = new ClaimShares(claim)
    this.#usage = new HandlerUsage(transaction, claim.now)
  }

  async claim(): Promise<TaskRow[]> {
    const rows: TaskRow[] = []
    while (this.shares.goesOn) {
      const lanes = await this.#openLanes()
      if (lanes.length === 0) break
      rows.push(...(await this.#claimOfLanes(lanes)))
      for (const { lane, handler } of this.shares.exhausted(lanes)) {
        this.shares.close(lane, (await this.#usage.recount(handler)).opensAt)
      }
    }
    return rows
  }

  /** Moves the cursors of the lanes, once the claim is durable. @returns when to claim again, epoch ms; undefined where nothing waits */
  end(firsts: readonly LaneFirst[]): number | undefined {
    const { cursors } = this.#transaction.session
    const { now } = this.#claim
    cursors.end(this.#view, { firsts, closed: this.shares.closed })
    for (const lane of this.shares.served) cursors.served(lane)
    for (const { lane, claimableAt } of firsts) {
      if (claimableAt === null || !this.shares.emptied.has(lane)) continue
      // The row waits behind others that are out of time, or the claim of another node passed over it and may fail.
      this.shares.hides(claimableAt > now ? claimableAt : now + LOOK_AGAIN_MS)
    }
    return knownTime(Math.min(this.shares.againAt, cursors.nextDue(now)))
  }

  /** New lanes with a due row and capacity, in their turn. */
  async #openLanes(): Promise<OpenLane[]> {
    const lanes = this.#transaction.session.cursors.due(this.#claim.now)
    const turns = lanes.map((lane) => ({ ...lane, dueAt: lane.cursor.dueAt, ...this.#ownersOf(lane.lane) }))
    const open = turns.filter(({ lane, host }) => this.shares.isOpen(lane, host)).sort(byTurn)
    await this.#usage.lock(open.slice(0, MOST_LANES).flatMap(({ handler }) => handler ?? []))
    for (const { lane, cursor, host, handler } of open) {
      const limits = handler === undefined ? {} : { handler, limits: await this.#usage.forCalls(handler) }
      if (!this.shares.add({ lane, cursor, host, ...limits })) break
    }
    return this.shares.takeFound()
  }

  #ownersOf(lane: string): { host: HostShare; handler: string | undefined } {
    const { handler, host } = parseLane(lane)
    const isOfHandler = host === '' && handler !== undefined
    const called = isOfHandler ? hostOf(this.#transaction.session.handlers.of(handler)?.definition ?? {}) : host
    return { host: this.shares.hostShare(called), handler }
  }

  /** Claims round by round, until nothing is due in the lanes or a limit is reached. */
  async #claimOfLanes(lanes: readonly OpenLane[]): Promise<TaskRow[]> {
    const claimed: TaskRow[] = []
    for (let open = lanes; open.length > 0;) {
      const wishes = this.shares.wishes(open)
      const ofLanes = [...wishes].map(([{ lane, cursor }, limit]) => ({ lane, cursor, limit }))
      if (wishes.size === 0 || !(await this.#moveMisplaced(ofLanes))) break
      const rows = await claimRows(this.#transaction, ofLanes, this.#claim, this.#bytes)
      claimed.push(...rows)
      for (const { definition } of rows) this.#bytes -= Buffer.byteLength(definition)
      const byLane = Map.groupBy(rows, ({ lane }) => lane)
      for (const [lane, wish] of wishes) this.shares.took(lane, wish, byLane.get(lane.lane)?.length ?? 0)
      for (const [handler, count] of this.shares.takeStarts()) await this.#usage.addStarts(handler, count)
      // The caller claims again, so that nothing else waits for large definitions.
      if (this.#bytes <= 0) this.shares.hides(this.#claim.now)
      open = this.#bytes <= 0 ? [] : this.shares.stillOpen(open, wishes)
    }
    return claimed
  }

  /** Moves due rows whose handler came, went or changed since. @returns false if too many had to move for one claim: it ends then */
  async #moveMisplaced(wishes: readonly LaneWish[]): Promise<boolean> {
    const { cursors, handlers } = this.#transaction.session
    if (!handlers.areThere && wishes.every(({ lane }) => parseLane(lane).handler === undefined)) return true
    for (;;) {
      const due = await lockDue(this.#transaction, wishes, this.#claim.now)
      const homes = due.map((row) => ({ row, lane: handlers.laneOf(row.name, parseLane(row.lane).host) }))
      const misplaced = homes.filter(({ row, lane }) => lane !== row.lane)
      if (misplaced.length === 0) return true
      await moveRows(this.#transaction, misplaced)
      for (const { row, lane } of misplaced) cursors.lower(lane, { dueAt: row.due_at, id: row.id })
      if (!this.shares.moved(misplaced.map(({ lane }) => lane))) return false
    }
  }
}
