/** Stores the tasks of many callers at once. A task may replace the stored task of its key, or the one that waits in its series. */
import { servesTasksWithoutCallback } from '../../../domain/task/handler.ts'
import { pendingTask, type NewTask } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import { nextState } from '../../../domain/attempt/transitions.ts'
import { toHandler, type HandlerRow } from '../../rows/handler-row.ts'
import { freshRow, type FreshRow } from '../../rules/assign-lane.ts'
import { weightOf } from '../../../domain/task/page-size.ts'
import type { PutRefusal, PutResult, StoredTask } from '../../../domain/task/client-write.ts'
import { together } from '../commit/group-writer.ts'
import type { Transaction } from '../commit/transaction.ts'
import { endPreviousRuns, insertRows, resetRows, type EndedRun } from '../rows/fresh-rows.ts'
import {
  KEYS,
  byKey,
  columnsOf,
  distinctBatches,
  keyOf,
  lockStates,
  mustGet,
  ofKeys,
  queryKeys,
  readRows,
  readTask,
  setColumn,
  split,
} from '../rows/rows.ts'
import { removeTasks } from './remove.ts'
import { waitingInSeries } from './series.ts'

interface PutInput {
  readonly tasks: readonly NewTask[]
  readonly now: number
  readonly ifAbsent: boolean
}

/** A task that can be called, with its fresh row. */
type Candidate = ReturnType<typeof freshRow> & Pick<PutInput, 'ifAbsent'> & { readonly given: NewTask }

/** A stored task of the same key. An ended one has no `id` here. */
type Existing = EndedRun & { readonly created: number; readonly id?: number }

/** A serving handler keeps its definition until the transaction ends: a change that hides it waits for this lock. */
const SERVING = 'SELECT * FROM callme.handlers WHERE name = ANY($1) ORDER BY name FOR KEY SHARE'
const EXISTING = 'f.name, f.trigger_at, f.state, f.run_id, f.attempts, f.created'
const TAKE_OUT = `DELETE FROM callme.finished f USING ${KEYS} WHERE ${ofKeys('f')} RETURNING ${EXISTING}`
const KEEP_ENDED = `
  DELETE FROM callme.tasks t USING ${KEYS}, callme.finished f WHERE t.name = k.name AND t.trigger_at = k.trigger_at AND ${ofKeys('f')}
  RETURNING ${EXISTING}`

/** The order keeps two transactions from waiting for each other. */
const LOCK_NAMES = `
  WITH n AS MATERIALIZED (
    SELECT DISTINCT hashtextextended('callme name ' || name, 0) AS number FROM unnest($1::text[]) AS k (name) ORDER BY number
  ) SELECT pg_advisory_xact_lock(number) FROM n`
const firstOf = (table: string, order: string): string =>
  `(SELECT ${columnsOf('t')} FROM callme.${table} t WHERE t.name = $1 ORDER BY t.trigger_at ${order} LIMIT 1)`
const NOT_ENDED = firstOf('tasks', 'ASC')
/** One statement, because a task may end between two. */
const KEPT = `
  SELECT * FROM (SELECT 0 AS place, * FROM ${NOT_ENDED} t UNION ALL SELECT 1, * FROM ${firstOf('finished', 'DESC')} f) o
  ORDER BY place LIMIT 1`

export const putTasks = together(writeTasks, ({ tasks }: PutInput) => weightOf(tasks))

async function writeTasks(transaction: Transaction, inputs: readonly PutInput[]): Promise<PutResult[][]> {
  const { handlers } = transaction.session
  const given = inputs.flatMap(({ tasks, now, ifAbsent }) => tasks.map((task) => ({ task, now, ifAbsent })))
  const withoutCallback = given.flatMap(({ task }) => (task.definition.callback === undefined ? task.name : []))
  const serving = await lockServing(transaction, withoutCallback)
  const candidates = given.map(({ task, now, ifAbsent }): Candidate | undefined => {
    const handler = handlers.of(task.name)?.name
    const isCallable = task.definition.callback !== undefined || (handler !== undefined && serving.has(handler))
    return isCallable ? { ifAbsent, given: task, ...freshRow(handlers, task, { now }) } : undefined
  })
  const stored = new Map<Candidate, PutResult>()
  const callable = candidates.filter((candidate) => candidate !== undefined)
  const single = new Set(callable.filter(regardsName).map(({ given: { name } }) => name))
  if (single.size > 0) await lockNames(transaction, [...single])
  for (const batch of distinctBatches(callable, ({ row }) => (single.has(row.name) ? row.name : formatTaskKey(row)))) {
    for (const [candidate, result] of await storeOfNames(transaction, batch)) {
      stored.set(candidate, result)
      if (result.status === 'created' || result.status === 'replaced') emitStored(transaction, result)
    }
  }
  const results = candidates.map((one): PutResult => (one === undefined ? { status: 'no_callback' } : mustGet(stored, one)))
  return inputs.map(({ tasks }) => results.splice(0, tasks.length))
}

function emitStored({ changes }: Transaction, { status, task }: StoredTask): void {
  changes.moved(task, undefined, 'pending')
  changes.emit(status === 'created' ? 'created' : 'updated', task, task.updated)
}

/** Locks the handlers of the names. @returns the stored handlers that serve tasks without a callback */
export async function lockServing(transaction: Transaction, names: readonly string[]): Promise<ReadonlySet<string>> {
  const { handlers, peers } = transaction.session
  const [locked, serving] = [new Set<string>(), new Set<string>()]
  for (let open = names; open.length > 0;) {
    // Another handler may have come before the lock.
    await peers.catchUp()
    open = [...new Set(names.flatMap((name) => handlers.of(name)?.name ?? []))].filter((name) => !locked.has(name))
    const rows = open.length === 0 ? [] : await transaction.query<HandlerRow>(SERVING, [open])
    for (const name of open) locked.add(name)
    for (const row of rows) if (servesTasksWithoutCallback(toHandler(row).definition)) serving.add(row.name)
  }
  return serving
}

/** No other transaction stores a task that regards one of these names until this one ends. */
export async function lockNames(transaction: Transaction, names: readonly string[]): Promise<void> {
  await transaction.query(LOCK_NAMES, [names])
}

/** Whether other tasks of its name decide what becomes of a task. */
function regardsName({ given: { definition, unique } }: Candidate): boolean {
  return definition.repeat !== undefined || unique !== undefined
}

/** Writes a batch of different keys, in which a task that regards its name is the only one of that name. */
async function storeOfNames(transaction: Transaction, batch: readonly Candidate[]): Promise<[Candidate, PutResult][]> {
  const [ofNames, others] = split(batch, regardsName)
  const results: [Candidate, PutResult][] = []
  for (const candidate of ofNames) results.push([candidate, await storeOfName(transaction, candidate)])
  return others.length === 0 ? results : [...results, ...(await storeBatch(transaction, others))]
}

async function storeOfName(transaction: Transaction, candidate: Candidate): Promise<PutResult> {
  const { given, ifAbsent, row: fresh } = candidate
  const [there] = given.unique === undefined ? [] : await readRows(transaction, given.unique === 'ever' ? KEPT : NOT_ENDED, [given.name])
  if (there !== undefined) return { status: 'kept', task: await readTask(transaction, transaction.session, there) }
  const waiting = given.definition.repeat === undefined ? [] : await waitingInSeries(transaction, given.name)
  const [first] = waiting.map(keyOf)
  if (first !== undefined && ifAbsent) return { status: 'exists', key: first }
  const result = mustGet(new Map(await storeBatch(transaction, [candidate])), candidate)
  if (!('task' in result) || first === undefined) return result
  const others = waiting.filter((row) => row.trigger_at !== given.triggerAt)
  await removeTasks(transaction, others, fresh.now)
  return { ...result, replaces: first }
}

/** Writes a batch of different keys. */
async function storeBatch(transaction: Transaction, batch: readonly Candidate[]): Promise<[Candidate, StoredTask | PutRefusal][]> {
  const existing = await insertBatch(transaction, batch)
  const [replaced, reset]: [Existing[], { fresh: FreshRow; id: number }[]] = [[], []]
  const results = batch.map((candidate): [Candidate, StoredTask | PutRefusal] => {
    const { ifAbsent, task: given, row } = candidate
    const before = existing.get(formatTaskKey(row))
    const task = pendingTask(given, { created: before?.created ?? row.now, now: row.now })
    if (before === undefined) return [candidate, { status: 'created', task }]
    if (ifAbsent) return [candidate, { status: 'exists' }]
    if (nextState(before.state, 'replaced', 0) === undefined) return [candidate, { status: 'running' }]
    transaction.changes.moved(row, before.state, undefined)
    replaced.push(before)
    if (before.id !== undefined) reset.push({ fresh: row, id: before.id })
    return [candidate, { status: 'replaced', task }]
  })
  await resetRows(transaction, reset)
  await endPreviousRuns(transaction, replaced)
  return results
}

function rowsOf(candidates: readonly Candidate[]): FreshRow[] {
  return candidates.map(({ row }) => row)
}

/** Inserts the rows with new keys. @returns the earlier tasks by key; those in `tasks` are locked */
async function insertBatch(transaction: Transaction, batch: readonly Candidate[]): Promise<Map<string, Existing>> {
  const existing = new Map<string, Existing>()
  for (let missing = batch; missing.length > 0;) {
    const inserted = await insertRows(transaction, rowsOf(missing))
    const [isNew, isTaken] = split(missing, ({ row }) => inserted.has(formatTaskKey(row)))
    const found = [...(await replaceEnded(transaction, isNew)), ...(await lockStates(transaction, rowsOf(isTaken)))]
    for (const [key, row] of byKey<Existing>(found)) existing.set(key, row)
    // A row in the way may have ended or gone before the lock.
    missing = isTaken.filter(({ row }) => !existing.has(formatTaskKey(row)))
  }
  return existing
}

/** Takes ended tasks of the keys out of `finished`, or keeps them for `ifAbsent`. @returns these ended tasks */
async function replaceEnded(transaction: Transaction, batch: readonly Candidate[]): Promise<Existing[]> {
  const [absent, any] = split(batch, ({ ifAbsent }) => ifAbsent)
  const kept = await queryKeys<Existing>(transaction, KEEP_ENDED, rowsOf(absent))
  const gone = await queryKeys<Existing>(transaction, TAKE_OUT, rowsOf(any))
  await setColumn(transaction, 'created', gone)
  return [...kept, ...gone]
}
