/**
 * Moves rows to their lanes after a handler came, went or changed. Running rows move with the change, because they are counted by lane.
 * Waiting rows move later, page by page: `handler_walks` holds the progress. Claims and expiries look at the handler themselves meanwhile.
 */
import { isErrorCallback } from '../../../domain/task/error-callback.ts'
import type { Handler } from '../../../domain/task/handler.ts'
import { rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { toTask, type TaskRow } from '../../rows/task-row.ts'
import type { HandlerBook } from '../../rules/handler-book.ts'
import { oneByOne } from '../commit/group-writer.ts'
import type { Transaction } from '../commit/transaction.ts'
import { columnsOf, keyOf, keyParams, readRows } from '../rows/rows.ts'

const RUNNING_OF_NAMES = `
  SELECT ${columnsOf('t')} FROM callme.tasks t WHERE t.state = 'running' AND t.name >= $1 AND t.name < $2 AND strpos(t.name, '@') = 0
  ORDER BY t.name, t.trigger_at FOR UPDATE`
const BEGIN = `
  INSERT INTO callme.handler_walks (name, after_name, after_trigger_at) VALUES ($1, $2, -1)
  ON CONFLICT (name) DO UPDATE SET after_name = excluded.after_name, after_trigger_at = excluded.after_trigger_at`
const ANY = 'SELECT 1 FROM callme.handler_walks LIMIT 1'
const FIRST = 'SELECT * FROM callme.handler_walks ORDER BY name LIMIT 1 FOR UPDATE'
const ADVANCE = 'UPDATE callme.handler_walks SET after_name = $2, after_trigger_at = $3 WHERE name = $1'
const END = 'DELETE FROM callme.handler_walks WHERE name = $1'
const ROWS_OF_NAMES = `
  SELECT ${columnsOf('t')} FROM callme.tasks t WHERE (t.name, t.trigger_at) > ($1, $2::bigint) AND t.name < $3
  ORDER BY t.name, t.trigger_at LIMIT $4 FOR UPDATE`
const RELOCATE = `
  UPDATE callme.tasks t SET lane = k.lane, deadline = k.deadline
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[]) AS k (name, trigger_at, lane, deadline)
  WHERE t.name = k.name AND t.trigger_at = k.trigger_at`
const PAGE_ROWS = 1000

/** Later backfills move the waiting rows of the names. */
export async function beginBackfill(transaction: Transaction, name: string): Promise<void> {
  await transaction.query(BEGIN, [name, rangeOfNames(name).first])
}

export async function isBackfilled(transaction: Transaction): Promise<boolean> {
  return (await transaction.query(ANY)).length === 0
}

/** Writes one page. @returns whether there may be another one */
export const backfillPage = oneByOne(async (transaction, _: undefined): Promise<boolean> => {
  const [backfill] = await transaction.query<{ name: string; after_name: string; after_trigger_at: number }>(FIRST)
  if (backfill === undefined) return false
  const { name, after_name: afterName, after_trigger_at: afterMinute } = backfill
  const { peers, handlers } = transaction.session
  await peers.catchUp()
  const rows = await readRows(transaction, ROWS_OF_NAMES, [afterName, afterMinute, storedRange(name).end, PAGE_ROWS])
  await relocate(transaction, handlers, rows)
  const last = rows.at(-1)
  if (last && rows.length === PAGE_ROWS) await transaction.query(ADVANCE, [name, last.name, last.trigger_at])
  else await transaction.query(END, [name])
  return true
})

/** Moves running rows as a change of the handler `name` wants it. */
export async function moveRunning(transaction: Transaction, name: string, changed: Handler | undefined): Promise<void> {
  const { first, end } = storedRange(name)
  const rows = await readRows(transaction, RUNNING_OF_NAMES, [first, end])
  await relocate(transaction, transaction.session.handlers.with(name, changed), rows)
}

async function relocate(transaction: Transaction, handlers: HandlerBook, rows: readonly TaskRow[]): Promise<void> {
  const moves = rows.flatMap((row) => {
    if (isErrorCallback(row)) return []
    const { deadline } = row.state === 'running' ? row : toTask(row, handlers.of(row.name))
    const { handler, host } = parseLane(row.lane)
    const lane = handlers.laneOf(row.name, host)
    return lane === row.lane && deadline === row.deadline ? [] : [{ row, lane, deadline, handler }]
  })
  if (moves.length === 0) return
  for (const { row, lane, deadline, handler } of moves) {
    if (row.state !== 'running') transaction.notes.rowWaits(lane, { dueAt: row.due_at, id: row.id }, deadline)
    else if (handler !== undefined) transaction.notes.capacityFreed(handler)
  }
  const [lanes, deadlines] = [moves.map(({ lane }) => lane), moves.map(({ deadline }) => deadline)]
  await transaction.query(RELOCATE, [...keyParams(moves.map(({ row }) => keyOf(row))), lanes, deadlines])
}

/** The names of a pattern: `first` inclusive, `end` exclusive. No name holds NUL or the character after it, and PostgreSQL's text cannot hold NUL. */
export function storedRange(pattern: string): { first: string; end: string } {
  const { first, end } = rangeOfNames(pattern)
  return { first, end: end.replace('\u0000', '\u0001') }
}
