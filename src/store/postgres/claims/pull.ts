/** The claim of a worker: due rows of one handler, within its limits. */
import { NEVER } from '../../rules/handler-capacity.ts'
import type { HandlerRow } from '../../rows/handler-row.ts'
import { toHandler } from '../../rows/handler-row.ts'
import type { PullResult } from '../../store.ts'
import { claimForWorker, firstPlaces, lockDue } from './claim-statements.ts'
import { finishClaim } from './finish-claim.ts'
import { HandlerUsage } from './handler-usage.ts'
import type { Session } from '../session.ts'
import type { Transaction } from '../commit/transaction.ts'

export interface Worker {
  readonly now: number
  readonly node: string
  readonly leaseUntil: number
  readonly limit: number
}

const HANDLER = 'SELECT * FROM callme.handlers WHERE name = $1'

export async function pullDue(
  session: Session,
  transaction: Transaction,
  handlerName: string,
  worker: Worker,
): Promise<PullResult | 'not_pulled'> {
  const { handlers, cursors, peers } = session
  const { now } = worker
  const [row] = await transaction.query<HandlerRow>(HANDLER, [handlerName])
  const handler = row && toHandler(row).definition
  if (handler?.pull !== true) return 'not_pulled'
  await peers.catchUp()
  const sight = cursors.begin(now)
  const rooms = new HandlerUsage(transaction, session, now)
  const room = await rooms.within(handlerName, handler)
  const limit = Math.min(worker.limit, room.free)
  if (limit <= 0) return { tasks: [], nextDue: room.opensAt < NEVER ? room.opensAt : undefined }
  const lanes = cursors.of(handlerName).map((lane) => ({ lane, front: cursors.cursorOf(lane), limit }))
  const due = lanes.length === 0 ? [] : await lockDue(transaction, lanes, now)
  // Rows of a handler that has just come are about to leave the lane.
  const own = due.filter(({ name }) => handlers.of(name)?.name === handlerName)
  const oldest = own.toSorted((a, b) => a.due_at - b.due_at || a.id - b.id).slice(0, limit)
  const rows = await claimForWorker(transaction, oldest, worker)
  await rooms.take(handlerName, room, rows.length)
  const tasks = await finishClaim(session, transaction, rows, worker)
  const result = { tasks, nextDue: undefined as number | undefined }
  const firsts = await firstPlaces(transaction, lanes, now)
  transaction.afterCommit(() => {
    cursors.end(sight, { firsts, closed: new Map() })
    const dues = firsts.flatMap(({ again }) => again ?? [])
    const nextDue = Math.min(NEVER, ...dues.filter((dueAt) => dueAt > now))
    result.nextDue = nextDue < NEVER ? nextDue : undefined
  })
  return result
}
