/** Reschedules a batch of tasks: copies of ended ones and waiting ones get the first free minutes of their names. */
import { isFinal, newTask } from '../../../domain/task/task.ts'
import type { Task, TaskDefinition } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import { parseLane } from '../../rows/lane-name.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { freshRow } from '../../rules/assign-lane.ts'
import type { FreshRow } from '../../rules/assign-lane.ts'
import { endBatch, isTaken, ownMinute, startBatch } from '../../rules/reschedule-walk.ts'
import type { RescheduleBatch } from '../../rules/reschedule-walk.ts'
import type { RescheduleRequest } from '../../store.ts'
import { oneByOne } from '../commit/group-writer.ts'
import { Conflict } from '../commit/store-error.ts'
import type { Transaction } from '../commit/transaction.ts'
import { endPreviousRuns, endedKeys, insertFreeRows, moveRow } from '../rows/fresh-rows.ts'
import { readPage } from '../rows/pages.ts'
import { readTasks } from '../rows/read-tasks.ts'
import { byKey, findRows, keyOf, keyParams, lockFound, mustGet, split } from '../rows/rows.ts'
import { freeMinutes } from './free-minutes.ts'

const MARK = `
  UPDATE callme.finished f SET rescheduled_to = k.rescheduled_to, updated = $4
  FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (name, trigger_at, rescheduled_to)
  WHERE f.trigger_at = k.trigger_at AND f.name = k.name`
const MOVE_ATTEMPTS = `
  UPDATE callme.attempts a SET trigger_at = k.moved_to FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (name, trigger_at, moved_to)
  WHERE a.trigger_at = k.trigger_at AND a.name = k.name`

/** A row, and the row of its copy or of its new minute. */
interface Move {
  readonly row: TaskRow
  readonly fresh: FreshRow
}

export const reschedule = oneByOne(rescheduleBatch)

export async function rescheduleBatch(transaction: Transaction, request: RescheduleRequest): Promise<ReturnType<typeof endBatch>> {
  const batch = startBatch(request)
  const { rows, next } = await readPage(transaction, batch.selection, request.after?.key, request.limit)
  const taken = (await lockFound(transaction, rows)).filter((row) => isTaken(request, batch, row))
  const moves = await planMoves(transaction, taken, batch, request)
  return endBatch(batch, await makeMoves(transaction, moves, request.now), next)
}

/** Gives each row the first free minute of its name, one after the other. */
async function planMoves(
  transaction: Transaction,
  rows: readonly TaskRow[],
  { passed }: RescheduleBatch,
  { triggerAt: wanted, now }: RescheduleRequest,
): Promise<Move[]> {
  const byName = Map.groupBy(rows, ({ name }) => name)
  const searches = [...byName].map(([name, { length: count }]) => ({ name, from: passed.get(name) ?? wanted, count }))
  const free = await freeMinutes(transaction, searches)
  return rows.map((row) => {
    const { name, trigger_at: before, definition, repeated_to: repeatedTo } = row
    const [minutes, own] = [mustGet(free, name), ownMinute(row, wanted)]
    const [first] = minutes
    if (first === undefined) throw new Error(`no free minute was found for a row of ${name}`)
    const triggerAt = Math.min(own, first)
    if (triggerAt === first) minutes.shift()
    // The row leaves its minute to a later one of the name.
    if (own < Infinity && triggerAt !== own) minutes.splice(minutes.filter((minute) => minute < own).length, 0, own)
    passed.set(name, triggerAt)
    const task = newTask({ name, triggerAt }, JSON.parse(definition) as TaskDefinition, now)
    // A copy is not part of the series of its original. A moved task keeps its place in the series.
    const options = { now, definition, rescheduledFrom: before, repeatedTo }
    return { row, fresh: freshRow(transaction.session.handlers, { ...task, host: parseLane(row.lane).host }, options).row }
  })
}

async function makeMoves(transaction: Transaction, moves: readonly Move[], now: number): Promise<Task[]> {
  const { session } = transaction
  const [copied, moved] = split(moves, ({ row }) => isFinal(row.state))
  await moveRows(transaction, moved)
  await copyRows(transaction, copied, now)
  const originals = copied.map(({ row, fresh }) => ({ ...row, rescheduled_to: fresh.triggerAt, updated: now }))
  const before = new Map((await readTasks(transaction, session, originals)).map((task) => [formatTaskKey(task), task]))
  const keys = moves.map(({ fresh }) => fresh)
  const stored = byKey(await findRows(transaction, keys))
  const rows = keys.map((key) => mustGet(stored, formatTaskKey(key)))
  const tasks = await readTasks(transaction, session, rows)
  const after = new Map(tasks.map((task) => [formatTaskKey(task), task]))
  for (const { row, fresh } of moves) {
    const original = isFinal(row.state) ? mustGet(before, formatTaskKey(keyOf(row))) : undefined
    if (original !== undefined) transaction.changes.emit('updated', original, now)
    transaction.changes.moved(fresh, original === undefined ? row.state : undefined, 'pending')
    transaction.changes.emit(original === undefined ? 'updated' : 'created', mustGet(after, formatTaskKey(fresh)), now)
  }
  return tasks
}

async function moveRows(transaction: Transaction, moved: readonly Move[]): Promise<void> {
  if (moved.length === 0) return
  // One after the other, because a row may take the minute that an earlier one has just left.
  for (const { row, fresh } of moved) await moveRow(transaction, fresh, row.id)
  const [rows, keys] = [moved.map(({ row }) => row), moved.map(({ fresh }) => fresh)]
  await endPreviousRuns(transaction, rows)
  await transaction.query(MOVE_ATTEMPTS, moveParams(moved))
  if ((await endedKeys(transaction, keys)).length > 0) throw takenByAnother()
}

async function copyRows(transaction: Transaction, copied: readonly Move[], now: number): Promise<void> {
  if (copied.length === 0) return
  const copies = copied.map(({ fresh }) => fresh)
  const inserted = await insertFreeRows(transaction, copies)
  if (inserted.size < copied.length) throw takenByAnother()
  await transaction.query(MARK, [...moveParams(copied), now])
}

function moveParams(moves: readonly Move[]): [string[], number[], number[]] {
  return [...keyParams(moves.map(({ row }) => keyOf(row))), moves.map(({ fresh }) => fresh.triggerAt)]
}

function takenByAnother(): Conflict {
  return new Conflict('another node has taken a minute that was free')
}
