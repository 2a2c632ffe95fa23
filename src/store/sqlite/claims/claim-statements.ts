/** The SQL of both claims. Due rows come in the order of `due_at`. */
import type { TaskRow } from '../../rows/task-row.ts'

const DUE = `FROM tasks INDEXED BY tasks_waiting
  WHERE state IN ('pending', 'retrying') AND lane = @lane AND due_at <= @now AND deadline > @now ORDER BY due_at LIMIT @limit`
const RUN = `state = 'running', attempts = attempts + 1, lease_until = @leaseUntil, claimed_by = @node, updated = @now, rules = @rules`

export const FIND_DUE = `SELECT id, name, due_at, octet_length(definition) AS bytes ${DUE}`
export const CLAIM = `UPDATE tasks SET ${RUN} WHERE id IN (SELECT id ${DUE}) RETURNING *`
export const CLAIM_FOR_WORKER = `UPDATE tasks SET ${RUN}, awaiting = 'worker' WHERE id = @id RETURNING *`

export type DueRow = Pick<TaskRow, 'id' | 'name' | 'due_at'> & { readonly bytes: number }
