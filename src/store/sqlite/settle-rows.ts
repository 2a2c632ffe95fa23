/** One stretch of the waiting rows of names whose handler has changed: has their lanes and deadlines say what holds now. */
import { isErrorCallback } from '../../domain/error-callback.ts'
import { rangeOfNames } from '../../domain/name-pattern.ts'
import type { TaskKey } from '../../domain/task-key.ts'
import { parseLane } from './lane-name.ts'
import { toTask } from './row.ts'
import type { TaskRow } from './row.ts'
import type { Session } from './session.ts'

const STRETCH = 500

/**
 * A claim and an expiry look at the handler themselves: this is for what they find their rows by. Must run inside a write transaction.
 * @param handlerName the name of the handler that has changed
 * @returns where the following stretch starts
 */
export function settleRows(
  { statements, bounds, handlers }: Session,
  handlerName: string,
  after: TaskKey | undefined,
): TaskKey | undefined {
  const { first, end } = rangeOfNames(handlerName)
  const start = after ?? { name: first, triggerAt: -1 }
  const rows = statements.rowsOfNames.all({ ...start, end, limit: STRETCH }) as TaskRow[]
  for (const row of rows) {
    if ((row.state !== 'pending' && row.state !== 'retrying') || isErrorCallback(row)) continue
    const { deadline } = toTask(row, handlers.of(row.name)?.definition)
    const lane = handlers.laneOf(row.name, parseLane(row.lane).host)
    if (lane === row.lane && deadline === row.deadline) continue
    statements.settle.run({ id: row.id, lane, deadline })
    bounds.lower(lane, row.due_at)
  }
  const last = rows.at(-1)
  return last && rows.length === STRETCH ? { name: last.name, triggerAt: last.trigger_at } : undefined
}
