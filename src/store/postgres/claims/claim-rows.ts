/** The statements that claim rows, for calls and for workers, and the end of a claim: its counts, its changes and the next tasks of its series. */
import { reportOf } from '../../../domain/attempt/attempt-report.ts'
import type { HandlerDefinition } from '../../../domain/task/handler.ts'
import type { Task } from '../../../domain/task/task.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { rulesText, toTask, type TaskRow } from '../../rows/task-row.ts'
import { whyUncallable } from '../../rules/report-effects.ts'
import type { Claim } from '../../store.ts'
import type { Place, Transaction } from '../commit/transaction.ts'
import { writeReports } from '../results/record.ts'
import { columnsOf, keyOf, keyParams, readRows } from '../rows/rows.ts'
import { continueSeries } from '../tasks/series.ts'

/** How many rows of a lane are wanted, from its cursor on. */
export interface LaneWish {
  readonly lane: string
  readonly limit: number
  readonly cursor: Place
}

const WISHES = 'unnest($1::text[], $2::bigint[], $3::bigint[], $4::int[]) AS w (lane, due_at, id, wanted)'
const RULED_WISHES = 'unnest($1::text[], $2::bigint[], $3::bigint[], $4::int[], $8::text[]) AS w (lane, due_at, id, wanted, rules)'
const WAITING = `t.state IN ('pending', 'retrying') AND t.lane = w.lane AND (t.due_at, t.id) >= (w.due_at, w.id)`
/** Passes over rows that another node is about to claim. */
const due = (wishes: string, more = ''): string => `
  SELECT t.name, t.trigger_at, t.lane, t.due_at, t.id, t.deadline, octet_length(t.definition) AS bytes${more} FROM ${wishes} CROSS JOIN LATERAL (
    SELECT * FROM callme.tasks t WHERE ${WAITING} AND t.due_at <= $5 AND t.deadline > $5
    ORDER BY t.due_at, t.id LIMIT w.wanted FOR UPDATE SKIP LOCKED) t`
const DUE = due(WISHES)
// The second condition is for the planner: it takes a wish for a tenth of its lane, and would read the whole table to join so many rows.
const run = (lease: string, node: string, now: string, awaiting: string, rules: string): string => `
  UPDATE callme.tasks t SET state = 'running', attempts = t.attempts + 1, lease_until = ${lease}, claimed_by = ${node},
    awaiting = ${awaiting}, updated = ${now}, rules = ${rules}
  FROM due WHERE t.name = due.name AND t.trigger_at = due.trigger_at AND t.name = ANY (ARRAY (SELECT name FROM due))
  RETURNING ${columnsOf('t')}`
/** The first of the due rows, as many as hold `$9` bytes of definitions together. */
const CLAIM = `
  WITH found AS MATERIALIZED (${due(RULED_WISHES, ', w.rules')}), sized AS (
    SELECT *, sum(bytes) OVER (ORDER BY due_at, id ROWS UNBOUNDED PRECEDING) - bytes AS before FROM found
  ), due AS MATERIALIZED (SELECT * FROM sized WHERE before < $9) ${run('$6', '$7', '$5', 'NULL', 'due.rules')}`
const CLAIM_FOR_WORKER = `
  WITH due AS (SELECT * FROM unnest($1::text[], $2::bigint[]) AS k (name, trigger_at)) ${run('$3', '$4', '$5', `'worker'`, '$6')}`
const MOVE = `
  UPDATE callme.tasks t SET lane = k.lane FROM unnest($1::text[], $2::bigint[], $3::text[]) AS k (name, trigger_at, lane)
  WHERE t.name = k.name AND t.trigger_at = k.trigger_at`
/** The transaction does not see its own claimed rows here. */
const FIRSTS = `
  SELECT w.lane, t.due_at, t.id, live.due_at AS "claimableAt" FROM ${WISHES}
  LEFT JOIN LATERAL (SELECT t.due_at, t.id FROM callme.tasks t WHERE ${WAITING} ORDER BY t.due_at, t.id LIMIT 1) t ON true
  LEFT JOIN LATERAL (
    SELECT t.due_at FROM callme.tasks t WHERE ${WAITING} AND t.deadline > $5 ORDER BY t.due_at, t.id LIMIT 1) live ON true`

export type DueRow = Pick<TaskRow, 'name' | 'trigger_at' | 'lane' | 'due_at' | 'id' | 'deadline'> & { readonly bytes: number }

type Claimer = Pick<Claim, 'now' | 'node' | 'leaseUntil'>

/** @param bytes how much their definitions may hold together */
export function claimRows(
  transaction: Transaction,
  wishes: readonly LaneWish[],
  { now, leaseUntil, node }: Claimer,
  bytes: number,
): Promise<TaskRow[]> {
  const { handlers } = transaction.session
  const rules = wishes.map(({ lane }) => {
    const { handler } = parseLane(lane)
    return rulesText(handler === undefined ? undefined : handlers.of(handler)?.definition)
  })
  return readRows(transaction, CLAIM, [...wishParams(wishes), now, leaseUntil, node, rules, bytes])
}

/** The due rows of the lanes, locked until the transaction ends. */
export async function lockDue(transaction: Transaction, wishes: readonly LaneWish[], now: number): Promise<DueRow[]> {
  return wishes.length === 0 ? [] : transaction.query<DueRow>(DUE, [...wishParams(wishes), now])
}

/** @param handler that of all rows */
export async function claimForWorker(
  transaction: Transaction,
  rows: readonly DueRow[],
  { leaseUntil, node, now }: Claimer,
  handler: HandlerDefinition,
): Promise<TaskRow[]> {
  if (rows.length === 0) return []
  return readRows(transaction, CLAIM_FOR_WORKER, [...keyParams(rows.map(keyOf)), leaseUntil, node, now, rulesText(handler)])
}

/** Moves waiting rows to other lanes. */
export async function moveRows(transaction: Transaction, moves: readonly { row: DueRow; lane: string }[]): Promise<void> {
  for (const { row, lane } of moves) transaction.notes.rowWaits(lane, { dueAt: row.due_at, id: row.id }, row.deadline)
  await transaction.query(MOVE, [...keyParams(moves.map(({ row }) => keyOf(row))), moves.map(({ lane }) => lane)])
}

export interface LaneFirst {
  readonly lane: string
  /** the place of its first waiting row; undefined for an empty lane */
  readonly first: Place | undefined
  /** when its first row is due that is not out of time, epoch ms; null without such a row */
  readonly claimableAt: number | null
}

/** Where the lanes begin after the claim. */
export async function firstPlaces(transaction: Transaction, lanes: readonly Omit<LaneWish, 'limit'>[], now: number): Promise<LaneFirst[]> {
  if (lanes.length === 0) return []
  const params = [...wishParams(lanes.map((lane) => ({ ...lane, limit: 1 }))), now]
  type Row = Pick<LaneFirst, 'lane' | 'claimableAt'> & { readonly due_at: number | null; readonly id: number }
  return (await transaction.query<Row>(FIRSTS, params)).map(({ lane, due_at: dueAt, id, claimableAt }) => {
    return { lane, first: dueAt === null ? undefined : { dueAt, id }, claimableAt }
  })
}

/** Stores the next tasks of the claimed series, and ends the tasks that cannot be called. @returns the tasks to call, oldest first */
export async function finishClaim(transaction: Transaction, claimed: readonly TaskRow[], { now, node }: Claimer): Promise<Task[]> {
  const { changes, session } = transaction
  if (claimed.length > 0) transaction.isWriting = true
  // A task without an attempt was pending, any other was retrying.
  for (const row of claimed) changes.moved(row, row.attempts === 1 ? 'pending' : 'retrying', 'running')
  const rows = await continueSeries(transaction, claimed.toSorted(oldestFirst), now)
  const tasks = rows.map((row) => toTask(row, session.handlers.of(row.name)))
  const callable = tasks.filter((task) => whyUncallable(task, now) === undefined)
  const reports = tasks.flatMap((task) => {
    const reason = whyUncallable(task, now)
    return reason === undefined ? [] : reportOf(task, { kind: 'not_called', reason }, node, now, 0)
  })
  await writeReports(transaction, reports)
  for (const task of callable) changes.emit('processing', task, now)
  return callable
}

export function oldestFirst(a: Pick<TaskRow, 'due_at' | 'id'>, b: Pick<TaskRow, 'due_at' | 'id'>): number {
  return a.due_at - b.due_at || a.id - b.id
}

function wishParams(wishes: readonly LaneWish[]): unknown[] {
  const cursors = wishes.map(({ cursor }) => cursor)
  return [wishes.map(({ lane }) => lane), cursors.map(({ dueAt }) => dueAt), cursors.map(({ id }) => id), wishes.map(({ limit }) => limit)]
}
