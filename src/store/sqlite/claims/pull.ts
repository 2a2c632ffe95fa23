/** The claim for a worker: takes due rows of one handler, and keeps the limits of that handler. */
import { knownTime } from '../../rules/handler-book.ts'
import { rulesText, type TaskRow } from '../../rows/task-row.ts'
import { CLAIM_FOR_WORKER, FIND_DUE, type DueRow } from './claim-statements.ts'
import { firstPage } from '../../../domain/task/page-size.ts'
import { finishClaim } from './finish-claim.ts'
import { capacityOf } from '../handlers/handler-usage.ts'
import { addStarts } from '../results/starts.ts'
import type { Verb } from '../session.ts'

export const pullDue: Verb<'pull'> = (transaction, name, worker) => {
  const { sql, cursors, handlers } = transaction
  const handler = handlers.of(name)
  if (handler?.name !== name || handler.definition.pull !== true) return 'not_pulled'
  const { now, node, leaseUntil } = worker
  const { free, hasRate, opensAt } = capacityOf(transaction, handler, now)
  const limit = Math.min(worker.limit, free)
  if (limit <= 0) return { tasks: [], nextDue: knownTime(opensAt) }
  const lanes = cursors.lanesOfHandler(name)
  const due = lanes.flatMap((lane) => sql.all<DueRow>(FIND_DUE, { lane, now, limit }))
  // The backfill of a new handler has not moved all of its rows out of these lanes yet.
  const own = due.filter((row) => handlers.of(row.name)?.name === name)
  const oldest = own.sort((a, b) => a.due_at - b.due_at).slice(0, limit)
  const rules = rulesText(handler.definition)
  const claimed = { now, node, leaseUntil, rules }
  const rows = firstPage(oldest, ({ bytes }) => bytes).map(({ id }) => sql.one<TaskRow>(CLAIM_FOR_WORKER, { id, ...claimed }))
  if (hasRate && rows.length > 0) addStarts(transaction, name, rows.length, Math.floor(now / 1000))
  const nextDue = Math.min(...lanes.map((lane) => cursors.nextDueOfLane(lane, now)))
  return { tasks: finishClaim(transaction, rows, worker), nextDue: knownTime(nextDue) }
}
