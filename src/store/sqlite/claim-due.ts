/** The claim: takes due rows lane by lane, shared evenly, without looking at the rows that wait behind a full lane. */
import type { Task } from '../../domain/task.ts'
import type { Claim, ClaimResult } from '../store.ts'
import type { Tally } from './counters.ts'
import { toTask } from './row.ts'
import type { TaskRow } from './row.ts'
import type { Session } from './session.ts'
import type { Statements } from './statements.ts'

interface LaneShare {
  readonly lane: string
  readonly isProven: boolean
  room: number
}

/** Must run inside a write transaction. */
export function claimDue({ statements, bounds }: Session, claim: Claim, tally: Tally): ClaimResult {
  const tasks: Task[] = []
  let unprovenLeft = claim.unprovenLimit
  let lanes = lanesWithRoom(statements, claim)
  while (lanes.length > 0 && tasks.length < claim.limit) {
    const share = Math.max(1, Math.floor((claim.limit - tasks.length) / lanes.length))
    const stillDue: LaneShare[] = []
    for (const lane of lanes) {
      const limit = Math.min(share, lane.room, claim.limit - tasks.length, lane.isProven ? Infinity : unprovenLeft)
      if (limit <= 0) continue
      const rows = claimOfLane(statements, claim, lane.lane, limit)
      for (const row of rows) {
        // A task that has never been tried was pending, any other was retrying.
        tally.moved(row.attempts === 1 ? 'pending' : 'retrying', 'running')
        tasks.push(toTask(row))
      }
      lane.room -= rows.length
      if (!lane.isProven) unprovenLeft -= rows.length
      if (rows.length < limit) bounds.correct(lane.lane)
      else stillDue.push(lane)
    }
    lanes = stillDue.filter((lane) => lane.room > 0)
  }
  tasks.sort((a, b) => a.dueAt - b.dueAt)
  return { tasks, nextDue: (statements.nextDue.get(claim.now) as number | null) ?? undefined }
}

/** Lanes with something due, longest due first. Full ones are passed over: there are at most as many as calls under way. */
function lanesWithRoom(statements: Statements, claim: Claim): LaneShare[] {
  const found: LaneShare[] = []
  for (const lane of statements.dueLanes.iterate(claim.now) as IterableIterator<string>) {
    const { room, isProven } = claim.lanes.get(lane) ?? { room: claim.roomOfNewLane, isProven: false }
    if (room > 0 && (isProven || claim.unprovenLimit > 0)) found.push({ lane, isProven, room })
    if (found.length >= claim.limit) break
  }
  return found
}

function claimOfLane(statements: Statements, claim: Claim, lane: string, limit: number): TaskRow[] {
  return statements.claim.all({ lane, limit, now: claim.now, node: claim.node, leaseUntil: claim.leaseUntil }) as TaskRow[]
}
