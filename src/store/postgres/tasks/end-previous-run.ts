/** What is left of the runs of entries that begin another one, or move. */
import { keyOf, keyParams } from '../rows/rows.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Transaction } from '../commit/transaction.ts'

/** One that had run out of time says so in its last attempt. */
const END_LAST_ATTEMPTS = `
  UPDATE callme.attempts a SET outcome = 'failed'
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::int[]) AS k (name, trigger_at, run_id, number)
  WHERE a.trigger_at = k.trigger_at AND a.name = k.name AND a.run_id = k.run_id AND a.number = k.number`

/** @param rows as they were before */
export async function endPreviousRuns(
  transaction: Transaction,
  rows: readonly Pick<TaskRow, 'name' | 'trigger_at' | 'state' | 'run_id' | 'attempts'>[],
): Promise<void> {
  for (const row of rows) transaction.changes.previousRunEnded(keyOf(row), row)
  const failed = rows.filter(({ state, attempts }) => state === 'failed' && attempts > 0)
  if (failed.length === 0) return
  await transaction.query(END_LAST_ATTEMPTS, [
    ...keyParams(failed.map(keyOf)),
    failed.map(({ run_id: runId }) => runId),
    failed.map(({ attempts }) => attempts),
  ])
}
