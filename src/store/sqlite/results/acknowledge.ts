/** Acknowledgements: a worker, or the receiver of a call, ends or prolongs its task. */
import { rulingOf } from '../../rules/acknowledgement.ts'
import { findRow, getTask, readBack, readTask } from '../rows/rows.ts'
import { putAttempt, recordReport } from './record.ts'
import type { Verb } from '../session.ts'

const PROLONG = `UPDATE tasks SET lease_until = @leaseUntil, awaiting = coalesce(awaiting, 'ack'), updated = @now WHERE id = @id`

export const acknowledge: Verb<'acknowledge'> = (transaction, ack) => {
  const { key, now } = ack
  const row = findRow(transaction, key)
  if (row === undefined) return { status: 'unknown' }
  const task = readTask(transaction, row)
  const ruling = rulingOf(task, ack)
  if (ruling.kind === 'refused') return { status: ruling.status, task }
  if (ruling.kind === 'prolonged') {
    transaction.sql.run(PROLONG, { id: row.id, leaseUntil: ruling.leaseUntil, now })
    if (ruling.attempt !== undefined) putAttempt(transaction, row.id, ruling.attempt)
    const prolonged = readBack(transaction, key)
    transaction.changes.emit('updated', prolonged, now)
    return { status: 'acknowledged', task: prolonged }
  }
  const ended = recordReport(transaction, ruling.report)
  if (ended === undefined) throw new Error('a running task was not recorded by its own run and attempt')
  return { status: 'acknowledged', task: getTask(transaction, key) ?? ended }
}
