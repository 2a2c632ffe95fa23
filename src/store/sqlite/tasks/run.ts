/** Makes a task due now: a waiting task in its own run, an ended one as a fresh run. */
import { randomUUID } from 'node:crypto'
import { deadlineOf, isFinal } from '../../../domain/task/task.ts'
import { nextState } from '../../../domain/attempt/transitions.ts'
import { parseLane } from '../../rows/lane-name.ts'
import { findRow, readBack, readTask } from '../rows/rows.ts'
import { FRESH_RUN, endPreviousRun } from './end-previous-run.ts'
import type { Verb } from '../session.ts'

const FROM_NOW = 'lane = @lane, due_at = @now, window_from = @now, in_advance = @inAdvance'
const BRING_FORWARD = `UPDATE tasks SET ${FROM_NOW}, deadline = @deadline, remove_after = @removeAfter, updated = @now WHERE id = @id`
const RUN_AGAIN = `UPDATE tasks SET ${FRESH_RUN}, ${FROM_NOW} WHERE id = @id`

export const runTask: Verb<'run'> = (transaction, key, { now, removeAfter = false }) => {
  const { sql, cursors, handlers } = transaction
  const row = findRow(transaction, key)
  if (row === undefined) return 'unknown'
  const state = nextState(row.state, 'run', row.attempts)
  if (state === undefined) return 'running'
  if (isFinal(row.state) && removeAfter) return 'final'
  // An ended row keeps its lane while handlers come and go.
  const lane = handlers.laneOf(row.name, parseLane(row.lane).host)
  const deadline = deadlineOf(now, readTask(transaction, row).definition)
  const window = { id: row.id, lane, now, deadline, inAdvance: row.trigger_at * 1000 > now ? 1 : 0 }
  if (isFinal(row.state)) {
    sql.run(RUN_AGAIN, { ...window, runId: randomUUID() })
    endPreviousRun(transaction, row)
  } else sql.run(BRING_FORWARD, { ...window, removeAfter: removeAfter ? 1 : 0 })
  const task = readBack(transaction, key)
  transaction.changes.moved(key, row.state, state)
  transaction.changes.emit('updated', task, now)
  cursors.lower(lane, now)
  return task
}
