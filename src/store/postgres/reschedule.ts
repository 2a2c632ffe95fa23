/** One batch of a reschedule: copies final entries, moves waiting ones, and passes over minutes that are taken. */
import { isFinal, newTask } from '../../domain/task.ts'
import type { Task, TaskDefinition } from '../../domain/task.ts'
import { SECONDS_PER_MINUTE } from '../../domain/trigger-time.ts'
import { parseLane } from '../lane-name.ts'
import { placeTask } from '../place-task.ts'
import { isTaken, walked } from '../reschedule-walk.ts'
import type { RescheduleRequest, Store } from '../store.ts'
import type { TaskRow } from '../task-row.ts'
import type { Queries } from './database.ts'
import { insertFreeRows } from './insert-rows.ts'
import type { FreshRow } from './insert-rows.ts'
import { findRow, lockFound, readBack, readTasks } from './rows.ts'
import { readStretch } from './selection.ts'
import type { Session } from './session.ts'
import type { Transaction } from './transaction.ts'

/** How many names are remembered from batch to batch. */
const MOST_PASSED = 10_000

const MARK = 'UPDATE callme.finished SET rescheduled_to = $3, updated = $4 WHERE trigger_at = $2 AND name = $1'
const MOVE = `
  UPDATE callme.tasks SET trigger_at = $3, state = 'pending', lane = $4, due_at = $5, deadline = $6, lease_until = NULL, claimed_by = NULL,
    run_id = $7, attempts = 0, lost = 0, in_advance = 0, executed_at = NULL, response_status = NULL, response_body = NULL, error = NULL,
    updated = $8, rescheduled_to = NULL, rescheduled_from = $2, window_from = NULL, awaiting = NULL, remove_after = 0
  WHERE name = $1 AND trigger_at = $2`
const MOVE_ATTEMPTS = 'UPDATE callme.attempts SET trigger_at = $3 WHERE trigger_at = $2 AND name = $1'

type Batch = Awaited<ReturnType<Store['reschedule']>>

export async function rescheduleBatch(session: Session, transaction: Transaction, request: RescheduleRequest): Promise<Batch> {
  const isFirstWalk = request.after?.isFirstWalk ?? request.all
  const { rows, next } = await readStretch(transaction, walked(request, isFirstWalk), request.after?.key, request.limit)
  // A copy, because a write may be run again.
  const known = request.after?.passed ?? new Map<string, number>()
  const passed = new Map(known.size < MOST_PASSED ? known : [])
  const tasks: Task[] = []
  for (const row of await lockFound(transaction, rows)) {
    if (!isFirstWalk && !isTaken(request, row)) continue
    tasks.push(await rescheduleRow(session, transaction, row, { wanted: request.triggerAt, now: request.now, passed }))
  }
  if (next) return { tasks, next: { isFirstWalk, key: next, passed } }
  return isFirstWalk ? { tasks, next: { isFirstWalk: false, passed } } : { tasks }
}

async function rescheduleRow(
  session: Session,
  transaction: Transaction,
  row: TaskRow,
  { wanted, now, passed }: { wanted: number; now: number; passed: Map<string, number> },
): Promise<Task> {
  for (;;) {
    const triggerAt = await freeMinute(transaction, row, wanted, passed)
    const fresh = freshRow(session, row, { triggerAt, now })
    if (isFinal(row.state)) {
      // A minute that another node took just now is passed over like any other.
      if ((await insertFreeRows(transaction, [fresh])).size === 0) continue
      await transaction.query(MARK, [row.name, row.trigger_at, triggerAt, now])
      const [before] = await readTasks(transaction, session.handlers, [{ ...row, rescheduled_to: triggerAt, updated: now }])
      if (before !== undefined) transaction.changes.tell('updated', before, now)
      transaction.changes.moved(fresh, undefined, 'pending')
    } else {
      await moveRow(transaction, row, fresh)
      transaction.changes.moved(fresh, row.state, 'pending')
    }
    const task = await readBack(transaction, session.handlers, fresh)
    transaction.changes.tell(isFinal(row.state) ? 'created' : 'updated', task, now)
    return task
  }
}

async function moveRow(transaction: Transaction, row: TaskRow, fresh: FreshRow): Promise<void> {
  const { triggerAt, lane, dueAt, deadline, runId, now } = fresh
  await transaction.query(MOVE, [row.name, row.trigger_at, triggerAt, lane, dueAt, deadline, runId, now])
  if (triggerAt !== row.trigger_at) await transaction.query(MOVE_ATTEMPTS, [row.name, row.trigger_at, triggerAt])
  transaction.signals.waits(lane, { dueAt, id: row.id }, deadline)
}

function freshRow({ handlers }: Session, row: TaskRow, { triggerAt, now }: { triggerAt: number; now: number }): FreshRow {
  const own = JSON.parse(row.definition) as TaskDefinition
  const key = { name: row.name, triggerAt }
  const { rowLane, dueAt, deadline, runId } = placeTask(handlers, { ...newTask(key, own), lane: parseLane(row.lane).host })
  // A copy is no part of the series that its original belongs to; what moves takes its place in it along.
  const { repeated_to: repeatedTo, trigger_at: rescheduledFrom, definition } = row
  return { ...key, lane: rowLane, dueAt, deadline, runId, now, rescheduledFrom, repeatedTo, definition }
}

/**
 * The first minute from `wanted` on that no other entry of the name has.
 * @param passed by name, the minute before which all were found taken: no later entry, of this batch or a following one, has to pass over them again
 */
async function freeMinute(queries: Queries, row: TaskRow, wanted: number, passed: Map<string, number>): Promise<number> {
  const own = isFinal(row.state) || row.trigger_at < wanted ? Infinity : row.trigger_at
  let minute = passed.get(row.name) ?? wanted
  while (minute !== own && (await findRow(queries, { name: row.name, triggerAt: minute })) !== undefined) minute += SECONDS_PER_MINUTE
  passed.set(row.name, minute)
  return minute
}
