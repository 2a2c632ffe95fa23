/** Renews the leases of calls under way, and rescues tasks whose lease is over or whose node is gone. */
import { lossOf } from '../../../domain/attempt/attempt-report.ts'
import type { Task } from '../../../domain/task/task.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Store } from '../../store.ts'
import { oneByOne, together } from '../commit/group-writer.ts'
import type { Transaction } from '../commit/transaction.ts'
import { lockNumberOf } from '../presence.ts'
import { readTasks, arraysOf, bounded, columnsOf, readRows } from '../rows/rows.ts'
import { writeReports } from './record.ts'

const LEASE_OVER = bounded(
  `SELECT ${columnsOf('t')} FROM callme.tasks t WHERE t.state = 'running' AND t.lease_until > $1 AND t.lease_until <= $2
  ORDER BY t.lease_until LIMIT $3 FOR UPDATE SKIP LOCKED`,
  'lease_until',
)
/** A transaction that writes or ends a lease is over within this time. */
const LEASE_MARGIN_MS = 15_000
const ABANDONED = bounded(
  `SELECT ${columnsOf('t')} FROM callme.tasks t WHERE t.state = 'running' AND t.claimed_by <> $1 AND t.awaiting IS NULL LIMIT $2
  FOR UPDATE SKIP LOCKED`,
  'lease_until',
)
const ABANDONED_BY_NAME = bounded(
  `WITH earlier AS MATERIALIZED (
    SELECT DISTINCT claimed_by AS node FROM callme.tasks
    WHERE state = 'running' AND claimed_by <> $1 AND awaiting IS NULL AND starts_with(claimed_by, $3)),
  gone AS MATERIALIZED (SELECT node FROM earlier WHERE pg_try_advisory_xact_lock(${lockNumberOf('node')}))
  SELECT ${columnsOf('t')} FROM callme.tasks t
  WHERE t.state = 'running' AND t.awaiting IS NULL AND t.claimed_by IN (SELECT node FROM gone) LIMIT $2 FOR UPDATE OF t SKIP LOCKED`,
  'lease_until',
)
const RENEW = `
  UPDATE callme.tasks t SET lease_until = k.lease_until
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::int[], $5::bigint[]) AS k (name, trigger_at, run_id, attempts, lease_until)
  WHERE t.name = k.name AND t.trigger_at = k.trigger_at AND t.run_id = k.run_id AND t.attempts = k.attempts AND t.state = 'running'
    AND t.awaiting IS NULL`

export const renew = together(
  async (transaction, renewals: readonly { claims: readonly Task[]; leaseUntil: number }[]): Promise<undefined[]> => {
    const renewed = renewals.flatMap(({ claims, leaseUntil }) => claims.map((task) => ({ ...task, leaseUntil })))
    await transaction.query(RENEW, arraysOf(renewed, 'name', 'triggerAt', 'runId', 'attempts', 'leaseUntil'))
    return renewals.map(() => undefined)
  },
  () => 1,
  // A lease that ends while its renewal waits would have a call made twice.
  { isUrgent: true },
)

/** Takes tasks whose lease is over, or with `onlyNode` the tasks that other nodes have under way. */
export const rescue = oneByOne(async (transaction, search: Parameters<Store['rescue']>[0]): Promise<Task[]> => {
  const { session } = transaction
  const { now } = search
  const rows =
    search.onlyNode === undefined ? await findLost(transaction, search) : await findAbandoned(transaction, search.onlyNode, search)
  const tasks = await readTasks(transaction, session, rows)
  const reports = tasks.map((task) => lossOf(task, now))
  return (await writeReports(transaction, reports)).flatMap((task) => task ?? [])
})

async function findLost(transaction: Transaction, { now, limit }: { now: number; limit: number }): Promise<TaskRow[]> {
  const { leases } = transaction.session
  const rows = await readRows(transaction, LEASE_OVER, [leases.begin(now), now, limit])
  // Claims that waited for a store that was away may be written with leases that are over.
  if (limit === 0) leases.lower(0)
  else if (rows.length === 0) leases.clear(now - LEASE_MARGIN_MS)
  return rows
}

function findAbandoned(
  transaction: Transaction,
  node: string,
  { limit, nodeName }: { limit: number; nodeName?: string },
): Promise<TaskRow[]> {
  if (nodeName === undefined) return readRows(transaction, ABANDONED, [node, limit])
  return readRows(transaction, ABANDONED_BY_NAME, [node, limit, `${nodeName}#`])
}
