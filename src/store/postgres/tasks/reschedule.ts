/** Reschedules a batch of tasks to the first free minutes of their names: waiting ones move, ended ones are copied. */
import { isFinal, newTask, type Task } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import { SECONDS_PER_MINUTE } from '../../../domain/time/trigger-time.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { ownDefinition, type TaskRow } from '../../rows/task-row.ts'
import { freshRow, type FreshRow } from '../../rules/assign-lane.ts'
import { endBatch, isTaken, ownMinute, startBatch, type RescheduleBatch } from '../../rules/reschedule-walk.ts'
import type { RescheduleRequest } from '../../store.ts'
import { oneByOne } from '../commit/group-writer.ts'
import { Conflict } from '../commit/store-error.ts'
import type { Transaction } from '../commit/transaction.ts'
import { MOVED, TAKEN, endPreviousRuns, insertFreeRows, moveRows } from '../rows/fresh-rows.ts'
import { readPage } from '../rows/pages.ts'
import { arraysOf, findRows, keyOf, lockFound, mustGet, readTasks, split, type KeyColumns } from '../rows/rows.ts'

const MARK = `
  UPDATE callme.finished f SET rescheduled_to = k.rescheduled_to, updated = $4
  FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (name, trigger_at, rescheduled_to)
  WHERE f.trigger_at = k.trigger_at AND f.name = k.name`
const SPANS = 'unnest($1::text[], $2::bigint[], $3::bigint[]) AS s (name, low, high)'
const of = (table: string): string => `
  SELECT t.name, t.trigger_at FROM ${SPANS} JOIN callme.${table} t ON t.name = s.name AND t.trigger_at >= s.low AND t.trigger_at < s.high`
const TAKEN_MINUTES = `${of('tasks')} UNION ALL ${of('finished')}`
/** This many more minutes are read of a name with too few free ones. */
const MORE = 1000

/** A row, and the row of its copy or of its new minute. */
interface Move {
  readonly row: TaskRow
  readonly fresh: FreshRow
}

export const reschedule = oneByOne(rescheduleBatch)

export async function rescheduleBatch(transaction: Transaction, request: RescheduleRequest): Promise<ReturnType<typeof endBatch>> {
  const batch = startBatch(request)
  const { rows, next } = await readPage(transaction, batch.selection, request.after?.key, request.limit)
  const taken = (await lockFound(transaction, rows)).filter((row) => isTaken(request, batch, row))
  const { triggerAt: wanted, now } = request
  const moves = await planMoves(transaction, taken, { ...batch, wanted, now })
  return endBatch(batch, await makeMoves(transaction, moves, now), next)
}

/** Gives each row the first free minute of its name, one after the other. */
async function planMoves(
  transaction: Transaction,
  rows: readonly TaskRow[],
  { passed, atOnce, wanted, now }: Pick<RescheduleBatch, 'passed' | 'atOnce'> & { wanted: number; now: number },
): Promise<Move[]> {
  const byName = Map.groupBy(rows, ({ name }) => name)
  const searches = [...byName].map(([name, { length: count }]) => ({ name, from: passed.get(name) ?? wanted, count }))
  const free = await freeMinutes(transaction, searches)
  return rows.map((row) => {
    const { name, trigger_at: before, definition, repeated_to: repeatedTo } = row
    const [minutes, own] = [mustGet(free, name), ownMinute(row, wanted)]
    const [first] = minutes
    if (first === undefined) throw new Error(`no free minute was found for a row of ${name}`)
    const triggerAt = Math.min(own, first)
    if (triggerAt === first) minutes.shift()
    // A later row of the name may take the minute of this one.
    if (own < Infinity && triggerAt !== own) minutes.splice(minutes.filter((minute) => minute < own).length, 0, own)
    passed.set(name, triggerAt)
    const task = newTask({ name, triggerAt }, ownDefinition(row), now, atOnce)
    // A copy is not part of the series of its original. A moved task keeps its place in the series.
    const options = { now, definition, rescheduledFrom: before, repeatedTo }
    return { row, fresh: freshRow(transaction.session.handlers, { ...task, host: parseLane(row.lane).host }, options).row }
  })
}

async function makeMoves(transaction: Transaction, moves: readonly Move[], now: number): Promise<Task[]> {
  const [copied, moved] = split(moves, ({ row }) => isFinal(row.state))
  await moveWaiting(transaction, moved)
  await copyRows(transaction, copied, now)
  const originals = copied.map(({ row, fresh }) => ({ ...row, rescheduled_to: fresh.triggerAt, updated: now }))
  const stored = await findRows(transaction, freshOf(moves))
  const read = await readTasks(transaction, transaction.session, [...originals, ...stored])
  const tasks = new Map(read.map((task) => [formatTaskKey(task), task]))
  return moves.map(({ row, fresh }) => {
    const isCopied = isFinal(row.state)
    const task = mustGet(tasks, formatTaskKey(fresh))
    if (isCopied) transaction.changes.emit('updated', mustGet(tasks, formatTaskKey(keyOf(row))), now)
    transaction.changes.moved(fresh, isCopied ? undefined : row.state, 'pending')
    transaction.changes.emit(isCopied ? 'created' : 'updated', task, now)
    return task
  })
}

async function moveWaiting(transaction: Transaction, moved: readonly Move[]): Promise<void> {
  const before = moved.map(({ row }) => row)
  await endPreviousRuns(transaction, before)
  await moveRows(
    transaction,
    moved.map(({ row, fresh }) => ({ fresh, id: row.id })),
  )
}

async function copyRows(transaction: Transaction, copied: readonly Move[], now: number): Promise<void> {
  if (copied.length === 0) return
  const inserted = await insertFreeRows(transaction, freshOf(copied))
  if (inserted.size < copied.length) throw new Conflict(TAKEN)
  await transaction.query(MARK, [...arraysOf(freshOf(copied), ...MOVED), now])
}

function freshOf(moves: readonly Move[]): FreshRow[] {
  return moves.map(({ fresh }) => fresh)
}

/** @returns by name, the first `count` free minutes from `from` (Unix seconds) on, ascending. One query reads the taken minutes of all names. */
async function freeMinutes(
  queries: Transaction,
  searches: readonly { readonly name: string; readonly from: number; readonly count: number }[],
): Promise<Map<string, number[]>> {
  const free = new Map(searches.map(({ name }) => [name, [] as number[]]))
  let open = searches.map((search) => ({ ...search, to: search.from + 2 * search.count * SECONDS_PER_MINUTE }))
  while (open.length > 0) {
    const rows = await queries.query<KeyColumns>(TAKEN_MINUTES, arraysOf(open, 'name', 'from', 'to'))
    const taken = Map.groupBy(rows, ({ name }) => name)
    for (const { name, from, to, count } of open) {
      const [minutes, ofName] = [mustGet(free, name), new Set(taken.get(name)?.map((row) => row.trigger_at))]
      for (let minute = from; minute < to && minutes.length < count; minute += SECONDS_PER_MINUTE) {
        if (!ofName.has(minute)) minutes.push(minute)
      }
    }
    open = open.filter(({ name, count }) => mustGet(free, name).length < count)
    open = open.map(({ to, ...search }) => ({ ...search, from: to, to: to + MORE * SECONDS_PER_MINUTE }))
  }
  return free
}
