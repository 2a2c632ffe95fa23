/** Writes acknowledgements: a running task ends, or gets more time. */
import type { Task } from '../../../domain/task/task.ts'
import { formatTaskKey } from '../../../domain/task/task-key.ts'
import { rulingOf } from '../../rules/acknowledgement.ts'
import type { AckRuling } from '../../rules/acknowledgement.ts'
import type { AckResult, Acknowledgement } from '../../store.ts'
import { oneByOne } from '../commit/group-writer.ts'
import type { Transaction } from '../commit/transaction.ts'
import { readBack, readTask } from '../rows/read-tasks.ts'
import { findRow, lockRow } from '../rows/rows.ts'
import { writeReports } from './record.ts'

const PROLONG = `
  UPDATE callme.tasks SET lease_until = $3, awaiting = coalesce(awaiting, 'ack'), updated = $4 WHERE name = $1 AND trigger_at = $2`
// An accepted attempt is stored already.
const BEGIN_ATTEMPT = `
  INSERT INTO callme.attempts AS a (name, trigger_at, run_id, number, due_at, started_at, duration_ms, outcome, attempts_left, node)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
  ON CONFLICT (trigger_at, name, run_id, number) DO UPDATE SET outcome = excluded.outcome,
    duration_ms = greatest(0, excluded.started_at + excluded.duration_ms - a.started_at), error = NULL`

export const acknowledge = oneByOne(async (transaction, ack: Acknowledgement): Promise<AckResult> => {
  const { session } = transaction
  const row = await lockRow(transaction, ack.key)
  if (row === undefined) return { status: 'unknown' }
  const task = await readTask(transaction, session, row)
  const ruling = rulingOf(task, ack)
  if (ruling.kind === 'refused') return { status: ruling.status, task }
  if (ruling.kind === 'prolonged') return { status: 'acknowledged', task: await prolong(transaction, task, ruling, ack.now) }
  const [ended] = await writeReports(transaction, [ruling.report])
  if (ended === undefined) throw new Error(`${formatTaskKey(task)} is running and was not recorded by its own run and attempt`)
  // A task that was run with `removeAfter` is gone.
  const after = await findRow(transaction, ack.key)
  return { status: 'acknowledged', task: after === undefined ? ended : await readTask(transaction, session, after) }
})

type Prolonged = Extract<AckRuling, { kind: 'prolonged' }>

async function prolong(transaction: Transaction, task: Task, { leaseUntil, attempt }: Prolonged, now: number): Promise<Task> {
  await transaction.query(PROLONG, [task.name, task.triggerAt, leaseUntil, now])
  if (attempt !== undefined) {
    const { runId, number, dueAt, startedAt, durationMs, outcome, attemptsLeft, node } = attempt
    const times = [dueAt, startedAt, durationMs]
    await transaction.query(BEGIN_ATTEMPT, [task.name, task.triggerAt, runId, number, ...times, outcome, attemptsLeft, node])
  }
  const prolonged = await readBack(transaction, transaction.session, task)
  transaction.changes.emit('updated', prolonged, now)
  return prolonged
}
