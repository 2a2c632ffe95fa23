/** The claim of a worker: due rows of one handler, within its limits. */
import { NEVER } from '../../rules/handler-capacity.ts'
import type { PullResult } from '../../store.ts'
import type { Changes } from '../../rules/changes.ts'
import { finishClaim } from './finish-claim.ts'
import { HandlerUsage } from './handler-usage.ts'
import { lanesOf } from '../../rows/lane-name.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Session } from '../session.ts'

export interface Worker {
  readonly now: number
  readonly node: string
  readonly leaseUntil: number
  readonly limit: number
}

/** Must run inside a write transaction. */
export function pullDue(session: Session, handlerName: string, worker: Worker, changes: Changes): PullResult | 'not_pulled' {
  const { statements, handlers } = session
  const handler = handlers.get(handlerName)?.definition
  if (handler?.pull !== true) return 'not_pulled'
  const { now, node, leaseUntil } = worker
  const rooms = new HandlerUsage(session, now)
  const room = rooms.within(handlerName, handler)
  const limit = Math.min(worker.limit, room.free)
  if (limit <= 0) return { tasks: [], nextDue: room.opensAt < NEVER ? room.opensAt : undefined }
  const lanes = statements.lanesBetween.all(lanesOf(handlerName)) as string[]
  const due = lanes.flatMap((lane) => statements.dueOfLane.all({ lane, now, limit }) as Pick<TaskRow, 'id' | 'name' | 'due_at'>[])
  // Rows of a handler that has just come are about to leave the lane.
  const own = due.filter((row) => handlers.of(row.name)?.name === handlerName)
  const oldest = own.sort((a, b) => a.due_at - b.due_at).slice(0, limit)
  const rows = oldest.map(({ id }) => statements.claimForWorker.get({ id, node, leaseUntil, now }) as TaskRow)
  rooms.take(handlerName, room, rows.length)
  const nextDue = Math.min(...lanes.map((lane) => (statements.firstDueOfLaneAfter.get(lane, now) as number | null) ?? NEVER))
  return { tasks: finishClaim(session, rows, worker, changes), nextDue: nextDue < NEVER ? nextDue : undefined }
}
