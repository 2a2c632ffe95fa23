/** What a claim of rows brings with it, whoever claimed them: counts, the next entries of their series, and the word to listeners. */
import { reportOf } from '../../../domain/attempt/attempt-report.ts'
import type { Task } from '../../../domain/task/task.ts'
import { toTask } from '../../rows/task-row.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { continueSeries } from '../tasks/series.ts'
import type { Session } from '../session.ts'
import type { Transaction } from '../commit/transaction.ts'
import { writeReports } from '../results/record.ts'

/**
 * @param claimed as they are after they were claimed
 * @returns the tasks to be done, oldest first
 */
export async function finishClaim(
  session: Session,
  transaction: Transaction,
  claimed: readonly TaskRow[],
  { now, node }: { now: number; node: string },
): Promise<Task[]> {
  const { changes } = transaction
  if (claimed.length > 0) transaction.isWriting = true
  const oldestFirst = claimed.toSorted((a, b) => a.due_at - b.due_at || a.id - b.id)
  // A task that has never been tried was pending, any other was retrying.
  for (const row of oldestFirst) changes.moved(row, row.attempts === 1 ? 'pending' : 'retrying', 'running')
  const rows = await continueSeries(session, transaction, oldestFirst, now)
  const tasks = rows.map((row) => toTask(row, session.handlers.of(row.name)?.definition))
  // The handler allows less time than it did when the row was written.
  const late = tasks.filter(({ deadline }) => now >= deadline)
  await writeReports(
    transaction,
    late.map((task) => reportOf(task, { kind: 'not_called', reason: 'late' }, node, now, 0)),
  )
  const inTime = tasks.filter(({ deadline }) => now < deadline)
  for (const task of inTime) changes.emit('processing', task, now)
  return inTime
}
