/** Stores and removes handlers, one change after the other over all nodes, and goes through the rows that a change concerns. */
import { isErrorCallback } from '../../../domain/task/error-callback.ts'
import { servesTasksWithoutCallback } from '../../../domain/task/handler.ts'
import type { Handler, HandlerDefinition } from '../../../domain/task/handler.ts'
import { rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { toHandler } from '../../rows/handler-row.ts'
import type { HandlerRow } from '../../rows/handler-row.ts'
import { handlerLane, parseLane } from '../../rows/lane-name.ts'
import type { HandlerStore } from '../../store.ts'
import { toTask } from '../../rows/task-row.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { columnsOf, keyOf, keyParams, readRows } from '../rows/rows.ts'
import type { HandlerBook } from '../../rules/handler-book.ts'
import type { Session } from '../session.ts'
import type { Transaction } from '../commit/transaction.ts'

type ResultOf<Verb extends keyof HandlerStore> = Awaited<ReturnType<HandlerStore[Verb]>>

const TAKE_TURN = `SELECT 1 FROM callme.turns WHERE name = 'handlers' FOR UPDATE`
const FIND = 'SELECT * FROM callme.handlers WHERE name = $1 FOR UPDATE'
const UPSERT = `
  INSERT INTO callme.handlers (name, created, updated, definition) VALUES ($1, $2, $3, $4)
  ON CONFLICT (name) DO UPDATE SET updated = excluded.updated, definition = excluded.definition`
const DELETE = 'DELETE FROM callme.handlers WHERE name = $1'
const FORGET_STARTS = 'DELETE FROM callme.starts WHERE name = $1'
const IN_LANE = 'SELECT 1 FROM callme.tasks WHERE lane = $1 AND name >= $2 AND name < $3 LIMIT 1'
const RUNNING_OF_NAMES = `
  SELECT ${columnsOf('t')} FROM callme.tasks t WHERE t.state = 'running' AND t.name >= $1 AND t.name < $2 AND strpos(t.name, '@') = 0
  ORDER BY t.name, t.trigger_at FOR UPDATE`
const BEGIN_BACKFILL = `
  INSERT INTO callme.handler_walks (name, after_name, after_trigger_at) VALUES ($1, $2, -1)
  ON CONFLICT (name) DO UPDATE SET after_name = excluded.after_name, after_trigger_at = excluded.after_trigger_at`
const ANY_BACKFILL = 'SELECT 1 FROM callme.handler_walks LIMIT 1'
const BACKFILL = 'SELECT * FROM callme.handler_walks ORDER BY name LIMIT 1 FOR UPDATE'
const ADVANCE_BACKFILL = 'UPDATE callme.handler_walks SET after_name = $2, after_trigger_at = $3 WHERE name = $1'
const END_BACKFILL = 'DELETE FROM callme.handler_walks WHERE name = $1'
const ROWS_OF_NAMES = `
  SELECT ${columnsOf('t')} FROM callme.tasks t WHERE (t.name, t.trigger_at) > ($1, $2::bigint) AND t.name < $3
  ORDER BY t.name, t.trigger_at LIMIT $4 FOR UPDATE`
const RELOCATE = `
  UPDATE callme.tasks t SET lane = k.lane, deadline = k.deadline
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[]) AS k (name, trigger_at, lane, deadline)
  WHERE t.name = k.name AND t.trigger_at = k.trigger_at`

/** How many rows are gone through in one transaction. */
const PAGE_ROWS = 1000

interface BackfillRow {
  readonly name: string
  readonly after_name: string
  readonly after_trigger_at: number
}

export async function putHandler(
  session: Session,
  transaction: Transaction,
  { name, definition, now, force }: { name: string; definition: HandlerDefinition; now: number; force: boolean },
): Promise<ResultOf<'putHandler'> | 'unsettled'> {
  if (!(await takeTurn(session, transaction))) return 'unsettled'
  const before = await findHandler(transaction, name)
  const serving = before ?? (await lockBehind(session, transaction, name))
  if (!force && !servesTasksWithoutCallback(definition) && (await isNeeded(transaction, serving, name))) return 'needed'
  const created = before?.created ?? now
  const handler = { name, definition, created, updated: now }
  await transaction.query(UPSERT, [name, created, now, JSON.stringify(definition)])
  noteChange(session, transaction, name, handler)
  if (before === undefined) await moveRunning(transaction, session.handlers.with(name, handler), name)
  if (before === undefined || before.definition.max_delay !== definition.max_delay) await beginBackfill(transaction, name)
  return { status: before ? 'replaced' : 'created', handler }
}

export async function removeHandler(
  session: Session,
  transaction: Transaction,
  { name, force }: { name: string; force: boolean },
): Promise<ResultOf<'removeHandler'> | 'unsettled'> {
  if (!(await takeTurn(session, transaction))) return 'unsettled'
  const before = await findHandler(transaction, name)
  if (before === undefined) return 'unknown'
  const next = session.handlers.behind(name)
  if (!force && !servesTasksWithoutCallback(next?.definition) && (await isNeeded(transaction, before, name))) return 'needed'
  await transaction.query(DELETE, [name])
  await transaction.query(FORGET_STARTS, [name])
  noteChange(session, transaction, name, undefined)
  await moveRunning(transaction, session.handlers.with(name, undefined), name)
  await beginBackfill(transaction, name)
  return 'removed'
}

/**
 * One stretch of the waiting rows of names whose handler has changed: has their lanes and deadlines say what holds now. A claim and an
 * expiry look at the handler themselves: this is for what they find their rows by.
 * @returns whether there is more to go through
 */
export async function backfillRows(session: Session, transaction: Transaction): Promise<boolean> {
  const [walk] = await transaction.query<BackfillRow>(BACKFILL)
  if (walk === undefined) return false
  await session.peers.catchUp()
  const { end } = storedRange(walk.name)
  const rows = await readRows(transaction, ROWS_OF_NAMES, [walk.after_name, walk.after_trigger_at, end, PAGE_ROWS])
  await relocate(session.handlers, transaction, rows)
  const last = rows.at(-1)
  if (last && rows.length === PAGE_ROWS) await transaction.query(ADVANCE_BACKFILL, [walk.name, last.name, last.trigger_at])
  else await transaction.query(END_BACKFILL, [walk.name])
  return true
}

async function relocate(handlers: HandlerBook, transaction: Transaction, rows: readonly TaskRow[]): Promise<void> {
  const settled = rows.flatMap((row) => {
    if (isErrorCallback(row)) return []
    // One that another node claimed while the handler changed is running, and is counted by its lane.
    const { deadline } = row.state === 'running' ? row : toTask(row, handlers.of(row.name)?.definition)
    const lane = handlers.laneOf(row.name, parseLane(row.lane).host)
    return lane === row.lane && deadline === row.deadline ? [] : [{ row, lane, deadline }]
  })
  if (settled.length === 0) return
  for (const { row, lane, deadline } of settled) {
    if (row.state !== 'running') transaction.notes.rowWaits(lane, { dueAt: row.due_at, id: row.id }, deadline)
    else opens(transaction, row)
  }
  const [lanes, deadlines] = [settled.map(({ lane }) => lane), settled.map(({ deadline }) => deadline)]
  await transaction.query(RELOCATE, [...keyParams(settled.map(({ row }) => keyOf(row))), lanes, deadlines])
}

/**
 * After this no other node changes a handler, and this one knows them all.
 * @returns whether all rows are where the changes before have put them: only then can be seen whether a handler is needed
 */
async function takeTurn(session: Session, transaction: Transaction): Promise<boolean> {
  await transaction.query(TAKE_TURN)
  await session.peers.catchUp()
  return (await transaction.query(ANY_BACKFILL)).length === 0
}

async function findHandler(transaction: Transaction, name: string): Promise<Handler | undefined> {
  const [row] = await transaction.query<HandlerRow>(FIND, [name])
  return row && toHandler(row)
}

/** The handler that a new one hides: nobody stores a task that needs it until the transaction is over. */
async function lockBehind({ handlers }: Session, transaction: Transaction, name: string): Promise<Handler | undefined> {
  const behind = handlers.behind(name)
  return behind && findHandler(transaction, behind.name)
}

/** Whether tasks that have not ended have no callback but that of `handler`, of those whose names `pattern` stands for. */
async function isNeeded(transaction: Transaction, handler: Handler | undefined, pattern: string): Promise<boolean> {
  if (handler === undefined || !servesTasksWithoutCallback(handler.definition)) return false
  const { first, end } = storedRange(pattern)
  return (await transaction.query(IN_LANE, [handlerLane(handler.name, ''), first, end])).length > 0
}

/** What waited for a limit of the handler, or of the one behind it, is looked at anew. */
function noteChange({ handlers }: Session, { notes }: Transaction, name: string, handler: Handler | undefined): void {
  notes.handlerChanged(name, handler)
  for (const group of [name, handlers.behind(name)?.name]) if (group !== undefined) notes.capacityFreed(group)
}

/** What runs is counted by its lane, so it changes lanes with the handler. */
async function moveRunning(transaction: Transaction, handlers: HandlerBook, name: string): Promise<void> {
  const { first, end } = storedRange(name)
  const moved = (await readRows(transaction, RUNNING_OF_NAMES, [first, end])).flatMap((row) => {
    const lane = handlers.laneOf(row.name, parseLane(row.lane).host)
    return lane === row.lane ? [] : [{ row, lane }]
  })
  if (moved.length === 0) return
  for (const { row } of moved) opens(transaction, row)
  const [lanes, deadlines] = [moved.map(({ lane }) => lane), moved.map(({ row }) => row.deadline)]
  await transaction.query(RELOCATE, [...keyParams(moved.map(({ row }) => keyOf(row))), lanes, deadlines])
}

/** Where a running row leaves the lanes of a handler, that has room again. */
function opens({ notes }: Transaction, row: TaskRow): void {
  const { handler } = parseLane(row.lane)
  if (handler !== undefined) notes.capacityFreed(handler)
}

/** What waits is gone through in the writes that follow, also after a crash. */
async function beginBackfill(transaction: Transaction, name: string): Promise<void> {
  await transaction.query(BEGIN_BACKFILL, [name, rangeOfNames(name).first])
}

/** PostgreSQL's text cannot hold the character that ends the range of a single name; the next one does as well, for no name holds either. */
function storedRange(pattern: string): { first: string; end: string } {
  const { first, end } = rangeOfNames(pattern)
  return { first, end: end.replace('\u0000', '\u0001') }
}
