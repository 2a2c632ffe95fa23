/**
 * Writes what becomes of tasks that run, or whose window has closed: where they end they leave the table of what waits or runs. Guarded by
 * run, attempt and whether they run, so a result of a lost lease changes nothing.
 */
import { errorCallbackOf } from '../../../domain/task/error-callback.ts'
import type { AttemptReport } from '../../../domain/attempt/attempt-report.ts'
import { isFinal } from '../../../domain/task/task.ts'
import type { Attempt, Task } from '../../../domain/task/task.ts'
import { CHANGE_OF_STATE } from '../../../domain/task/task-change.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { ATTEMPT_COLUMNS, toAttempt } from '../../rows/task-row.ts'
import type { AttemptRow, TaskRow } from '../../rows/task-row.ts'
import { countRuns } from '../tasks/remove.ts'
import { inDistinctBatches } from '../commit/distinct-batches.ts'
import { insertRows } from '../rows/insert-rows.ts'
import { COLUMNS, KEYS, columnsOf, encodeBody, cleanText, keyOf, ofKeys, spanParams } from '../rows/rows.ts'
import type { Transaction } from '../commit/transaction.ts'

type WrittenRow = Pick<TaskRow, 'id' | 'name' | 'trigger_at' | 'lane' | 'executed_at' | 'remove_after'>

/** Of an outcome, in the words of its JSON. */
const OUTCOME = `(name text, "triggerAt" bigint, "runId" text, claimed int, "wasRunning" boolean, state text, "dueAt" bigint, deadline bigint, attempts int,
  lost int, error text, "leaseUntil" bigint, awaiting text, "executedAt" bigint, "responseStatus" int, "responseBody" text, now bigint,
  number int, "attemptDueAt" bigint, "startedAt" bigint, "durationMs" bigint, "attemptDeadline" bigint, status int, "attemptError" text,
  outcome text, "attemptsLeft" int, node text)`
/** Of its attempt, in the order of ATTEMPT_COLUMNS. */
const ATTEMPT =
  '"runId", number, "attemptDueAt", "startedAt", "durationMs", "attemptDeadline", status, "attemptError", outcome, "attemptsLeft", node'
const GUARD = `t.name = o.name AND t.trigger_at = o."triggerAt" AND t.run_id = o."runId" AND t.attempts = o.claimed
  AND (t.state = 'running') = o."wasRunning"`
const UPDATED = {
  ...{
    state: 'state',
    due_at: '"dueAt"',
    deadline: 'deadline',
    attempts: 'attempts',
    lost: 'lost',
    error: 'error',
    lease_until: '"leaseUntil"',
  },
  ...{ awaiting: 'awaiting', response_status: '"responseStatus"', response_body: '"responseBody"', updated: 'now' },
}
const updatedBy = (source: string) => ({
  ...Object.fromEntries(Object.entries(UPDATED).map(([column, field]) => [column, `${source}.${field}`])),
  executed_at: `coalesce(${source}."executedAt", t.executed_at)`,
})

// An attempt that was accepted, or prolonged, is there already: it began then, and ends now.
const PUT_ATTEMPTS = (source: string): string => `
  INSERT INTO callme.attempts AS a (name, trigger_at, ${ATTEMPT_COLUMNS})
  SELECT name, trigger_at, ${ATTEMPT} FROM ${source} WHERE number IS NOT NULL
  ON CONFLICT (trigger_at, name, run_id, number) DO UPDATE SET error = excluded.error, status = coalesce(excluded.status, a.status),
    deadline = coalesce(a.deadline, excluded.deadline), outcome = excluded.outcome, attempts_left = excluded.attempts_left,
    duration_ms = greatest(0, excluded.started_at + excluded.duration_ms - a.started_at)`
const RETURNED = 'id, name, trigger_at, lane, executed_at, remove_after'

const END = `
  WITH o AS (SELECT * FROM json_to_recordset($1) AS r ${OUTCOME}),
  gone AS (
    DELETE FROM callme.tasks t USING o WHERE ${GUARD}
    RETURNING ${columnsOf('t', updatedBy('o'))}, ${ATTEMPT}
  ), ended AS (
    INSERT INTO callme.finished (${COLUMNS}) SELECT ${COLUMNS} FROM gone WHERE remove_after = 0 OR state <> 'successful'
  ), tried AS (${PUT_ATTEMPTS(`(SELECT * FROM gone WHERE remove_after = 0 OR state <> 'successful') kept`)})
  SELECT ${RETURNED} FROM gone`
const UPDATE = `
  WITH o AS (SELECT * FROM json_to_recordset($1) AS r ${OUTCOME}),
  kept AS (
    UPDATE callme.tasks t SET ${Object.entries(updatedBy('o'))
      .map(([column, value]) => `${column} = ${value}`)
      .join(', ')}
    FROM o WHERE ${GUARD}
    RETURNING t.*, ${ATTEMPT}
  ), tried AS (${PUT_ATTEMPTS('kept')})
  SELECT ${RETURNED} FROM kept`
const FORGET_ATTEMPTS = `DELETE FROM callme.attempts a USING ${KEYS} WHERE ${ofKeys('a')}`
const ATTEMPTS = `SELECT a.* FROM ${KEYS} JOIN callme.attempts a ON ${ofKeys('a')} ORDER BY a.number`

/** @returns the tasks as they are after that; undefined for those of which nothing was written, because the lease was lost */
export async function writeReports(transaction: Transaction, outcomes: readonly AttemptReport[]): Promise<(Task | undefined)[]> {
  const written = await inDistinctBatches(
    outcomes,
    ({ task }) => formatTaskKey(task),
    (wave) => writeWave(transaction, wave),
  )
  const settled = outcomes.map((outcome, index) => {
    const row = written[index]
    return row && { row, outcome, task: updatedTask(outcome, row) }
  })
  const callbacks = await storeErrorCallbacks(
    transaction,
    settled.flatMap((one) => one ?? []),
  )
  return settled.map((one) => one && emitEnd(transaction, one, callbacks.has(one.task)))
}

interface Written {
  readonly row: WrittenRow
  readonly outcome: AttemptReport
  readonly task: Task
}

async function writeWave(transaction: Transaction, wave: readonly AttemptReport[]): Promise<(WrittenRow | undefined)[]> {
  const rows = new Map<string, WrittenRow>()
  transaction.isWriting = true
  const [ends, others] = [wave.filter(({ update }) => isFinal(update.state)), wave.filter(({ update }) => !isFinal(update.state))]
  for (const [sql, part] of [[END, ends] as const, [UPDATE, others] as const]) {
    if (part.length === 0) continue
    const json = JSON.stringify(part.map(toJson).sort(byKey))
    for (const row of await transaction.query<WrittenRow>(sql, [json])) rows.set(formatTaskKey(keyOf(row)), row)
  }
  const removed = ends.filter(({ task, update }) => rows.get(formatTaskKey(task))?.remove_after === 1 && update.state === 'successful')
  await countRuns(
    transaction,
    removed.map(({ task }) => ({ name: task.name, trigger_at: task.triggerAt, run_id: task.runId })),
  )
  if (removed.length > 0) await transaction.query(FORGET_ATTEMPTS, spanParams(removed.map(({ task }) => task)))
  return wave.map(({ task }) => rows.get(formatTaskKey(task)))
}

function toJson({ task, update, now, responseStatus, responseBody, attempt }: AttemptReport): object & { name: string; triggerAt: number } {
  return {
    ...{ name: task.name, triggerAt: task.triggerAt, runId: task.runId, claimed: task.attempts, wasRunning: task.state === 'running' },
    // What its handler says of the window now is what it is found by.
    ...{
      ...update,
      deadline: task.deadline,
      error: cleanText(update.error),
      responseStatus,
      responseBody: encodeBody(responseBody),
      now,
    },
    ...(attempt && {
      executedAt: attempt.startedAt + attempt.durationMs,
      ...{ number: attempt.number, attemptDueAt: attempt.dueAt, startedAt: attempt.startedAt, durationMs: attempt.durationMs },
      ...{ attemptDeadline: attempt.deadline, status: attempt.status, attemptError: cleanText(attempt.error) },
      ...{ outcome: attempt.outcome, attemptsLeft: attempt.attemptsLeft, node: attempt.node },
    }),
  }
}

/** Rows are locked in this order, so that no two transactions wait for each other. */
function byKey(one: { name: string; triggerAt: number }, other: { name: string; triggerAt: number }): number {
  return one.name < other.name ? -1 : one.name > other.name ? 1 : one.triggerAt - other.triggerAt
}

function updatedTask({ task, update, now, responseStatus, responseBody }: AttemptReport, { executed_at: executedAt }: WrittenRow): Task {
  return { ...task, ...update, responseStatus, responseBody, executedAt, updated: now }
}

/** @param isErrorTold whether its error callback has just been stored */
function emitEnd({ changes, notes }: Transaction, { row, outcome, task: settled }: Written, isErrorTold: boolean): Task {
  const { task, now, attempt } = outcome
  const errorCallback = isErrorTold
    ? ({ state: 'pending', attempts: 0, executedAt: null, responseStatus: null, error: null } as const)
    : null
  const after: Task = { ...settled, errorCallback }
  changes.moved(task, task.state, after.state)
  changes.emit(attempt === undefined && after.state === 'retrying' ? 'updated' : CHANGE_OF_STATE[after.state], after, now)
  if (after.state === 'retrying' || after.state === 'pending') notes.rowWaits(row.lane, { dueAt: after.dueAt, id: row.id }, after.deadline)
  const { handler } = parseLane(row.lane)
  if (handler !== undefined && task.state === 'running') notes.capacityFreed(handler)
  if (after.state === 'successful' && row.remove_after === 1) {
    changes.moved(task, after.state, undefined)
    changes.emit('deleted', after, now)
  }
  return after
}

/** Stores the error callbacks of tasks that have just ended badly, where they want one: one for each run. @returns these tasks */
async function storeErrorCallbacks(transaction: Transaction, settled: readonly Written[]): Promise<Set<Task>> {
  const ended = settled.filter(
    ({ task }) => task.definition.error_callback !== undefined && (task.state === 'failed' || task.state === 'skipped'),
  )
  if (ended.length === 0) return new Set()
  const rows = await transaction.query<AttemptRow & Pick<TaskRow, 'name' | 'trigger_at'>>(
    ATTEMPTS,
    spanParams(ended.map(({ task }) => task)),
  )
  const attemptsOf = (task: Task): Attempt[] =>
    rows.filter((row) => row.run_id === task.runId && formatTaskKey(keyOf(row)) === formatTaskKey(task)).map(toAttempt)
  const callbacks = ended.flatMap(({ task, outcome: { now } }) => {
    const callback = errorCallbackOf(task, attemptsOf(task), now)
    return callback === undefined ? [] : [{ task, now, callback }]
  })
  await insertRows(
    transaction,
    callbacks.map(({ now, callback: { definition, host, ...callback } }) => {
      return { ...callback, lane: host, now, rescheduledFrom: null, repeatedTo: null, definition: JSON.stringify(definition) }
    }),
  )
  return new Set(callbacks.map(({ task }) => task))
}
