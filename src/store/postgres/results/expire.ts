/** Ends waiting tasks whose window has closed. A row whose handler allows more time now gets the later deadline. */
import { toTask, type TaskRow } from '../../rows/task-row.ts'
import { expiryOf } from '../../rules/report-effects.ts'
import type { Store } from '../../store.ts'
import { oneByOne, type GroupWriter } from '../commit/group-writer.ts'
import { columnsOf, readRows, setColumn } from '../rows/rows.ts'
import type { Session } from '../session.ts'
import { continueSeries } from '../tasks/series.ts'
import { writeReports } from './record.ts'

const EXPIRED = `callme.tasks t WHERE t.state IN ('pending', 'retrying') AND t.deadline > $1 AND t.deadline <= $2`
const ANY_EXPIRED = `SELECT 1 FROM ${EXPIRED} LIMIT 1`
const LOCK_EXPIRED = `SELECT ${columnsOf('t')} FROM ${EXPIRED} ORDER BY t.deadline LIMIT $3 FOR UPDATE SKIP LOCKED`

type Expired = Awaited<ReturnType<Store['expire']>>

/** Reads before it writes, because mostly no task is out of time. */
export async function expire(session: Session, writer: GroupWriter, { now, limit }: { now: number; limit: number }): Promise<Expired> {
  const after = session.deadlines.begin(now)
  if ((await session.database.query(ANY_EXPIRED, [after, now])).length > 0) return writer.write(expireRows, { after, now, limit })
  session.deadlines.clear(now)
  return { tasks: [], more: false }
}

const expireRows = oneByOne(async (transaction, { after, now, limit }: { after: number; now: number; limit: number }): Promise<Expired> => {
  const { handlers } = transaction.session
  const expiryOfRow = (row: TaskRow) => expiryOf(toTask(row, handlers.of(row.name)), now)
  const rows = await readRows(transaction, LOCK_EXPIRED, [after, now, limit])
  const extended = rows.flatMap((row) => {
    const expiry = expiryOfRow(row)
    return 'extendedTo' in expiry ? { ...row, deadline: expiry.extendedTo } : []
  })
  for (const { lane, due_at: dueAt, id, deadline } of extended) transaction.notes.rowWaits(lane, { dueAt, id }, deadline)
  await setColumn(transaction, 'deadline', extended)
  const extendedIds = new Set(extended.map(({ id }) => id))
  const over = rows.filter(({ id }) => !extendedIds.has(id))
  const followed = await continueSeries(transaction, over, now)
  const reports = followed.map(expiryOfRow).flatMap((expiry) => ('report' in expiry ? expiry.report : []))
  const ended = await writeReports(transaction, reports)
  return { tasks: ended.flatMap((task) => task ?? []), more: rows.length === limit }
})
