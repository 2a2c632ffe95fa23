/** The state machine: which event leads from which state to which. */
import type { Task, TaskState } from '../task/task.ts'
import type { Verdict } from './verdict.ts'

/** `claimed` comes from the store; `run`, `replaced` and `moved` come from a person; the others are verdicts. */
export type TaskEvent = Verdict['event'] | 'claimed' | 'run' | 'replaced' | 'moved'

/** From state, by event, to state. A missing event is illegal. The second of two targets holds where an attempt was made. */
export const TRANSITIONS: Readonly<Record<TaskState, Partial<Record<TaskEvent, readonly TaskState[]>>>> = {
  pending: { claimed: ['running'], expired: ['skipped'], run: ['pending'], replaced: ['pending'], moved: ['pending'] },
  running: {
    succeeded: ['successful'],
    retry: ['retrying'],
    gave_up: ['failed'],
    lost: ['retrying'],
    released: ['pending', 'retrying'],
    expired: ['skipped', 'failed'],
    accepted: ['running'],
    uncallable: ['failed'],
  },
  retrying: { claimed: ['running'], expired: ['failed'], run: ['retrying'], replaced: ['pending'], moved: ['pending'] },
  successful: { run: ['pending'], replaced: ['pending'] },
  failed: { run: ['pending'], replaced: ['pending'] },
  skipped: { run: ['pending'], replaced: ['pending'] },
}

/** @param attemptsMade how many attempts of this run were really made */
export function nextState(state: TaskState, event: TaskEvent, attemptsMade: number): TaskState | undefined {
  const targets = TRANSITIONS[state][event]
  return targets?.length === 2 ? targets[attemptsMade > 0 ? 1 : 0] : targets?.[0]
}

const NEVER_CALLED: readonly TaskEvent[] = ['released', 'expired', 'uncallable']

/** The fields of a task that a verdict changes. */
export type TaskUpdate = Pick<Task, 'state' | 'dueAt' | 'attempts' | 'lost' | 'error' | 'awaiting' | 'leaseUntil'>

/**
 * Applies a verdict to a running or waiting task. A call that was never made (`released`, `uncallable`, or `expired` while
 * claimed) gives its attempt number back.
 * @throws Error on an event that is illegal in the task's state: a defect of the program
 */
export function applyVerdict(task: Task, verdict: Verdict, now: number): TaskUpdate {
  const neverCalled = task.state === 'running' && NEVER_CALLED.includes(verdict.event)
  const attempts = task.attempts - (neverCalled ? 1 : 0)
  const state = nextState(task.state, verdict.event, attempts)
  if (state === undefined) throw new Error(`illegal transition: ${verdict.event} while ${task.state}`)
  return {
    state,
    dueAt: verdict.event === 'retry' ? verdict.at : verdict.event === 'lost' ? now : task.dueAt,
    attempts,
    lost: task.lost + (verdict.event === 'lost' ? 1 : 0),
    error: 'reason' in verdict ? verdict.reason : verdict.event === 'released' ? task.error : null,
    awaiting: verdict.event === 'accepted' ? 'ack' : null,
    leaseUntil: verdict.event === 'accepted' ? verdict.until : null,
  }
}
