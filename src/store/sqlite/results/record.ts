/** Records the report of an attempt, with its counts, its changes, the error callback and the removal that follow from it. */
import { errorCallbackOf, hasErrorCallback } from '../../../domain/task/error-callback.ts'
import type { AttemptReport } from '../../../domain/attempt/attempt-report.ts'
import type { Attempt } from '../../../domain/task/attempt.ts'
import type { ErrorCallbackProgress, Task } from '../../../domain/task/task.ts'
import { freshRow } from '../../rules/assign-lane.ts'
import { FRESH_ERROR_CALLBACK, changeKindOf, correctedStart, taskAfter } from '../../rules/report-effects.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { ATTEMPT_COLUMNS, toAttempt, type AttemptRow, type TaskRow } from '../../rows/task-row.ts'
import { insertRow } from '../rows/rows.ts'
import { countRuns, removeRows } from '../tasks/remove.ts'
import { correctStart } from './starts.ts'
import type { Transaction, Verb } from '../session.ts'

const RECORD = `
  UPDATE tasks SET state = @state, due_at = @dueAt, attempts = @attempts, lost = @lost, error = @error, lease_until = @leaseUntil,
    awaiting = @awaiting, executed_at = coalesce(@executedAt, executed_at), response_status = @responseStatus,
    response_body = @responseBody, updated = @now
  WHERE name = @name AND trigger_at = @triggerAt AND run_id = @runId AND attempts = @claimedAttempts AND state = 'running'
  RETURNING id, lane, executed_at, remove_after`
// An accepted or prolonged attempt is there already: it keeps its start, and ends now.
const PUT_ATTEMPT = `
  INSERT INTO attempts (task_id, ${ATTEMPT_COLUMNS})
  VALUES (@taskId, @runId, @number, @dueAt, @startedAt, @durationMs, @deadline, @status, @error, @outcome, @attemptsLeft, @node)
  ON CONFLICT (task_id, run_id, number) DO UPDATE SET error = excluded.error, status = coalesce(excluded.status, status),
    deadline = coalesce(deadline, excluded.deadline), outcome = excluded.outcome, attempts_left = excluded.attempts_left,
    duration_ms = max(0, excluded.started_at + excluded.duration_ms - started_at)`
const ATTEMPTS_OF_RUN = `
  SELECT ${ATTEMPT_COLUMNS} FROM attempts
  WHERE task_id = (SELECT id FROM tasks WHERE name = ? AND trigger_at = ?) AND run_id = ? ORDER BY number`

export const recordReports: Verb<'record'> = (transaction, reports) => {
  return reports.map((report) => recordReport(transaction, report) !== undefined)
}

type RecordedRow = Pick<TaskRow, 'id' | 'lane' | 'executed_at' | 'remove_after'>

/** @returns the task after its report; undefined, with nothing changed, where the lease was lost */
export function recordReport(transaction: Transaction, report: AttemptReport): Task | undefined {
  const { sql, cursors } = transaction
  const { task, update, now, responseStatus, responseBody, attempt } = report
  const { name, triggerAt, runId, attempts: claimedAttempts } = task
  const executedAt = attempt ? attempt.startedAt + attempt.durationMs : null
  const written = { ...update, now, executedAt, responseStatus, responseBody }
  const row = sql.get<RecordedRow>(RECORD, { name, triggerAt, runId, claimedAttempts, ...written })
  if (row === undefined) return undefined
  if (attempt) putAttempt(transaction, row.id, attempt)
  const after = emitReport(transaction, report, taskAfter(report, row.executed_at))
  if (after.state === 'retrying' || after.state === 'pending') cursors.lower(row.lane, after.dueAt)
  const { handler } = parseLane(row.lane)
  if (handler !== undefined) {
    const correction = correctedStart(report)
    if (correction !== undefined) correctStart(transaction, handler, correction)
    cursors.openClosed(handler)
  }
  if (after.state === 'successful' && row.remove_after === 1) {
    countRuns(transaction, { id: row.id, run_id: runId, trigger_at: triggerAt })
    removeRows(transaction, [{ id: row.id, name, state: after.state }])
    transaction.changes.emit('deleted', after, now)
  }
  return after
}

/** Stores the error callback of a task that ended badly, counts the task in its new state, and emits the change. */
export function emitReport(transaction: Transaction, report: AttemptReport, ended: Task): Task {
  const after = { ...ended, errorCallback: storeErrorCallback(transaction, ended, report.now) }
  transaction.changes.moved(after, report.task.state, after.state)
  transaction.changes.emit(changeKindOf(report), after, report.now)
  return after
}

/** An attempt of the same number keeps its start. */
export function putAttempt({ sql }: Transaction, taskId: number, attempt: Attempt): void {
  sql.run(PUT_ATTEMPT, { ...attempt, taskId })
}

function storeErrorCallback(transaction: Transaction, task: Task, now: number): ErrorCallbackProgress | null {
  const { onFailure } = transaction
  if (!hasErrorCallback(task, onFailure)) return null
  const attempts = transaction.sql.all<AttemptRow>(ATTEMPTS_OF_RUN, task.name, task.triggerAt, task.runId).map(toAttempt)
  const callback = errorCallbackOf(task, attempts, now, onFailure)
  if (callback === undefined) return null
  insertRow(transaction, freshRow(transaction.handlers, callback, { now }).row)
  return FRESH_ERROR_CALLBACK
}
