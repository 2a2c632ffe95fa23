/** The claim for a worker: due rows of one handler, within its limits. */
import { NEVER } from '../../rules/handler-capacity.ts'
import type { PullResult } from '../../store.ts'
import type { Changes } from '../../rules/changes.ts'
import { claimForWorker, findDue } from './claim-statements.ts'
import { finishClaim } from './finish-claim.ts'
import { HandlerUsage } from './handler-usage.ts'
import type { Session } from '../session.ts'

export interface Worker {
  readonly now: number
  readonly node: string
  readonly leaseUntil: number
  readonly limit: number
}

/** Must run inside a write transaction. */
export function pullDue(session: Session, name: string, worker: Worker, changes: Changes): PullResult | 'not_pulled' {
  const { cursors, handlers } = session
  const handler = handlers.of(name)
  if (handler?.name !== name || handler.definition.pull !== true) return 'not_pulled'
  const { now } = worker
  const usage = new HandlerUsage(session, now)
  const { free, hasRate, opensAt } = usage.within(name, handler.definition)
  const limit = Math.min(worker.limit, free)
  if (limit <= 0) return { tasks: [], nextDue: dueOrNever(opensAt) }
  const lanes = cursors.lanesOfHandler(name)
  // Rows of a handler that has just come are about to leave the lane.
  const due = lanes.flatMap((lane) => findDue(session, lane, now, limit)).filter((row) => handlers.of(row.name)?.name === name)
  const oldest = due.sort((a, b) => a.due_at - b.due_at).slice(0, limit)
  const rows = oldest.map((row) => claimForWorker(session, row, worker))
  if (hasRate && rows.length > 0) usage.addStarts(name, rows.length)
  const nextDue = Math.min(...lanes.map((lane) => cursors.nextDueOfLane(lane, now)))
  return { tasks: finishClaim(session, rows, worker, changes), nextDue: dueOrNever(nextDue) }
}

function dueOrNever(at: number): number | undefined {
  return at < NEVER ? at : undefined
}
