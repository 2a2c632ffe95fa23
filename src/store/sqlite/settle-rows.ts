/** One stretch of the waiting rows of a name whose handler has changed: has their lanes and deadlines say what holds now. */
import { WAITING_STATES } from '../../domain/task.ts'
import type { TaskKey } from '../../domain/task-key.ts'
import { ownLane, parseLane } from './lane-name.ts'
import { toTask } from './row.ts'
import type { Session } from './session.ts'

const STRETCH = 500

/**
 * A claim and an expiry look at the handler themselves: this is for what they find their rows by. Must run inside a write transaction.
 * @returns where the following stretch starts
 */
export function settleRows(
  { statements, selections, bounds, handlers }: Session,
  name: string,
  after: TaskKey | undefined,
): TaskKey | undefined {
  const handler = handlers.definitionOf(name)
  const { rows, next } = selections.stretch({ name, states: WAITING_STATES }, after, STRETCH)
  for (const row of rows) {
    const { deadline } = toTask(row, handler)
    const isInOwnLane = parseLane(row.lane).name !== undefined
    const lane = handler === undefined || isInOwnLane ? row.lane : ownLane(name, row.lane)
    if (lane === row.lane && deadline === row.deadline) continue
    statements.settle.run({ id: row.id, lane, deadline })
    bounds.lower(lane, row.due_at)
  }
  return next
}
