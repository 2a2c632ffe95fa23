/** The claim: takes due rows lane by lane, shared evenly, without looking at the rows that wait behind a full lane. */
import type { Claim, ClaimResult } from '../store.ts'
import type { Tally } from './counters.ts'
import { toTask } from './row.ts'
import type { TaskRow } from './row.ts'
import type { Session } from './session.ts'
import type { Statements } from './statements.ts'

interface LaneShare {
  readonly lane: string
  readonly isProven: boolean
  readonly inflight: number
  room: number
}

/** How many tasks may still be claimed, and when the next one is due of those that its lane's bound does not show. */
interface Left {
  total: number
  unproven: number
  hiddenDue: number
}

/** How many lanes are looked at in one go at the least: a lane's bound may be out of date and the lane have nothing. */
const LANES_AT_ONCE = 100
/** How many lanes one claim looks at: with more, the caller is told to claim again, so that the process is never held up. */
const MOST_LANES = 500

/** Must run inside a write transaction. */
export function claimDue(session: Session, claim: Claim, tally: Tally): ClaimResult {
  const rows: TaskRow[] = []
  const left = { total: claim.limit, unproven: claim.unprovenLimit, hiddenDue: Infinity }
  const seen = new Set<string>()
  while (left.total > 0 && left.hiddenDue > claim.now) {
    const lanes = lanesWithRoom(session, claim, left, seen)
    if (lanes.length === 0) break
    if (seen.size >= MOST_LANES) left.hiddenDue = claim.now
    rows.push(...claimOfLanes(session, claim, lanes, left))
  }
  // A task that has never been tried was pending, any other was retrying.
  for (const row of rows) tally.moved(row.attempts === 1 ? 'pending' : 'retrying', 'running')
  rows.sort((a, b) => a.due_at - b.due_at)
  const nextDue = Math.min(left.hiddenDue, (session.statements.nextDue.get(claim.now) as number | null) ?? Infinity)
  return { tasks: rows.map(toTask), nextDue: nextDue === Infinity ? undefined : nextDue }
}

/** Lanes not seen before with something due, idle ones first, then by how long they are due. Full ones are passed over: there are at most as many as calls under way. */
function lanesWithRoom({ statements }: Session, claim: Claim, left: Left, seen: Set<string>): LaneShare[] {
  const found: LaneShare[] = []
  for (const lane of statements.dueLanes.iterate(claim.now) as IterableIterator<string>) {
    const { room, isProven, inflight } = claim.lanes.get(lane) ?? { room: claim.roomOfNewLane, isProven: false, inflight: 0 }
    if (seen.has(lane) || room <= 0 || (!isProven && left.unproven <= 0)) continue
    seen.add(lane)
    found.push({ lane, isProven, inflight, room })
    if (found.length >= Math.max(left.total, LANES_AT_ONCE)) break
  }
  // Where slots come free one by one, a busy lane with an old backlog would otherwise get them all.
  return found.sort((a, b) => a.inflight - b.inflight)
}

/** Gives each lane an even share of what is left, and again those that have more due, until nothing is due or nothing is left. */
function claimOfLanes(session: Session, claim: Claim, lanes: LaneShare[], left: Left): TaskRow[] {
  const claimed: TaskRow[] = []
  for (let open = lanes; open.length > 0;) {
    const share = Math.max(1, Math.floor(left.total / open.length))
    const unprovenShare = Math.max(1, Math.floor(left.unproven / open.filter(({ isProven }) => !isProven).length))
    open = open.filter((lane) => {
      const limit = Math.min(share, lane.room, left.total, lane.isProven ? Infinity : Math.min(unprovenShare, left.unproven))
      if (limit <= 0) return false
      const rows = claimOfLane(session.statements, claim, lane.lane, limit)
      claimed.push(...rows)
      lane.room -= rows.length
      left.total -= rows.length
      if (!lane.isProven) left.unproven -= rows.length
      if (rows.length < limit) left.hiddenDue = Math.min(left.hiddenDue, nextOfEmptied(session, lane.lane, claim.now))
      return rows.length === limit
    })
  }
  return claimed
}

/** Rows that are out of time, and have not been ended yet, keep a lane's bound where it is: then the next row is looked for behind them. */
function nextOfEmptied({ statements, bounds }: Session, lane: string, now: number): number {
  const first = bounds.correct(lane)
  return first !== undefined && first <= now ? ((statements.firstDueOfLaneAfter.get(lane, now) as number | null) ?? Infinity) : Infinity
}

function claimOfLane(statements: Statements, claim: Claim, lane: string, limit: number): TaskRow[] {
  return statements.claim.all({ lane, limit, now: claim.now, node: claim.node, leaseUntil: claim.leaseUntil }) as TaskRow[]
}
