/**
 * Writes reports on running tasks, and on waiting tasks whose window has closed. An ended row moves to `finished`. A report of another run,
 * another attempt or a lost lease changes nothing.
 */
import { errorCallbackOf, hasErrorCallback } from '../../../domain/task/error-callback.ts'
import type { AttemptReport } from '../../../domain/attempt/attempt-report.ts'
import { isFinal, type Task } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { ATTEMPT_COLUMNS, toAttempt, type AttemptRow, type TaskRow } from '../../rows/task-row.ts'
import { freshRow } from '../../rules/assign-lane.ts'
import { FRESH_ERROR_CALLBACK, changeKindOf, correctedStart, taskAfter } from '../../rules/report-effects.ts'
import { together } from '../commit/group-writer.ts'
import type { Transaction } from '../commit/transaction.ts'
import { insertRows } from '../rows/fresh-rows.ts'
import { COLUMNS, KEYS, assignments, byKey, columnsOf, distinctBatches, keyOf, ofKeys, queryKeys, split } from '../rows/rows.ts'
import type { KeyColumns } from '../rows/rows.ts'
import { forgetRuns } from '../tasks/remove.ts'
import { correctStart } from './starts.ts'

type WrittenRow = Pick<TaskRow, 'id' | 'name' | 'trigger_at' | 'run_id' | 'state' | 'lane' | 'executed_at' | 'remove_after'>

/** A report that was written, with the task after it. */
interface Written {
  readonly row: WrittenRow
  readonly report: AttemptReport
  readonly task: Task
}

/** The columns of a report as JSON. */
const REPORT = `(name text, "triggerAt" bigint, "runId" text, claimed int, "wasRunning" boolean, state text, "dueAt" bigint, deadline bigint, attempts int,
  lost int, error text, "leaseUntil" bigint, awaiting text, "responseStatus" int, "responseBody" text, now bigint,
  number int, "attemptDueAt" bigint, "startedAt" bigint, "durationMs" bigint, "attemptDeadline" bigint, status int, "attemptError" text,
  outcome text, "attemptsLeft" int, node text)`
/** The columns of its attempt, in the order of ATTEMPT_COLUMNS. */
const ATTEMPT =
  '"runId", number, "attemptDueAt", "startedAt", "durationMs", "attemptDeadline", status, "attemptError", outcome, "attemptsLeft", node'
const GUARD = `t.name = o.name AND t.trigger_at = o."triggerAt" AND t.run_id = o."runId" AND t.attempts = o.claimed
  AND (t.state = 'running') = o."wasRunning"`
const UPDATED = {
  ...{ state: 'o.state', due_at: 'o."dueAt"', deadline: 'o.deadline', attempts: 'o.attempts', lost: 'o.lost', error: 'o.error' },
  ...{ lease_until: 'o."leaseUntil"', awaiting: 'o.awaiting', response_status: 'o."responseStatus"', response_body: 'o."responseBody"' },
  ...{ updated: 'o.now', executed_at: 'coalesce(o."startedAt" + o."durationMs", t.executed_at)' },
}

// The attempt of an accepted or prolonged call is stored already, and keeps its start.
const PUT_ATTEMPTS = (source: string): string => `
  INSERT INTO callme.attempts AS a (name, trigger_at, ${ATTEMPT_COLUMNS})
  SELECT name, trigger_at, ${ATTEMPT} FROM ${source} WHERE number IS NOT NULL
  ON CONFLICT (trigger_at, name, run_id, number) DO UPDATE SET error = excluded.error, status = coalesce(excluded.status, a.status),
    deadline = coalesce(a.deadline, excluded.deadline), outcome = excluded.outcome, attempts_left = excluded.attempts_left,
    duration_ms = greatest(0, excluded.started_at + excluded.duration_ms - a.started_at)`
const RETURNED = 'id, name, trigger_at, run_id, state, lane, executed_at, remove_after'
const KEPT = `remove_after = 0 OR state <> 'successful'`
const END = `
  WITH o AS (SELECT * FROM json_to_recordset($1) AS r ${REPORT}),
  gone AS (DELETE FROM callme.tasks t USING o WHERE ${GUARD} RETURNING ${columnsOf('t', UPDATED)}, ${ATTEMPT}),
  ended AS (INSERT INTO callme.finished (${COLUMNS}) SELECT ${COLUMNS} FROM gone WHERE ${KEPT}),
  tried AS (${PUT_ATTEMPTS(`(SELECT * FROM gone WHERE ${KEPT}) kept`)})
  SELECT ${RETURNED} FROM gone`
const UPDATE = `
  WITH o AS (SELECT * FROM json_to_recordset($1) AS r ${REPORT}),
  kept AS (UPDATE callme.tasks t SET ${assignments(UPDATED)} FROM o WHERE ${GUARD} RETURNING t.*, ${ATTEMPT}),
  tried AS (${PUT_ATTEMPTS('kept')})
  SELECT ${RETURNED} FROM kept`
const ATTEMPTS = `SELECT a.* FROM ${KEYS} JOIN callme.attempts a ON ${ofKeys('a')} ORDER BY a.number`

/** Answers for each report of each call whether it was written. */
export const record = together(
  async (transaction, inputs: readonly (readonly AttemptReport[])[]): Promise<boolean[][]> => {
    const written = (await writeReports(transaction, inputs.flat())).map((task) => task !== undefined)
    return inputs.map(({ length }) => written.splice(0, length))
  },
  ({ length }) => length,
)

/** @returns the tasks after their reports, in order; undefined for a report that was not written */
export async function writeReports(transaction: Transaction, reports: readonly AttemptReport[]): Promise<(Task | undefined)[]> {
  // The same report may come twice, so each place has an object of its own.
  const all = reports.map((report) => ({ report }))
  const written = new Map<object, Written>()
  for (const batch of distinctBatches(all, ({ report }) => formatTaskKey(report.task))) {
    const inBatch = batch.map(({ report }) => report)
    const rows = await writeBatch(transaction, inBatch)
    for (const one of batch) {
      const row = rows.get(formatTaskKey(one.report.task))
      if (row !== undefined) written.set(one, { row, report: one.report, task: taskAfter(one.report, row.executed_at) })
    }
  }
  await correctStarts(transaction, [...written.values()])
  const withCallback = await storeErrorCallbacks(transaction, [...written.values()])
  return all.map((one) => {
    const end = written.get(one)
    return end && emitEnd(transaction, end, withCallback.has(end.task))
  })
}

/** Writes a batch of different keys. @returns the written rows by key */
async function writeBatch(transaction: Transaction, batch: readonly AttemptReport[]): Promise<Map<string, WrittenRow>> {
  transaction.isWriting = true
  const rows: WrittenRow[] = []
  const [ends, others] = split(batch, ({ update }) => isFinal(update.state))
  for (const [sql, part] of [[END, ends] as const, [UPDATE, others] as const]) {
    // All statements lock rows in the order of keys, so no two transactions wait for each other.
    if (part.length > 0) rows.push(...(await transaction.query<WrittenRow>(sql, [JSON.stringify(part.map(toJson).sort(inKeyOrder))])))
  }
  const removed = rows.filter(({ state, remove_after: removeAfter }) => state === 'successful' && removeAfter === 1)
  await forgetRuns(transaction, removed)
  return byKey(rows)
}

function toJson({ task, update, now, responseStatus, responseBody, attempt }: AttemptReport): object & { name: string; triggerAt: number } {
  return {
    ...(attempt && { ...attempt, attemptDueAt: attempt.dueAt, attemptDeadline: attempt.deadline, attemptError: cleanText(attempt.error) }),
    ...{ name: task.name, triggerAt: task.triggerAt, runId: task.runId, claimed: task.attempts, wasRunning: task.state === 'running' },
    // The row is found by this deadline, so it gets the one that its handler allows now.
    ...{ ...update, deadline: task.deadline, error: cleanText(update.error) },
    // PostgreSQL's text holds neither NUL nor half a character, so a response body is stored as a JSON string.
    ...{ responseStatus, responseBody: responseBody === null ? null : JSON.stringify(responseBody), now },
  }
}

/** A reason without the characters that PostgreSQL's text cannot hold. */
function cleanText(error: string | null): string | null {
  return error === null ? null : error.toWellFormed().replaceAll('\u0000', '\ufffd')
}

function inKeyOrder(one: { name: string; triggerAt: number }, other: { name: string; triggerAt: number }): number {
  return one.name < other.name ? -1 : one.name > other.name ? 1 : one.triggerAt - other.triggerAt
}

/** Emits the changes of a written report. @returns the task as it reads back */
function emitEnd({ changes, notes }: Transaction, { row, report, task }: Written, isTold: boolean): Task {
  const { task: before, now } = report
  const after: Task = { ...task, errorCallback: isTold ? FRESH_ERROR_CALLBACK : null }
  changes.moved(after, before.state, after.state)
  changes.emit(changeKindOf(report), after, now)
  if (after.state === 'retrying' || after.state === 'pending') notes.rowWaits(row.lane, { dueAt: after.dueAt, id: row.id }, after.deadline)
  const { handler } = parseLane(row.lane)
  if (handler !== undefined && before.state === 'running') notes.capacityFreed(handler)
  if (after.state === 'successful' && row.remove_after === 1) {
    changes.moved(after, after.state, undefined)
    changes.emit('deleted', after, now)
  }
  return after
}

async function correctStarts(transaction: Transaction, written: readonly Written[]): Promise<void> {
  for (const { row, report } of written) {
    const { handler } = parseLane(row.lane)
    const correction = handler === undefined ? undefined : correctedStart(report)
    if (handler !== undefined && correction !== undefined) await correctStart(transaction, handler, correction)
  }
}

/** Stores the error callbacks of failed and skipped tasks. @returns the tasks with a callback */
async function storeErrorCallbacks(transaction: Transaction, written: readonly Written[]): Promise<Set<Task>> {
  const { handlers, onFailure } = transaction.session
  const ended = written.filter(({ task }) => hasErrorCallback(task, onFailure))
  const tasks = ended.map(({ task }) => task)
  const rows = await queryKeys<AttemptRow & KeyColumns>(transaction, ATTEMPTS, tasks)
  const callbacks = ended.flatMap(({ task, report: { now } }) => {
    const own = rows.filter((row) => row.run_id === task.runId && formatTaskKey(keyOf(row)) === formatTaskKey(task))
    const callback = errorCallbackOf(task, own.map(toAttempt), now, onFailure)
    return callback === undefined ? [] : [{ task, row: freshRow(handlers, callback, { now }).row }]
  })
  const fresh = callbacks.map(({ row }) => row)
  await insertRows(transaction, fresh)
  return new Set(callbacks.map(({ task }) => task))
}
