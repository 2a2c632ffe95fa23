/** Makes a task due now. An ended task moves back into `tasks` for a new run. */
import { randomUUID } from 'node:crypto'
import { deadlineOf, isFinal } from '../../../domain/task/task.ts'
import type { TaskKey } from '../../../domain/task/task-key.ts'
import { nextState } from '../../../domain/attempt/transitions.ts'
import { parseLane } from '../../rows/lane-name.ts'
import type { Store } from '../../store.ts'
import { oneByOne } from '../commit/group-writer.ts'
import { NEW_RUN, endPreviousRuns } from '../rows/fresh-rows.ts'
import { readBack, readTask } from '../rows/read-tasks.ts'
import { COLUMNS, columnsOf, lockRow } from '../rows/rows.ts'

const BRING_FORWARD = `
  UPDATE callme.tasks SET due_at = $3, window_from = $3, deadline = $4, in_advance = $5, remove_after = $6, lane = $7, updated = $3
  WHERE name = $1 AND trigger_at = $2 RETURNING id`
const RUN_AGAIN = `
  WITH ended AS (DELETE FROM callme.finished t WHERE t.name = $1 AND t.trigger_at = $2 RETURNING ${columnsOf('t', {
    ...NEW_RUN,
    ...{ due_at: '$3::bigint', window_from: '$3::bigint', updated: '$3::bigint', deadline: '$4::bigint', in_advance: '$5::smallint' },
    ...{ lane: '$6', run_id: '$7', claimed_by: 't.claimed_by' },
  })})
  INSERT INTO callme.tasks (${COLUMNS}) SELECT ${COLUMNS} FROM ended RETURNING id`

export const runTask = oneByOne(async (transaction, run: { key: TaskKey; now: number; removeAfter: boolean }): ReturnType<Store['run']> => {
  const { key, now, removeAfter } = run
  const { session } = transaction
  const row = await lockRow(transaction, key)
  if (row === undefined) return 'unknown'
  const state = nextState(row.state, 'run', row.attempts)
  if (state === undefined) return 'running'
  if (isFinal(row.state) && removeAfter) return 'final'
  const deadline = deadlineOf(now, (await readTask(transaction, session, row)).definition)
  const inAdvance = row.trigger_at * 1000 > now ? 1 : 0
  // The lane of an ended row does not follow its handlers.
  const lane = session.handlers.laneOf(row.name, parseLane(row.lane).host)
  const window = [key.name, key.triggerAt, now, deadline, inAdvance]
  const [written] = isFinal(row.state)
    ? await transaction.query<{ id: number }>(RUN_AGAIN, [...window, lane, randomUUID()])
    : await transaction.query<{ id: number }>(BRING_FORWARD, [...window, removeAfter ? 1 : 0, lane])
  // Meanwhile another node has removed the ended row, or run it again.
  if (written === undefined) return 'unknown'
  const task = await readBack(transaction, session, key)
  transaction.changes.moved(key, row.state, state)
  if (isFinal(row.state)) await endPreviousRuns(transaction, [row])
  transaction.changes.emit('updated', task, now)
  transaction.notes.rowWaits(lane, { dueAt: now, id: written.id }, deadline)
  return task
})
