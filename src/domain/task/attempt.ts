/** A finished attempt of a task. Times are epoch milliseconds. */
import type { TaskDefinition } from './task.ts'

/** One finished attempt. */
export interface Attempt {
  readonly runId: string
  /** 1-based within its run */
  readonly number: number
  /** null where an older program has recorded it */
  readonly dueAt: number | null
  readonly startedAt: number
  readonly durationMs: number
  /** no request might start at or after this time; null where no request is known */
  readonly deadline: number | null
  readonly status: number | null
  readonly error: string | null
  /** null where an older program has recorded it */
  readonly outcome: AttemptOutcome | null
  /** how many attempts might follow it by the task and handler of that time; null where an older program has recorded it */
  readonly attemptsLeft: number | null
  readonly node: string
  /** the task's own values of that run; only with the last attempt of a run after which a person has changed them */
  readonly definition?: TaskDefinition
}

/** `accepted`: its acknowledgement is awaited. `retrying`: another attempt follows. `lost`: another one follows and uses up no retry. */
export type AttemptOutcome = 'successful' | 'accepted' | 'retrying' | 'failed' | 'lost'
