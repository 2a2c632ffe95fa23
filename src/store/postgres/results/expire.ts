/** Ends waiting tasks whose window has closed, and corrects the deadlines of rows whose handler allows more time now. */
import { toTask } from '../../rows/task-row.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { expiryOf } from '../../rules/report-effects.ts'
import type { Store } from '../../store.ts'
import { oneByOne } from '../commit/group-writer.ts'
import type { GroupWriter } from '../commit/group-writer.ts'
import type { Transaction } from '../commit/transaction.ts'
import { columnsOf, keyOf, keyParams, readRows } from '../rows/rows.ts'
import type { Session } from '../session.ts'
import { continueSeries } from '../tasks/series.ts'
import { writeReports } from './record.ts'

const EXPIRED = `callme.tasks t WHERE t.state IN ('pending', 'retrying') AND t.deadline > $1 AND t.deadline <= $2`
const ANY_EXPIRED = `SELECT 1 FROM ${EXPIRED} LIMIT 1`
const LOCK_EXPIRED = `SELECT ${columnsOf('t')} FROM ${EXPIRED} ORDER BY t.deadline LIMIT $3 FOR UPDATE SKIP LOCKED`
const EXTEND = `
  UPDATE callme.tasks t SET deadline = k.deadline FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (name, trigger_at, deadline)
  WHERE t.name = k.name AND t.trigger_at = k.trigger_at`

type Expired = Awaited<ReturnType<Store['expire']>>

/** Looks before it writes, because mostly no task is out of time. */
export async function expire(session: Session, writer: GroupWriter, { now, limit }: { now: number; limit: number }): Promise<Expired> {
  const after = session.deadlines.begin(now)
  if ((await session.database.query(ANY_EXPIRED, [after, now])).length > 0) return writer.write(expireRows, { after, now, limit })
  session.deadlines.clear(now)
  return { tasks: [], more: false }
}

const expireRows = oneByOne(async (transaction, { after, now, limit }: { after: number; now: number; limit: number }): Promise<Expired> => {
  const { handlers } = transaction.session
  const expiryOfRow = (row: TaskRow) => expiryOf(toTask(row, handlers.of(row.name)?.definition), now)
  const rows = await readRows(transaction, LOCK_EXPIRED, [after, now, limit])
  const extensions = new Map<TaskRow, number>()
  for (const row of rows) {
    const expiry = expiryOfRow(row)
    if ('extendedTo' in expiry) extensions.set(row, expiry.extendedTo)
  }
  await extendWindows(transaction, extensions)
  const over = await continueSeries(
    transaction,
    rows.filter((row) => !extensions.has(row)),
    now,
  )
  const reports = over.map(expiryOfRow).flatMap((expiry) => ('report' in expiry ? expiry.report : []))
  const ended = await writeReports(transaction, reports)
  return { tasks: ended.flatMap((task) => task ?? []), more: rows.length === limit }
})

async function extendWindows(transaction: Transaction, extensions: ReadonlyMap<TaskRow, number>): Promise<void> {
  if (extensions.size === 0) return
  for (const [row, deadline] of extensions) transaction.notes.rowWaits(row.lane, { dueAt: row.due_at, id: row.id }, deadline)
  await transaction.query(EXTEND, [...keyParams([...extensions.keys()].map(keyOf)), [...extensions.values()]])
}
