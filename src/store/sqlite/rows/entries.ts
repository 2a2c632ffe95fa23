/** Makes, reads, brings forward and removes single entries, each inside the transaction of its caller. */
import { randomUUID } from 'node:crypto'
import { errorCallbackKey } from '../../../domain/task/error-callback.ts'
import { servesTasksWithoutCallback } from '../../../domain/task/handler.ts'
import { deadlineOf, isFinal, pendingTask } from '../../../domain/task/task.ts'
import type { NewTask, Task } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import { nextState } from '../../../domain/attempt/transitions.ts'
import { assignLane } from '../../rules/assign-lane.ts'
import type { PutResult } from '../../store.ts'
import type { Changes } from '../../rules/changes.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { toTask } from '../../rows/task-row.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Session } from '../session.ts'

export function findRow({ statements }: Session, key: TaskKey): TaskRow | undefined {
  return statements.findByKey.get(key.name, key.triggerAt) as TaskRow | undefined
}

/** An entry as it now is. @throws Error where it is not there: a defect of the program */
export function readBack(session: Session, key: TaskKey): Task {
  const row = findRow(session, key)
  if (row === undefined) throw new Error(`the entry ${formatTaskKey(key)} is gone`)
  return readTask(session, row)
}

/** The task of a row as it reads back: with the defaults of its handler, and what came of its error callback. */
export function readTask(session: Session, row: TaskRow): Task {
  const task = toTask(row, session.handlers.of(row.name)?.definition)
  if (row.state !== 'failed' && row.state !== 'skipped') return task
  const callback = findRow(session, errorCallbackKey(task))
  if (callback === undefined) return task
  const { state, attempts, executed_at: executedAt, response_status: responseStatus, error } = callback
  return { ...task, errorCallback: { state, attempts, executedAt, responseStatus, error } }
}

/** A row that is written for the first time, without its id. */
interface FreshRow extends Pick<NewTask, 'name' | 'triggerAt' | 'dueAt' | 'deadline' | 'runId'> {
  /** as the store calls it */
  readonly lane: string
  readonly now: number
  readonly rescheduledFrom: number | null
  readonly repeatedTo: number | null
  /** JSON */
  readonly definition: string
}

/** @returns false, with nothing changed, where the key is taken */
export function insertRow({ statements, cursors, rowIds }: Session, row: FreshRow): boolean {
  const isNew = statements.insert.run({ ...row, id: rowIds.next(row.triggerAt) }).changes === 1
  if (isNew) cursors.lower(row.lane, row.dueAt)
  return isNew
}

export function putTask(session: Session, task: NewTask, options: { now: number; ifAbsent?: boolean }, changes: Changes): PutResult {
  const { statements, handlers, cursors } = session
  const { now, ifAbsent } = options
  if (task.definition.callback === undefined && !servesTasksWithoutCallback(handlers.of(task.name)?.definition)) {
    return { status: 'no_callback' }
  }
  const { lane, ...placed } = assignLane(session.handlers, task)
  const row = {
    ...{ name: task.name, triggerAt: task.triggerAt, lane, dueAt: task.dueAt, deadline: placed.deadline },
    ...{ runId: task.runId, now, rescheduledFrom: null, repeatedTo: null, definition: JSON.stringify(task.definition) },
  }
  const existing = insertRow(session, row)
    ? undefined
    : (statements.findState.get(task.name, task.triggerAt) as Pick<TaskRow, 'id' | 'state' | 'run_id' | 'attempts' | 'created'>)
  if (existing && ifAbsent) return { status: 'exists' }
  if (existing && nextState(existing.state, 'replaced', 0) === undefined) return { status: 'running' }
  if (existing) {
    statements.reset.run({ ...row, id: existing.id })
    endPreviousRun(session, { ...existing, trigger_at: task.triggerAt }, changes)
    cursors.lower(lane, task.dueAt)
  }
  const stored = pendingTask(placed, { created: existing?.created ?? now, now })
  changes.moved(task, existing?.state, 'pending')
  changes.emit(existing ? 'updated' : 'created', stored, now)
  return { status: existing ? 'replaced' : 'created', task: stored }
}

export function runTask(
  session: Session,
  key: TaskKey,
  { now, removeAfter = false }: { now: number; removeAfter?: boolean },
  changes: Changes,
): Task | 'running' | 'final' | 'unknown' {
  const { statements, cursors, handlers } = session
  const row = findRow(session, key)
  if (row === undefined) return 'unknown'
  const state = nextState(row.state, 'run', row.attempts)
  if (state === undefined) return 'running'
  if (isFinal(row.state) && removeAfter) return 'final'
  const { definition } = readTask(session, row)
  const change = { id: row.id, now, deadline: deadlineOf(now, definition), inAdvance: row.trigger_at * 1000 > now ? 1 : 0 }
  if (isFinal(row.state)) statements.runAgain.run({ ...change, runId: randomUUID() })
  if (isFinal(row.state)) endPreviousRun(session, row, changes)
  else statements.bringForward.run({ ...change, removeAfter: removeAfter ? 1 : 0 })
  // What had ended stayed in its lane, whichever handlers came and went.
  const lane = handlers.laneOf(row.name, parseLane(row.lane).host)
  if (lane !== row.lane) statements.moveToLane.run(lane, row.id)
  const task = readBack(session, key)
  changes.moved(key, row.state, state)
  changes.emit('updated', task, now)
  cursors.lower(lane, now)
  return task
}

/** Takes note of the run of an entry that begins another one, or moves. One that had run out of time says so in its last attempt. */
export function endPreviousRun(
  { statements }: Session,
  row: Pick<TaskRow, 'id' | 'trigger_at' | 'state' | 'run_id' | 'attempts'>,
  changes: Changes,
): void {
  changes.previousRunEnded({ triggerAt: row.trigger_at }, row)
  if (row.state === 'failed') statements.endLastAttempt.run(row.id, row.run_id, row.attempts)
}

/** Takes note of all runs of an entry that a person removes. */
export function countRuns({ statements }: Session, row: Pick<TaskRow, 'id' | 'run_id' | 'trigger_at'>, changes: Changes): void {
  changes.deleted({ triggerAt: row.trigger_at }, 1 + (statements.countPastRuns.get(row.id, row.run_id) as number))
}

/** Tells no listener: whoever removes for a client does. */
export function removeRows({ statements }: Session, rows: readonly Pick<TaskRow, 'id' | 'name' | 'state'>[], changes: Changes): number {
  for (const { id, name, state } of rows) {
    statements.remove.run(id)
    statements.removeAttempts.run(id)
    changes.moved({ name }, state, undefined)
  }
  return rows.length
}
