/** What a claim of rows brings with it, whoever claimed them: counts, the next entries of their series, and the word to listeners. */
import { reportOf } from '../../../domain/attempt/attempt-report.ts'
import type { Task } from '../../../domain/task/task.ts'
import type { Changes } from '../../rules/changes.ts'
import { recordReport } from '../results/outcomes.ts'
import { toTask } from '../../rows/task-row.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { continueSeries } from '../tasks/series.ts'
import type { Session } from '../session.ts'

/**
 * @param rows as they are after they were claimed
 * @returns the tasks to be done, oldest first
 */
export function finishClaim(session: Session, rows: TaskRow[], claim: { now: number; node: string }, changes: Changes): Task[] {
  rows.sort((a, b) => a.due_at - b.due_at)
  return rows.flatMap((row) => {
    // A task that has never been tried was pending, any other was retrying.
    changes.moved(row, row.attempts === 1 ? 'pending' : 'retrying', 'running')
    const repeatedTo = continueSeries(session, row, claim.now, changes)
    const task = { ...toTask(row, session.handlers.of(row.name)?.definition), repeatedTo }
    if (claim.now >= task.deadline) {
      // The handler allows less time than it did when the row was written.
      recordReport(session, reportOf(task, { kind: 'not_called', reason: 'late' }, claim.node, claim.now, 0), changes)
      return []
    }
    changes.emit('processing', task, claim.now)
    return [task]
  })
}
