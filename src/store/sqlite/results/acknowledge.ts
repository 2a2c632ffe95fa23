/** Ends or prolongs a running task as its worker, or the receiver of its call, says. */
import type { AckResult, Acknowledgement } from '../../store.ts'
import { rulingOf } from '../../rules/acknowledgement.ts'
import type { Changes } from '../../rules/changes.ts'
import { findRow, readBack, readTask } from '../rows/rows.ts'
import { putAttempt, recordReport } from './record.ts'
import type { Session } from '../session.ts'

const PROLONG = `UPDATE tasks SET lease_until = @leaseUntil, awaiting = coalesce(awaiting, 'ack'), updated = @now WHERE id = @id`

/** Must run inside a write transaction. */
export function acknowledge(session: Session, ack: Acknowledgement, changes: Changes): AckResult {
  const { key, now } = ack
  const row = findRow(session, key)
  if (row === undefined) return { status: 'unknown' }
  const task = readTask(session, row)
  const ruling = rulingOf(task, ack)
  if (ruling.kind === 'refused') return { status: ruling.status, task }
  if (ruling.kind === 'prolonged') {
    session.sql.run(PROLONG, { id: row.id, leaseUntil: ruling.leaseUntil, now })
    if (ruling.attempt !== undefined) putAttempt(session, row.id, ruling.attempt)
    const prolonged = readBack(session, key)
    changes.emit('updated', prolonged, now)
    return { status: 'acknowledged', task: prolonged }
  }
  const ended = recordReport(session, ruling.report, changes)
  if (ended === undefined) throw new Error('a running task was not recorded by its own run and attempt')
  const stored = findRow(session, key)
  return { status: 'acknowledged', task: stored === undefined ? ended : readTask(session, stored) }
}
