/** What follows from claimed rows: counts, the next tasks of their series, and changes for listeners. */
import { reportOf } from '../../../domain/attempt/attempt-report.ts'
import type { Task } from '../../../domain/task/task.ts'
import { toTask, type TaskRow } from '../../rows/task-row.ts'
import { whyUncallable } from '../../rules/report-effects.ts'
import { recordReport } from '../results/record.ts'
import { continueSeries } from '../tasks/series.ts'
import type { Transaction } from '../session.ts'

/** @param rows as they are after the claim @returns the tasks to be done, the longest due first */
export function finishClaim(transaction: Transaction, rows: TaskRow[], claim: { now: number; node: string }): Task[] {
  rows.sort((a, b) => a.due_at - b.due_at)
  return rows.flatMap((row) => {
    // The first attempt begins from pending, any other from retrying.
    transaction.changes.moved(row, row.attempts === 1 ? 'pending' : 'retrying', 'running')
    const repeatedTo = continueSeries(transaction, row, claim.now)
    const task = { ...toTask(row, transaction.handlers.of(row.name)), repeatedTo }
    const reason = whyUncallable(task, claim.now)
    if (reason !== undefined) {
      recordReport(transaction, reportOf(task, { kind: 'not_called', reason }, claim.node, claim.now, 0))
      return []
    }
    transaction.changes.emit('processing', task, claim.now)
    return [task]
  })
}
