/** One stretch of the waiting rows of names whose handler has changed: has their lanes and deadlines say what holds now. */
import { isErrorCallback } from '../../../domain/task/error-callback.ts'
import { rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { toTask } from '../../rows/task-row.ts'
import type { TaskRow } from '../../rows/task-row.ts'
import type { Session } from '../session.ts'

/** Small, because pattern handlers have millions of rows and other work must be let in. */
const PAGE_ROWS = 100

interface BackfillRow {
  readonly name: string
  readonly after_name: string
  readonly after_trigger_at: number
}

/**
 * A claim and an expiry look at the handler themselves: this is for what they find their rows by. Must run inside a write transaction.
 * @returns whether there is more to go through
 */
export function backfillRows({ statements, cursors, handlers }: Session): boolean {
  const walk = statements.anyBackfill.get() as BackfillRow | undefined
  if (walk === undefined) return false
  const { end } = rangeOfNames(walk.name)
  const rows = statements.rowsOfNames.all({ name: walk.after_name, triggerAt: walk.after_trigger_at, end, limit: PAGE_ROWS }) as TaskRow[]
  for (const row of rows) {
    if ((row.state !== 'pending' && row.state !== 'retrying') || isErrorCallback(row)) continue
    const { deadline } = toTask(row, handlers.of(row.name)?.definition)
    const lane = handlers.laneOf(row.name, parseLane(row.lane).host)
    if (lane === row.lane && deadline === row.deadline) continue
    statements.relocate.run({ id: row.id, lane, deadline })
    cursors.lower(lane, row.due_at)
  }
  const last = rows.at(-1)
  if (last && rows.length === PAGE_ROWS) statements.advanceBackfill.run(last.name, last.trigger_at, walk.name)
  else statements.endBackfill.run(walk.name)
  return true
}
