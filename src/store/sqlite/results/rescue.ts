/** Leases: renews those of a node's calls, and rescues running tasks whose lease is over. */
import { lossOf } from '../../../domain/attempt/attempt-report.ts'
import type { Task } from '../../../domain/task/task.ts'
import type { Changes } from '../../rules/changes.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { readBack, readTask } from '../rows/rows.ts'
import { recordReport } from './record.ts'
import type { Session } from '../session.ts'

const RENEW = `
  UPDATE tasks SET lease_until = @leaseUntil
  WHERE name = @name AND trigger_at = @triggerAt AND run_id = @runId AND attempts = @attempts AND state = 'running'
    AND awaiting IS NULL`
const LEASE_OVER = `
  SELECT * FROM tasks INDEXED BY tasks_running WHERE state = 'running' AND lease_until <= ? ORDER BY lease_until LIMIT ?`
const OF_OTHERS = `
  SELECT * FROM tasks INDEXED BY tasks_running WHERE state = 'running' AND claimed_by <> ? AND awaiting IS NULL LIMIT ?`

/** Must run inside a write transaction. */
export function renewLeases({ sql }: Session, claims: readonly Task[], leaseUntil: number): void {
  for (const { name, triggerAt, runId, attempts } of claims) sql.run(RENEW, { name, triggerAt, runId, attempts, leaseUntil })
}

/** @param onlyNode whose own calls are left alone; all calls of other nodes are rescued then. Must run inside a write transaction. */
export function rescueRows(
  session: Session,
  { now, onlyNode, limit }: { now: number; onlyNode?: string; limit: number },
  changes: Changes,
): Task[] {
  const { sql } = session
  const rows = onlyNode === undefined ? sql.all<TaskRow>(LEASE_OVER, now, limit) : sql.all<TaskRow>(OF_OTHERS, onlyNode, limit)
  return rows.map((row) => {
    recordReport(session, lossOf(readTask(session, row), now), changes)
    return readBack(session, { name: row.name, triggerAt: row.trigger_at })
  })
}
