/** How many tasks of a handler may be claimed now, by its limits and its stored tasks. */
import type { Handler } from '../../../domain/task/handler.ts'
import { rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { RATE_SECONDS, capacityWithin, noCapacity, type HandlerCapacity } from '../../rules/handler-book.ts'
import { lanesOf } from '../../rows/lane-name.ts'
import type { Transaction } from '../session.ts'

// A name inside a pattern may have a handler of its own, so the lane decides.
const RUNNING = `
  SELECT count(*) FROM (
    SELECT 1 FROM tasks INDEXED BY tasks_running_of_handler
    WHERE state = 'running' AND instr(lane, '@') > 0 AND name >= @first AND name < @end AND lane >= @firstLane AND lane < @endLane LIMIT @limit)`
const STARTS = 'SELECT coalesce(sum(n), 0) AS started, min(second) AS oldest FROM starts WHERE name = ? AND second BETWEEN ? AND ?'
const NO_STARTS: { started: number; oldest: number | null } = { started: 0, oldest: null }

/** For calls and workers alike. @param now epoch ms */
export function capacityOf({ sql }: Transaction, { name, definition }: Handler, now: number): HandlerCapacity {
  if (definition.paused) return noCapacity()
  const { concurrency: limit, rate } = definition
  const { first: firstLane, end: endLane } = lanesOf(name)
  const running = limit === undefined ? 0 : sql.value<number>(RUNNING, { ...rangeOfNames(name), firstLane, endLane, limit })
  const second = Math.floor(now / 1000)
  const window = [name, second - RATE_SECONDS, second + RATE_SECONDS]
  const starts = rate === undefined ? NO_STARTS : sql.one<typeof NO_STARTS>(STARTS, ...window)
  return capacityWithin(definition, { running, ...starts })
}
