/** The statements of claims: the due rows of one lane, in the order of `due_at`. */
import type { TaskRow } from '../../rows/task-row.ts'
import type { Session } from '../session.ts'

const DUE = `FROM tasks INDEXED BY tasks_waiting
  WHERE state IN ('pending', 'retrying') AND lane = @lane AND due_at <= @now AND deadline > @now ORDER BY due_at LIMIT @limit`
const FIND_DUE = `SELECT id, name, due_at ${DUE}`
const RUN = `state = 'running', attempts = attempts + 1, lease_until = @leaseUntil, claimed_by = @node, updated = @now`
const CLAIM = `UPDATE tasks SET ${RUN} WHERE id IN (SELECT id ${DUE}) RETURNING *`
const CLAIM_FOR_WORKER = `UPDATE tasks SET ${RUN}, awaiting = 'worker' WHERE id = @id RETURNING *`

export type DueRow = Pick<TaskRow, 'id' | 'name' | 'due_at'>

interface Claimer {
  readonly now: number
  readonly node: string
  readonly leaseUntil: number
}

export function findDue({ sql }: Session, lane: string, now: number, limit: number): DueRow[] {
  return sql.all<DueRow>(FIND_DUE, { lane, now, limit })
}

/** Claims due rows of a lane for a call. Must run inside a write transaction. */
export function claimOfLane({ sql }: Session, lane: string, limit: number, { now, node, leaseUntil }: Claimer): TaskRow[] {
  return sql.all<TaskRow>(CLAIM, { lane, limit, now, node, leaseUntil })
}

/** Must run inside a write transaction. */
export function claimForWorker({ sql }: Session, { id }: DueRow, { now, node, leaseUntil }: Claimer): TaskRow {
  return sql.one<TaskRow>(CLAIM_FOR_WORKER, { id, now, node, leaseUntil })
}
