/** The statements of claims: each goes through the lanes it is given, from where the waiting rows of each begin. */
import type { TaskRow } from '../../rows/task-row.ts'
import { columnsOf, keyOf, keyParams, readRows } from '../rows/rows.ts'
import type { Place } from '../commit/commit-notes.ts'
import type { Transaction } from '../commit/transaction.ts'

/** How many rows of a lane are wanted, and where the lane's waiting rows begin. */
export interface LaneWish {
  readonly lane: string
  readonly limit: number
  readonly front: Place
}

const WISHES = 'unnest($1::text[], $2::bigint[], $3::bigint[], $4::int[]) AS w (lane, due_at, id, wanted)'
const WAITING = `t.state IN ('pending', 'retrying') AND t.lane = w.lane AND (t.due_at, t.id) >= (w.due_at, w.id)`
const DUE = `
  SELECT t.name, t.trigger_at, t.lane, t.due_at, t.id, t.deadline FROM ${WISHES} CROSS JOIN LATERAL (
    SELECT * FROM callme.tasks t WHERE ${WAITING} AND t.due_at <= $5 AND t.deadline > $5
    ORDER BY t.due_at, t.id LIMIT w.wanted FOR UPDATE SKIP LOCKED) t`
// The second condition is for the planner: it takes a wish for a tenth of its lane, and would read the whole table to join that many.
const run = (lease: string, node: string, now: string, awaiting: string): string => `
  UPDATE callme.tasks t SET state = 'running', attempts = t.attempts + 1, lease_until = ${lease}, claimed_by = ${node},
    awaiting = ${awaiting}, updated = ${now}
  FROM due WHERE t.name = due.name AND t.trigger_at = due.trigger_at AND t.name = ANY (ARRAY (SELECT name FROM due))
  RETURNING ${columnsOf('t')}`

// Rows that another node is about to claim are passed over: each goes to one.
const CLAIM = `WITH due AS MATERIALIZED (${DUE}) ${run('$6', '$7', '$5', 'NULL')}`
const CLAIM_FOR_WORKER = `
  WITH due AS (SELECT * FROM unnest($1::text[], $2::bigint[]) AS k (name, trigger_at)) ${run('$3', '$4', '$5', `'worker'`)}`
const MOVE = `
  UPDATE callme.tasks t SET lane = k.lane FROM unnest($1::text[], $2::bigint[], $3::text[]) AS k (name, trigger_at, lane)
  WHERE t.name = k.name AND t.trigger_at = k.trigger_at`
// As the transaction sees them: what it has claimed waits no more.
const FIRSTS = `
  SELECT w.lane, t.due_at, t.id, live.due_at AS again FROM ${WISHES}
  LEFT JOIN LATERAL (SELECT t.due_at, t.id FROM callme.tasks t WHERE ${WAITING} ORDER BY t.due_at, t.id LIMIT 1) t ON true
  LEFT JOIN LATERAL (
    SELECT t.due_at FROM callme.tasks t WHERE ${WAITING} AND t.deadline > $5 ORDER BY t.due_at, t.id LIMIT 1) live ON true`

export type DueRow = Pick<TaskRow, 'name' | 'trigger_at' | 'lane' | 'due_at' | 'id' | 'deadline'>

interface Claimer {
  readonly now: number
  readonly node: string
  readonly leaseUntil: number
}

/** Claims what is due in the lanes. */
export function claimRows(transaction: Transaction, wishes: readonly LaneWish[], { now, leaseUntil, node }: Claimer): Promise<TaskRow[]> {
  return readRows(transaction, CLAIM, [...wishParams(wishes), now, leaseUntil, node])
}

/** What is due in the lanes, which nobody else claims until the transaction is over. */
export function lockDue(transaction: Transaction, wishes: readonly LaneWish[], now: number): Promise<DueRow[]> {
  return transaction.query<DueRow>(DUE, [...wishParams(wishes), now])
}

export function claimForWorker(transaction: Transaction, rows: readonly DueRow[], { now, leaseUntil, node }: Claimer): Promise<TaskRow[]> {
  return rows.length === 0
    ? Promise.resolve([])
    : readRows(transaction, CLAIM_FOR_WORKER, [...keyParams(rows.map(keyOf)), leaseUntil, node, now])
}

/** Puts waiting rows into other lanes. */
export async function moveRows(transaction: Transaction, moves: readonly { row: DueRow; lane: string }[]): Promise<void> {
  if (moves.length === 0) return
  for (const { row, lane } of moves) transaction.notes.rowWaits(lane, { dueAt: row.due_at, id: row.id }, row.deadline)
  await transaction.query(MOVE, [...keyParams(moves.map(({ row }) => keyOf(row))), moves.map(({ lane }) => lane)])
}

/** Where a lane begins. */
export interface LaneFirst {
  readonly lane: string
  /** of its first waiting row */
  readonly first: Place | undefined
  /** when the first one of those is due that are not out of time */
  readonly again: number | undefined
}

/** Where lanes begin, once what was claimed of them waits no more. */
export async function firstPlaces(
  transaction: Transaction,
  lanes: readonly Pick<LaneWish, 'lane' | 'front'>[],
  now: number,
): Promise<LaneFirst[]> {
  if (lanes.length === 0) return []
  const params = [...wishParams(lanes.map((lane) => ({ ...lane, limit: 1 }))), now]
  const rows = await transaction.query<{ lane: string; due_at: number | null; id: number; again: number | null }>(FIRSTS, params)
  return rows.map(({ lane, due_at: dueAt, id, again }) => {
    return { lane, first: dueAt === null ? undefined : { dueAt, id }, again: again ?? undefined }
  })
}

function wishParams(wishes: readonly LaneWish[]): unknown[] {
  return [
    wishes.map(({ lane }) => lane),
    wishes.map(({ front }) => front.dueAt),
    wishes.map(({ front }) => front.id),
    wishes.map(({ limit }) => limit),
  ]
}
