/** One batch of a reschedule: copies final entries, moves waiting ones, and passes over minutes that are taken. */
import { isFinal, newTask } from '../../../domain/task/task.ts'
import type { Task, TaskDefinition } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import { SECONDS_PER_MINUTE } from '../../../domain/time/trigger-time.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { assignLane } from '../../rules/assign-lane.ts'
import { endBatch, isTaken, ownMinute, startBatch } from '../../rules/reschedule-walk.ts'
import type { RescheduleRequest, Store } from '../../store.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { endPreviousRuns } from './end-previous-run.ts'
import { FreeMinutes } from './free-minutes.ts'
import { endedKeys, insertFreeRows } from '../rows/insert-rows.ts'
import type { FreshRow } from '../rows/insert-rows.ts'
import { findRows, keyOf, keyParams, lockFound, readTasks } from '../rows/rows.ts'
import { readPage } from '../rows/pages.ts'
import type { Session } from '../session.ts'
import { Conflict } from '../commit/store-error.ts'
import type { Transaction } from '../commit/transaction.ts'

const MARK = `
  UPDATE callme.finished f SET rescheduled_to = k.rescheduled_to, updated = $4
  FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (name, trigger_at, rescheduled_to)
  WHERE f.trigger_at = k.trigger_at AND f.name = k.name`
const MOVE = `
  UPDATE callme.tasks SET trigger_at = $3, state = 'pending', lane = $4, due_at = $5, deadline = $6, lease_until = NULL, claimed_by = NULL,
    run_id = $7, attempts = 0, lost = 0, in_advance = 0, executed_at = NULL, response_status = NULL, response_body = NULL, error = NULL,
    updated = $8, rescheduled_to = NULL, rescheduled_from = $2, window_from = NULL, awaiting = NULL, remove_after = 0
  WHERE name = $1 AND trigger_at = $2`
const MOVE_ATTEMPTS = `
  UPDATE callme.attempts a SET trigger_at = k.moved_to FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (name, trigger_at, moved_to)
  WHERE a.trigger_at = k.trigger_at AND a.name = k.name`

const TAKEN = 'another node has taken a minute that was free'

type Batch = Awaited<ReturnType<Store['reschedule']>>

export async function rescheduleBatch(session: Session, transaction: Transaction, request: RescheduleRequest): Promise<Batch> {
  const batch = startBatch(request)
  const { rows, next } = await readPage(transaction, batch.selection, request.after?.key, request.limit)
  const taken = (await lockFound(transaction, rows)).filter((row) => isTaken(request, batch, row))
  const moves = await planMoves(session, transaction, taken, { ...request, passed: batch.passed })
  const tasks = await makeMoves(session, transaction, moves, request.now)
  return endBatch(batch, tasks, next)
}

/** A row, and what it becomes or is copied to. */
interface Move {
  readonly row: TaskRow
  readonly fresh: FreshRow
}

/**
 * Finds each row the first minute that no other entry of its name has, one after the other.
 * @param plan `passed`: by name, the minute before which all were found taken: no later entry, of this batch or a following one, has to
 * pass over them again
 */
async function planMoves(
  session: Session,
  transaction: Transaction,
  rows: readonly TaskRow[],
  { triggerAt: wanted, now, passed }: { triggerAt: number; now: number; passed: Map<string, number> },
): Promise<Move[]> {
  const minutes = new FreeMinutes(transaction)
  const counts = new Map<string, number>()
  for (const { name } of rows) counts.set(name, (counts.get(name) ?? 0) + 1)
  await minutes.read(
    [...counts].map(([name, count]) => {
      const from = passed.get(name) ?? wanted
      return { name, from, to: from + 2 * count * SECONDS_PER_MINUTE }
    }),
  )
  const moves: Move[] = []
  for (const row of rows) {
    const { name, trigger_at: before } = row
    const own = ownMinute(row, wanted)
    const triggerAt = await minutes.first(name, passed.get(name) ?? wanted, own)
    passed.set(name, triggerAt)
    if (!isFinal(row.state)) minutes.leave(name, before)
    minutes.take(name, triggerAt)
    moves.push({ row, fresh: freshRow(session, row, { triggerAt, now }) })
  }
  return moves
}

/** Copies what is final, moves what waits. */
async function makeMoves(session: Session, transaction: Transaction, moves: readonly Move[], now: number): Promise<Task[]> {
  const [copied, moved] = [moves.filter(({ row }) => isFinal(row.state)), moves.filter(({ row }) => !isFinal(row.state))]
  // One after the other: each goes where an earlier one may just have been.
  for (const { row, fresh } of moved) await moveRow(transaction, row, fresh)
  await endPreviousRuns(
    transaction,
    moved.map(({ row }) => row),
  )
  if (moved.length > 0) await transaction.query(MOVE_ATTEMPTS, moveParams(moved))
  const ended = await endedKeys(
    transaction,
    moved.map(({ fresh }) => fresh),
  )
  if (ended.length > 0) throw new Conflict(TAKEN)
  const inserted = await insertFreeRows(
    transaction,
    copied.map(({ fresh }) => fresh),
  )
  if (inserted.size < copied.length) throw new Conflict(TAKEN)
  if (copied.length > 0) await transaction.query(MARK, [...moveParams(copied), now])
  const before = await readTasks(
    transaction,
    session.handlers,
    copied.map(({ row, fresh }) => ({ ...row, rescheduled_to: fresh.triggerAt, updated: now })),
  )
  const rows = new Map(
    (
      await findRows(
        transaction,
        moves.map(({ fresh }) => fresh),
      )
    ).map((row) => [formatTaskKey(keyOf(row)), row]),
  )
  const tasks = await readTasks(
    transaction,
    session.handlers,
    moves.flatMap(({ fresh }) => rows.get(formatTaskKey(fresh)) ?? []),
  )
  for (const [index, task] of tasks.entries()) emitMove(transaction, moves[index], task, before)
  return tasks
}

async function moveRow(transaction: Transaction, row: TaskRow, fresh: FreshRow): Promise<void> {
  const { triggerAt, lane, dueAt, deadline, runId, now } = fresh
  await transaction.query(MOVE, [row.name, row.trigger_at, triggerAt, lane, dueAt, deadline, runId, now])
  transaction.notes.rowWaits(lane, { dueAt, id: row.id }, deadline)
}

function freshRow({ handlers }: Session, row: TaskRow, { triggerAt, now }: { triggerAt: number; now: number }): FreshRow {
  const own = JSON.parse(row.definition) as TaskDefinition
  const key = { name: row.name, triggerAt }
  const { lane, dueAt, deadline, runId } = assignLane(handlers, { ...newTask(key, own, now), host: parseLane(row.lane).host })
  // A copy is no part of the series that its original belongs to; what moves takes its place in it along.
  const { repeated_to: repeatedTo, trigger_at: rescheduledFrom, definition } = row
  return { ...key, lane, dueAt, deadline, runId, now, rescheduledFrom, repeatedTo, definition }
}

function moveParams(moves: readonly Move[]): [string[], number[], number[]] {
  return [...keyParams(moves.map(({ row }) => keyOf(row))), moves.map(({ fresh }) => fresh.triggerAt)]
}

/** @param before the entries that were copied, as they are now */
function emitMove({ changes }: Transaction, move: Move | undefined, task: Task, before: Task[]): void {
  if (move === undefined) return
  const { row, fresh } = move
  const original = isFinal(row.state) ? before.shift() : undefined
  if (original !== undefined) changes.emit('updated', original, fresh.now)
  changes.moved(fresh, original === undefined ? row.state : undefined, 'pending')
  changes.emit(original === undefined ? 'updated' : 'created', task, fresh.now)
}
