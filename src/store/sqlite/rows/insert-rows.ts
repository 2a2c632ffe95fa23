/** Inserts fresh rows, each with an id of its minute and within reach of its lane's cursor. */
import type { FreshRow } from '../../rules/assign-lane.ts'
import type { Session } from '../session.ts'

const INSERT = `
  INSERT INTO tasks (id, name, trigger_at, state, lane, due_at, deadline, run_id, attempts, lost, in_advance, created, updated,
    rescheduled_from, repeated_to, definition)
  VALUES (@id, @name, @triggerAt, 'pending', @lane, @dueAt, @deadline, @runId, 0, 0, 0, @now, @now, @rescheduledFrom, @repeatedTo,
    @definition)
  ON CONFLICT (name, trigger_at) DO NOTHING`

/** Must run inside a write transaction. @returns false, with nothing changed, where the key is taken */
export function insertRow({ sql, cursors, rowIds }: Session, row: FreshRow): boolean {
  const isNew = sql.run(INSERT, { ...row, id: rowIds.next(row.triggerAt) }) === 1
  if (isNew) cursors.lower(row.lane, row.dueAt)
  return isNew
}
