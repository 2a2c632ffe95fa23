/** Writes what becomes of entries: the record of an attempt, the end of what is out of time, and the word of whoever had the work. */
import { errorCallbackOf } from '../../../domain/task/error-callback.ts'
import { acceptedAttempt, lossOf, reportOf } from '../../../domain/attempt/attempt-report.ts'
import type { AttemptReport } from '../../../domain/attempt/attempt-report.ts'
import { isFinal } from '../../../domain/task/task.ts'
import type { ErrorCallbackProgress, Task } from '../../../domain/task/task.ts'
import { CHANGE_OF_STATE } from '../../../domain/task/task-change.ts'
import { applyVerdict } from '../../../domain/attempt/transitions.ts'
import { expiry } from '../../../domain/attempt/verdict.ts'
import type { AckResult, Acknowledgement } from '../../store.ts'
import type { Changes } from '../../rules/changes.ts'
import { countRuns, findRow, insertRow, readBack, readTask, removeRows } from '../rows/entries.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { toAttempt } from '../../rows/task-row.ts'
import type { AttemptRow, TaskRow } from '../../rows/task-row.ts'
import { continueSeries } from '../tasks/series.ts'
import type { Session } from '../session.ts'

type RecordedRow = Pick<TaskRow, 'id' | 'lane' | 'executed_at' | 'remove_after'>

/** @returns the task as it is after that; undefined where nothing was written, because the lease was lost */
export function recordReport(session: Session, outcome: AttemptReport, changes: Changes): Task | undefined {
  const { statements, cursors } = session
  const { task, update, now, responseStatus, responseBody, attempt } = outcome
  const guard = { name: task.name, triggerAt: task.triggerAt, runId: task.runId, claimedAttempts: task.attempts }
  const executedAt = attempt ? attempt.startedAt + attempt.durationMs : null
  const row = statements.record.get({ ...guard, ...update, now, executedAt, responseStatus, responseBody }) as RecordedRow | undefined
  if (row === undefined) return undefined
  if (attempt) statements.putAttempt.run({ ...attempt, taskId: row.id })
  const settled: Task = { ...task, ...update, responseStatus, responseBody, executedAt: row.executed_at, updated: now }
  const after = { ...settled, errorCallback: storeErrorCallback(session, settled, now) }
  changes.moved(task, 'running', after.state)
  changes.emit(attempt === undefined && after.state === 'retrying' ? 'updated' : CHANGE_OF_STATE[after.state], after, now)
  if (after.state === 'retrying' || after.state === 'pending') cursors.lower(row.lane, after.dueAt)
  const { handler } = parseLane(row.lane)
  if (handler !== undefined) cursors.open(handler)
  if (after.state === 'successful' && row.remove_after === 1) {
    countRuns(session, { id: row.id, run_id: task.runId, trigger_at: task.triggerAt }, changes)
    removeRows(session, [{ id: row.id, name: task.name, state: after.state }], changes)
    changes.emit('deleted', after, now)
  }
  return after
}

export function expireRows(
  session: Session,
  { now, limit }: { now: number; limit: number },
  changes: Changes,
): { tasks: Task[]; more: boolean } {
  const { statements, cursors } = session
  const rows = statements.expired.all(now, limit) as TaskRow[]
  const tasks = rows.flatMap((row) => {
    const task = readTask(session, row)
    if (task.deadline > now) {
      // The handler allows more time than it did when the row was written.
      statements.extendWindow.run(task.deadline, row.id)
      cursors.lower(row.lane, row.due_at)
      return []
    }
    const settlement = applyVerdict(task, expiry(task), now)
    const settled = { ...task, ...settlement, repeatedTo: continueSeries(session, row, now, changes), updated: now }
    const ended = { ...settled, errorCallback: storeErrorCallback(session, settled, now) }
    statements.end.run({ name: task.name, triggerAt: task.triggerAt, state: ended.state, error: ended.error, now })
    changes.moved(task, task.state, ended.state)
    changes.emit(CHANGE_OF_STATE[ended.state], ended, now)
    return [ended]
  })
  return { tasks, more: rows.length === limit }
}

export function rescueRows(
  session: Session,
  { now, onlyNode, limit }: { now: number; onlyNode?: string; limit: number },
  changes: Changes,
): Task[] {
  const { statements } = session
  const rows = (onlyNode === undefined ? statements.leaseOver.all(now, limit) : statements.abandoned.all(onlyNode, limit)) as TaskRow[]
  return rows.map((row) => {
    recordReport(session, lossOf(readTask(session, row), now), changes)
    return readBack(session, { name: row.name, triggerAt: row.trigger_at })
  })
}

export function acknowledge(session: Session, ack: Acknowledgement, changes: Changes): AckResult {
  const row = findRow(session, ack.key)
  if (row === undefined) return { status: 'unknown' }
  const task = readTask(session, row)
  if (ack.runId !== undefined && ack.runId !== task.runId) return { status: 'other_run', task }
  if (task.state !== 'running') return { status: 'not_running', task }
  if (ack.attempt !== task.attempts) return { status: 'other_attempt', task }
  if (task.awaiting === null && task.definition.ack_timeout === undefined) return { status: 'unexpected', task }
  const { now } = ack
  const times = { startedAt: task.updated, endedAt: now }
  const node = task.claimedBy ?? 'unknown'
  if (ack.status === 'running') return { status: 'acknowledged', task: prolong(session, row, task, now, changes) }
  const result = {
    kind: 'acknowledged',
    ...times,
    success: ack.status === 'successful',
    retryable: ack.retryable,
    detail: ack.detail,
  } as const
  const ended = recordReport(session, reportOf(task, result, node, now, ack.random), changes)
  if (ended === undefined) throw new Error('a running task was not recorded by its own run and attempt')
  return { status: 'acknowledged', task: findRow(session, ack.key) ? readBack(session, ack.key) : ended }
}

/** By as much time as it had: a worker its lease, an accepted call its whole `ack_timeout`. */
function prolong(session: Session, row: TaskRow, task: Task, now: number, changes: Changes): Task {
  const { ack_timeout: minutes } = task.definition
  const had = (task.leaseUntil ?? now) - task.updated
  const lease = task.awaiting === 'worker' || minutes === undefined ? had : minutes * 60_000
  const { statements } = session
  statements.prolong.run({ id: row.id, leaseUntil: now + lease, now })
  // What was accepted has its attempt already.
  if (task.awaiting !== 'ack') {
    statements.putAttempt.run({ ...acceptedAttempt(task, now), taskId: row.id })
  }
  const prolonged = readBack(session, task)
  changes.emit('updated', prolonged, now)
  return prolonged
}

/** Stores the error callback of a task that has just ended badly, where it wants one: one for each run. @returns how far it is */
function storeErrorCallback(session: Session, task: Task, now: number): ErrorCallbackProgress | null {
  if (task.definition.error_callback === undefined || !isFinal(task.state)) return null
  const { statements } = session
  const attempts = (statements.attemptsOfRun.all(task.name, task.triggerAt, task.runId) as AttemptRow[]).map(toAttempt)
  const callback = errorCallbackOf(task, attempts, now)
  if (callback === undefined) return null
  const { name, triggerAt, host, dueAt, deadline, runId } = callback
  const row = { name, triggerAt, lane: host, dueAt, deadline, runId, now, rescheduledFrom: null, repeatedTo: null }
  insertRow(session, { ...row, definition: JSON.stringify(callback.definition) })
  return { state: 'pending', attempts: 0, executedAt: null, responseStatus: null, error: null }
}
