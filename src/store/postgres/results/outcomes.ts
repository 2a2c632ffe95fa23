/** What becomes of entries: the record of attempts, the end of what is out of time, the rescue of what lost its node, and the word of whoever had the work. */
import { acceptedAttempt, lossOf, reportOf } from '../../../domain/attempt/attempt-report.ts'
import type { AttemptReport } from '../../../domain/attempt/attempt-report.ts'
import type { Task } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import { applyVerdict } from '../../../domain/attempt/transitions.ts'
import { expiry } from '../../../domain/attempt/verdict.ts'
import type { AckResult, Acknowledgement } from '../../store.ts'
import { toTask } from '../../rows/task-row.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Queries } from '../commit/database.ts'
import { columnsOf, findRow, keyOf, keyParams, lockRow, readBack, readRows, readTasks } from '../rows/rows.ts'
import { continueSeries } from '../tasks/series.ts'
import type { Session } from '../session.ts'
import type { Transaction } from '../commit/transaction.ts'
import { writeReports } from './record.ts'

const WAITING = `t.state IN ('pending', 'retrying')`
export const ANY_EXPIRED = `SELECT 1 FROM callme.tasks t WHERE ${WAITING} AND t.deadline > $1 AND t.deadline <= $2 LIMIT 1`
const EXPIRED = `
  SELECT ${columnsOf('t')} FROM callme.tasks t WHERE ${WAITING} AND t.deadline > $1 AND t.deadline <= $2
  ORDER BY t.deadline LIMIT $3 FOR UPDATE SKIP LOCKED`
const EXTEND = `
  UPDATE callme.tasks t SET deadline = k.deadline FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (name, trigger_at, deadline)
  WHERE t.name = k.name AND t.trigger_at = k.trigger_at`
const LEASE_OVER = `
  SELECT ${columnsOf('t')} FROM callme.tasks t WHERE t.state = 'running' AND t.lease_until > $1 AND t.lease_until <= $2
  ORDER BY t.lease_until LIMIT $3 FOR UPDATE SKIP LOCKED`
/** A claim is durable before its lease is over, or not at all; and what another node was about to settle is settled by now, or not at all. */
const LEASE_MARGIN_MS = 15_000
const ABANDONED = `
  SELECT ${columnsOf('t')} FROM callme.tasks t WHERE t.state = 'running' AND t.claimed_by <> $1 AND t.awaiting IS NULL LIMIT $2
  FOR UPDATE SKIP LOCKED`
const RENEW = `
  UPDATE callme.tasks t SET lease_until = k.lease_until
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::int[], $5::bigint[]) AS k (name, trigger_at, run_id, attempts, lease_until)
  WHERE t.name = k.name AND t.trigger_at = k.trigger_at AND t.run_id = k.run_id AND t.attempts = k.attempts AND t.state = 'running'
    AND t.awaiting IS NULL`
const PROLONG = `
  UPDATE callme.tasks SET lease_until = $3, awaiting = coalesce(awaiting, 'ack'), updated = $4 WHERE name = $1 AND trigger_at = $2`
// What was accepted has its attempt already.
const BEGIN_ATTEMPT = `
  INSERT INTO callme.attempts AS a (name, trigger_at, run_id, number, due_at, started_at, duration_ms, outcome, attempts_left, node)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
  ON CONFLICT (trigger_at, name, run_id, number) DO UPDATE SET outcome = excluded.outcome,
    duration_ms = greatest(0, excluded.started_at + excluded.duration_ms - a.started_at), error = NULL`

/** Of many callers at once: answers each, in order, whether its outcomes were written. */
export async function recordReports(transaction: Transaction, inputs: readonly (readonly AttemptReport[])[]): Promise<boolean[][]> {
  const tasks = await writeReports(transaction, inputs.flat())
  const written = tasks.map((task) => task !== undefined)
  return inputs.map(({ length }) => written.splice(0, length))
}

/** @param search after which time, and up to which, deadlines are looked at */
export async function expireRows(
  session: Session,
  transaction: Transaction,
  search: { after: number; now: number; limit: number },
): Promise<{ tasks: Task[]; more: boolean }> {
  const { after, now, limit } = search
  const rows = await readRows(transaction, EXPIRED, [after, now, limit])
  const tasks = rows.map((row) => toTask(row, session.handlers.of(row.name)?.definition))
  await extendWindows(
    transaction,
    rows,
    tasks.map(({ deadline }) => deadline),
    now,
  )
  const over = await continueSeries(
    session,
    transaction,
    rows.filter((_, index) => (tasks[index]?.deadline ?? 0) <= now),
    now,
  )
  const outcomes = over.map((row): AttemptReport => {
    const task = toTask(row, session.handlers.of(row.name)?.definition)
    const { responseStatus, responseBody } = task
    return { task, update: applyVerdict(task, expiry(task), now), now, responseStatus, responseBody }
  })
  const ended = await writeReports(transaction, outcomes)
  return { tasks: ended.flatMap((task) => task ?? []), more: rows.length === limit }
}

/** Of those that the handler allows more time than it did when the row was written. */
async function extendWindows(transaction: Transaction, rows: readonly TaskRow[], deadlines: readonly number[], now: number): Promise<void> {
  const extended = rows.flatMap((row, index) => {
    const deadline = deadlines[index] ?? 0
    return deadline > now ? [{ row, deadline }] : []
  })
  if (extended.length === 0) return
  for (const { row, deadline } of extended) transaction.notes.rowWaits(row.lane, { dueAt: row.due_at, id: row.id }, deadline)
  await transaction.query(EXTEND, [...keyParams(extended.map(({ row }) => keyOf(row))), extended.map(({ deadline }) => deadline)])
}

/** @param which rows whose lease is over, or those that another node has under way */
export async function rescueRows(
  session: Session,
  transaction: Transaction,
  { now, limit, onlyNode }: { now: number; limit: number; onlyNode?: string },
): Promise<Task[]> {
  const { handlers, leases } = session
  const rows =
    onlyNode === undefined
      ? await readRows(transaction, LEASE_OVER, [leases.begin(now), now, limit])
      : await readRows(transaction, ABANDONED, [onlyNode, limit])
  if (rows.length === 0 && onlyNode === undefined) leases.clear(now - LEASE_MARGIN_MS)
  const tasks = await readTasks(transaction, handlers, rows)
  const written = await writeReports(
    transaction,
    tasks.map((task) => lossOf(task, now)),
  )
  return written.flatMap((task) => task ?? [])
}

export async function renewLeases(
  transaction: Transaction,
  inputs: readonly { claims: readonly Task[]; leaseUntil: number }[],
): Promise<undefined[]> {
  const claims = inputs.flatMap(({ claims, leaseUntil }) => claims.map((task) => ({ task, leaseUntil })))
  await transaction.query(RENEW, [
    ...keyParams(claims.map(({ task }) => task)),
    claims.map(({ task }) => task.runId),
    claims.map(({ task }) => task.attempts),
    claims.map(({ leaseUntil }) => leaseUntil),
  ])
  return inputs.map(() => undefined)
}

export async function acknowledge(session: Session, transaction: Transaction, ack: Acknowledgement): Promise<AckResult> {
  const row = await lockRow(transaction, ack.key)
  const [task] = row === undefined ? [] : await readTasks(transaction, session.handlers, [row])
  if (task === undefined) return { status: 'unknown' }
  if (ack.runId !== undefined && ack.runId !== task.runId) return { status: 'other_run', task }
  if (task.state !== 'running') return { status: 'not_running', task }
  if (ack.attempt !== task.attempts) return { status: 'other_attempt', task }
  if (task.awaiting === null && task.definition.ack_timeout === undefined) return { status: 'unexpected', task }
  const { now } = ack
  if (ack.status === 'running') return { status: 'acknowledged', task: await prolong(session, transaction, task, now) }
  const result = {
    kind: 'acknowledged',
    ...{ startedAt: task.updated, endedAt: now },
    success: ack.status === 'successful',
    retryable: ack.retryable,
    detail: ack.detail,
  } as const
  const [ended] = await writeReports(transaction, [reportOf(task, result, task.claimedBy ?? 'unknown', now, ack.random)])
  if (ended === undefined) throw new Error(`${formatTaskKey(task)} is running and was not recorded by its own run and attempt`)
  return {
    status: 'acknowledged',
    task: (await isThere(transaction, ack.key)) ? await readBack(transaction, session.handlers, ack.key) : ended,
  }
}

async function isThere(queries: Queries, key: Acknowledgement['key']): Promise<boolean> {
  return (await findRow(queries, key)) !== undefined
}

/** By as much time as it had: a worker its lease, an accepted call its whole `ack_timeout`. */
async function prolong(session: Session, transaction: Transaction, task: Task, now: number): Promise<Task> {
  const { ack_timeout: minutes } = task.definition
  const had = (task.leaseUntil ?? now) - task.updated
  const lease = task.awaiting === 'worker' || minutes === undefined ? had : minutes * 60_000
  await transaction.query(PROLONG, [task.name, task.triggerAt, now + lease, now])
  if (task.awaiting !== 'ack') {
    const { runId, number, dueAt, startedAt, durationMs, outcome, attemptsLeft, node } = acceptedAttempt(task, now)
    const times = [dueAt, startedAt, durationMs]
    await transaction.query(BEGIN_ATTEMPT, [task.name, task.triggerAt, runId, number, ...times, outcome, attemptsLeft, node])
  }
  const prolonged = await readBack(transaction, session.handlers, task)
  transaction.changes.emit('updated', prolonged, now)
  return prolonged
}
