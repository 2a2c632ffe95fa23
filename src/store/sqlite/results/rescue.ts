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
  SELECT * FROM tasks INDEXED BY tasks_running WHERE state = 'running' AND lease_until <= @now ORDER BY lease_until LIMIT @limit`
const OF_OTHERS = `
  SELECT * FROM tasks INDEXED BY tasks_running WHERE state = 'running' AND claimed_by <> @onlyNode AND awaiting IS NULL
    AND substr(claimed_by, 1, length(@prefix)) = @prefix LIMIT @limit`

export const renewLeases: Verb<'renew'> = ({ sql }, claims, { leaseUntil }) => {
  for (const { name, triggerAt, runId, attempts } of claims) sql.run(RENEW, { name, triggerAt, runId, attempts, leaseUntil })
}

export const rescueRows: Verb<'rescue'> = (transaction, { now, onlyNode, nodeName, limit }) => {
  const { sql } = transaction
  const prefix = nodeName === undefined ? '' : `${nodeName}#`
  const [text, params] = onlyNode === undefined ? [LEASE_OVER, { now, limit }] : [OF_OTHERS, { onlyNode, prefix, limit }]
  const { rows } = sql.bounded<TaskRow>(text, params, ({ definition }) => definition.length)
  return rows.map((row) => {
    recordReport(transaction, lossOf(readTask(transaction, row), now))
    return readBack(transaction, { name: row.name, triggerAt: row.trigger_at })
  })
}
