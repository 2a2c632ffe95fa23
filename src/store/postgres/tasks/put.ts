/** Stores tasks of many callers at once: new ones, and those that take the place of an entry that has their key. */
import { servesTasksWithoutCallback } from '../../../domain/task/handler.ts'
import { pendingTask } from '../../../domain/task/task.ts'
import type { NewTask } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import { nextState } from '../../../domain/attempt/transitions.ts'
import type { HandlerRow } from '../../rows/handler-row.ts'
import { toHandler } from '../../rows/handler-row.ts'
import type { PutResult } from '../../store.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { endPreviousRuns } from './end-previous-run.ts'
import { inDistinctBatches } from '../commit/distinct-batches.ts'
import { FRESH, insertRows } from '../rows/insert-rows.ts'
import type { FreshRow } from '../rows/insert-rows.ts'
import { assignLane } from '../../rules/assign-lane.ts'
import { KEYS, keyOf, keyParams, lockRows, ofKeys, spanParams } from '../rows/rows.ts'
import type { Session } from '../session.ts'
import type { Transaction } from '../commit/transaction.ts'

export interface PutInput {
  readonly tasks: readonly NewTask[]
  readonly now: number
  readonly ifAbsent: boolean
}

/** A task that is stored in any case, unless what is there forbids it. */
interface Candidate {
  readonly ifAbsent: boolean
  readonly placed: NewTask
  readonly row: FreshRow
}

/** An entry that was there before. */
type Existing = Pick<TaskRow, 'name' | 'trigger_at' | 'state' | 'run_id' | 'attempts' | 'created'> & { readonly id?: number }

const SERVING = 'SELECT * FROM callme.handlers WHERE name = ANY($1) ORDER BY name FOR KEY SHARE'
const RESET = `
  UPDATE callme.tasks t SET state = 'pending', lane = r.lane, due_at = r."dueAt", deadline = r.deadline, lease_until = NULL,
    claimed_by = NULL, run_id = r."runId", attempts = 0, lost = 0, in_advance = 0, executed_at = NULL, response_status = NULL,
    response_body = NULL, error = NULL, updated = r.now, rescheduled_to = NULL, rescheduled_from = NULL, repeated_to = NULL,
    window_from = NULL, awaiting = NULL, remove_after = 0, definition = r.definition
  FROM json_to_recordset($1) AS r ${FRESH} WHERE t.name = r.name AND t.trigger_at = r."triggerAt"`
const TAKE_OUT = `
  DELETE FROM callme.finished f USING ${KEYS} WHERE ${ofKeys('f')} RETURNING f.name, f.trigger_at, f.state, f.run_id, f.attempts, f.created`
const KEEP_ENDED = `
  DELETE FROM callme.tasks t USING ${KEYS}, callme.finished f WHERE t.name = k.name AND t.trigger_at = k.trigger_at AND ${ofKeys('f')}
  RETURNING f.name, f.trigger_at, f.state, f.run_id, f.attempts, f.created`
const SET_CREATED = `
  UPDATE callme.tasks t SET created = k.created FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (name, trigger_at, created)
  WHERE t.name = k.name AND t.trigger_at = k.trigger_at`

export async function putTasks(session: Session, transaction: Transaction, inputs: readonly PutInput[]): Promise<PutResult[][]> {
  const given = inputs.flatMap(({ tasks, now, ifAbsent }) => tasks.map((task) => ({ task, now, ifAbsent })))
  const serving = await servingHandlers(session, transaction, given)
  const candidates = given.map(({ task, now, ifAbsent }): Candidate | undefined => {
    if (task.definition.callback === undefined && !serving.has(session.handlers.of(task.name)?.name ?? '')) return undefined
    const { lane, ...placed } = assignLane(session.handlers, task)
    const { name, triggerAt, dueAt, runId } = task
    const fresh = { name, triggerAt, lane, dueAt, deadline: placed.deadline, runId, now, rescheduledFrom: null, repeatedTo: null }
    return { ifAbsent, placed, row: { ...fresh, definition: JSON.stringify(task.definition) } }
  })
  const stored = await inDistinctBatches(
    candidates.filter((candidate) => candidate !== undefined),
    ({ row }) => formatTaskKey(row),
    (wave) => storeWave(transaction, wave),
  )
  const results = candidates.map((candidate): PutResult => {
    return candidate === undefined ? { status: 'no_callback' } : (stored.shift() ?? { status: 'no_callback' })
  })
  emitStored(transaction, results)
  return inputs.map(({ tasks }) => results.splice(0, tasks.length))
}

/**
 * Those that tasks without a callback need. They stay as they are until the transaction is over, and apply to these tasks until then: whoever
 * stores one that hides another locks that one as well. What has come before the lock is heard of after it.
 */
async function servingHandlers(session: Session, transaction: Transaction, given: readonly { task: NewTask }[]): Promise<Set<string>> {
  const names = given.filter(({ task }) => task.definition.callback === undefined).map(({ task }) => task.name)
  const locked = new Map<string, HandlerRow | undefined>()
  for (let open = names; open.length > 0;) {
    await session.peers.catchUp()
    open = [...new Set(names.flatMap((name) => session.handlers.of(name)?.name ?? []))].filter((name) => !locked.has(name))
    const rows = open.length === 0 ? [] : await transaction.query<HandlerRow>(SERVING, [open])
    for (const name of open)
      locked.set(
        name,
        rows.find((row) => row.name === name),
      )
  }
  const serving = [...locked.values()].filter((row) => row !== undefined && servesTasksWithoutCallback(toHandler(row).definition))
  return new Set(serving.flatMap((row) => row?.name ?? []))
}

/** @param wave of different keys */
async function storeWave(transaction: Transaction, wave: readonly Candidate[]): Promise<PutResult[]> {
  const existing = new Map<string, Existing>()
  let missing = wave
  while (missing.length > 0) {
    const inserted = await insertRows(
      transaction,
      missing.map(({ row }) => row),
    )
    const [isNew, isTaken] = split(missing, ({ row }) => inserted.has(formatTaskKey(row)))
    for (const [key, ended] of await replaceEnded(transaction, isNew)) existing.set(key, ended)
    const rows = await lockRows(
      transaction,
      isTaken.map(({ row }) => row),
    )
    for (const row of rows) existing.set(formatTaskKey(keyOf(row)), row)
    // What was in the way may have ended or gone meanwhile.
    missing = isTaken.filter(({ row }) => !existing.has(formatTaskKey(row)))
  }
  await resetRows(transaction, wave, existing)
  const replaced: Existing[] = []
  const results = wave.map(({ ifAbsent, placed, row }): PutResult => {
    const before = existing.get(formatTaskKey(row))
    const task = pendingTask(placed, { created: before?.created ?? row.now, now: row.now })
    if (before === undefined) return { status: 'created', task }
    if (ifAbsent) return { status: 'exists' }
    if (nextState(before.state, 'replaced', 0) === undefined) return { status: 'running' }
    transaction.changes.moved(row, before.state, undefined)
    replaced.push(before)
    return { status: 'replaced', task }
  })
  await endPreviousRuns(transaction, replaced)
  return results
}

/** Rows that wait become those that were given, where these may replace them. */
async function resetRows(transaction: Transaction, wave: readonly Candidate[], existing: ReadonlyMap<string, Existing>): Promise<void> {
  const rows = wave.flatMap(({ ifAbsent, row }) => {
    const before = existing.get(formatTaskKey(row))
    if (before?.id === undefined || ifAbsent || nextState(before.state, 'replaced', 0) === undefined) return []
    transaction.notes.rowWaits(row.lane, { dueAt: row.dueAt, id: before.id }, row.deadline)
    return [row]
  })
  if (rows.length > 0) await transaction.query(RESET, [JSON.stringify(rows)])
}

/** An entry of the key that has ended goes, or stays where nothing may take its place. @returns these, by key */
async function replaceEnded(transaction: Transaction, wave: readonly Candidate[]): Promise<Map<string, Existing>> {
  const [absent, any] = split(wave, ({ ifAbsent }) => ifAbsent)
  const ended = new Map<string, Existing>()
  for (const [sql, part] of [[KEEP_ENDED, absent] as const, [TAKE_OUT, any] as const]) {
    if (part.length === 0) continue
    const keys = spanParams(part.map(({ row }) => row))
    const rows = await transaction.query<Existing>(sql, keys)
    for (const row of rows) ended.set(formatTaskKey(keyOf(row)), row)
    if (sql === TAKE_OUT && rows.length > 0) {
      await transaction.query(SET_CREATED, [...keyParams(rows.map(keyOf)), rows.map(({ created }) => created)])
    }
  }
  return ended
}

function emitStored({ changes }: Transaction, results: readonly PutResult[]): void {
  for (const result of results) {
    if (!('task' in result)) continue
    const { status, task } = result
    changes.moved(task, undefined, 'pending')
    changes.emit(status === 'created' ? 'created' : 'updated', task, task.updated)
  }
}

function split<T>(all: readonly T[], isFirst: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))]
}
