/** Begins a fresh run in a row that had another one before, and closes the account of that one. */
import type { FreshRow } from '../../rules/assign-lane.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Transaction } from '../session.ts'

/** The columns of a run that nobody has claimed yet. Takes `@runId`, `@deadline` and `@now`. */
export const FRESH_RUN = `
  state = 'pending', run_id = @runId, deadline = @deadline, attempts = 0, lost = 0, lease_until = NULL, awaiting = NULL,
  executed_at = NULL, response_status = NULL, response_body = NULL, error = NULL, rescheduled_to = NULL,
  remove_after = 0, updated = @now`
const REPLACE = `
  UPDATE tasks SET ${FRESH_RUN}, trigger_at = @triggerAt, lane = @lane, due_at = @dueAt, claimed_by = NULL, in_advance = @inAdvance, window_from = @windowFrom,
    rescheduled_from = @rescheduledFrom, repeated_to = @repeatedTo, definition = @definition WHERE id = @id`
const END_LAST_ATTEMPT = `UPDATE attempts SET outcome = 'failed' WHERE task_id = ? AND run_id = ? AND number = ?`

export type PreviousRun = Pick<TaskRow, 'id' | 'trigger_at' | 'state' | 'run_id' | 'attempts'>

/** Puts a fresh run into the place of a stored one. */
export function replaceRow(transaction: Transaction, before: PreviousRun, row: FreshRow): void {
  transaction.sql.run(REPLACE, { ...row, id: before.id })
  endPreviousRun(transaction, before)
  transaction.cursors.lower(row.lane, row.dueAt)
}

/** Counts the run that a fresh one replaces in its row. The last attempt of a failed run gets the outcome `failed`. */
export function endPreviousRun({ sql, changes }: Transaction, before: PreviousRun): void {
  changes.previousRunEnded({ triggerAt: before.trigger_at }, before)
  if (before.state === 'failed') sql.run(END_LAST_ATTEMPT, before.id, before.run_id, before.attempts)
}
