/** Renews the leases of a node's calls, and rescues running tasks whose lease is over. */
import { lossOf } from '../../../domain/attempt/attempt-report.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import { readBack, readTask } from '../rows/rows.ts'
import { recordReport } from './record.ts'
import type { Verb } from '../session.ts'

const RENEW = `
  UPDATE tasks SET lease_until = @leaseUntil
  WHERE name = @name AND trigger_at = @triggerAt AND run_id = @runId AND attempts = @attempts AND state = 'running'
    AND awaiting IS NULL`
const LEASE_OVER = `
  SELECT * FROM tasks INDEXED BY tasks_running WHERE state = 'running' AND lease_until <= ? ORDER BY lease_until LIMIT ?`
const OF_OTHERS = `
  SELECT * FROM tasks INDEXED BY tasks_running WHERE state = 'running' AND claimed_by <> ? AND awaiting IS NULL LIMIT ?`

export const renewLeases: Verb<'renew'> = ({ sql }, claims, { leaseUntil }) => {
  for (const { name, triggerAt, runId, attempts } of claims) sql.run(RENEW, { name, triggerAt, runId, attempts, leaseUntil })
}

export const rescueRows: Verb<'rescue'> = (transaction, { now, onlyNode, limit }) => {
  const { sql } = transaction
  const [text, first] = onlyNode === undefined ? [LEASE_OVER, now] : [OF_OTHERS, onlyNode]
  const { rows } = sql.bounded<TaskRow>(text, [first, limit], ({ definition }) => definition.length)
  return rows.map((row) => {
    recordReport(transaction, lossOf(readTask(transaction, row), now))
    return readBack(transaction, { name: row.name, triggerAt: row.trigger_at })
  })
}
