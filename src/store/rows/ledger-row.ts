/** A row of a store, and the task of the ledger that it stands for. */
import type { LedgerTask } from '../../domain/ledger/account.ts'
import { toAttempt, type AttemptRow, type TaskRow } from './task-row.ts'

export type LedgerRow = Pick<TaskRow, (typeof LEDGER_COLUMNS)[number]>

/** The definition is left out, because it may be large. A run's attempts say when it was due and until when it might start. */
export const LEDGER_COLUMNS = [
  'name',
  'trigger_at',
  'state',
  'run_id',
  'attempts',
  'window_from',
  'deadline',
  'lease_until',
  'error',
] as const

/** @param attempts in the order of run and number */
export function toLedgerTask(row: LedgerRow, attempts: readonly AttemptRow[]): LedgerTask {
  return {
    name: row.name,
    triggerAt: row.trigger_at,
    state: row.state,
    runId: row.run_id,
    attempts: row.attempts,
    windowFrom: row.window_from ?? row.trigger_at * 1000,
    deadline: row.deadline,
    leaseUntil: row.lease_until,
    error: row.error,
    history: attempts.map(toAttempt),
  }
}
