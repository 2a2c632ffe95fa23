/** Stores the tasks of many callers at once. A task may replace the stored task of its key. */
import { servesTasksWithoutCallback } from '../../../domain/task/handler.ts'
import { pendingTask, type NewTask } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import { nextState } from '../../../domain/attempt/transitions.ts'
import { toHandler, type HandlerRow } from '../../rows/handler-row.ts'
import { freshRow, type FreshRow } from '../../rules/assign-lane.ts'
import { weightOf } from '../../rules/sizes.ts'
import type { PutResult } from '../../store.ts'
import { together } from '../commit/group-writer.ts'
import type { Transaction } from '../commit/transaction.ts'
import { endPreviousRuns, insertRows, resetRows, type EndedRun } from '../rows/fresh-rows.ts'
import { KEYS, byKey, distinctBatches, lockStates, mustGet, ofKeys, queryKeys, setColumn, split } from '../rows/rows.ts'

interface PutInput {
  readonly tasks: readonly NewTask[]
  readonly now: number
  readonly ifAbsent: boolean
}

/** A task that can be called, with its fresh row. */
type Candidate = ReturnType<typeof freshRow> & Pick<PutInput, 'ifAbsent'>

/** A stored task of the same key. An ended one has no `id` here. */
type Existing = EndedRun & { readonly created: number; readonly id?: number }

/** A serving handler keeps its definition until the transaction ends: a change that hides it waits for this lock. */
const SERVING = 'SELECT * FROM callme.handlers WHERE name = ANY($1) ORDER BY name FOR KEY SHARE'
const EXISTING = 'f.name, f.trigger_at, f.state, f.run_id, f.attempts, f.created'
const TAKE_OUT = `DELETE FROM callme.finished f USING ${KEYS} WHERE ${ofKeys('f')} RETURNING ${EXISTING}`
const KEEP_ENDED = `
  DELETE FROM callme.tasks t USING ${KEYS}, callme.finished f WHERE t.name = k.name AND t.trigger_at = k.trigger_at AND ${ofKeys('f')}
  RETURNING ${EXISTING}`

export const putTasks = together(writeTasks, ({ tasks }: PutInput) => weightOf(tasks))

async function writeTasks(transaction: Transaction, inputs: readonly PutInput[]): Promise<PutResult[][]> {
  const { handlers } = transaction.session
  const given = inputs.flatMap(({ tasks, now, ifAbsent }) => tasks.map((task) => ({ task, now, ifAbsent })))
  const withoutCallback = given.flatMap(({ task }) => (task.definition.callback === undefined ? task.name : []))
  const serving = await lockServing(transaction, withoutCallback)
  const candidates = given.map(({ task, now, ifAbsent }): Candidate | undefined => {
    const handler = handlers.of(task.name)?.name
    const isCallable = task.definition.callback !== undefined || (handler !== undefined && serving.has(handler))
    return isCallable ? { ifAbsent, ...freshRow(handlers, task, { now }) } : undefined
  })
  const stored = new Map<Candidate, PutResult>()
  const callable = candidates.filter((candidate) => candidate !== undefined)
  for (const batch of distinctBatches(callable, ({ row }) => formatTaskKey(row))) {
    for (const [candidate, result] of await storeBatch(transaction, batch)) stored.set(candidate, result)
  }
  const results = candidates.map((one): PutResult => (one === undefined ? { status: 'no_callback' } : mustGet(stored, one)))
  for (const result of results) {
    if (!('task' in result)) continue
    const { status, task } = result
    transaction.changes.moved(task, undefined, 'pending')
    transaction.changes.emit(status === 'created' ? 'created' : 'updated', task, task.updated)
  }
  return inputs.map(({ tasks }) => results.splice(0, tasks.length))
}

/** Locks the handlers of the names. @returns the stored handlers that serve tasks without a callback */
async function lockServing(transaction: Transaction, names: readonly string[]): Promise<ReadonlySet<string>> {
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

/** Writes a batch of different keys. */
async function storeBatch(transaction: Transaction, batch: readonly Candidate[]): Promise<[Candidate, PutResult][]> {
  const existing = await insertBatch(transaction, batch)
  const [replaced, reset]: [Existing[], { fresh: FreshRow; id: number }[]] = [[], []]
  const results = batch.map((candidate): [Candidate, PutResult] => {
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
