/**
 * Error callbacks: the call that tells a task's `error_callback` how it ended. Each is an entry of its own that goes the way of every
 * task, under a name that no client can give: the task's name and run, with an "@" between them.
 */
import { randomUUID } from 'node:crypto'
import { formatTaskKey } from './task-key.ts'
import type { TaskKey } from './task-key.ts'
import { hostOf, withDefaults } from './task.ts'
import type { Attempt, JsonValue, NewTask, Task } from './task.ts'

/** What the callback tells of, as it was when the task ended. */
export interface ErrorReport {
  readonly task: Task
  /** those of the run that ended, oldest first */
  readonly attempts: readonly Attempt[]
}

/** One run has one error callback: its name and minute say which. */
export function errorCallbackKey({ name, runId, triggerAt }: Pick<Task, 'name' | 'runId' | 'triggerAt'>): TaskKey {
  return { name: `${name}@${runId}`, triggerAt }
}

export function isErrorCallback({ name }: Pick<TaskKey, 'name'>): boolean {
  return name.includes('@')
}

/** The key of the task that an error callback tells of; a task's own otherwise. */
export function reportedKey({ name, triggerAt }: TaskKey): string {
  return formatTaskKey({ name: name.split('@', 1)[0] ?? name, triggerAt })
}

/**
 * The error callback of a task that has just ended, due at once.
 * @param task as it ended
 * @returns undefined where nobody is to be told: it ended well, asks for no callback, or is an error callback itself
 */
export function errorCallbackOf(task: Task, attempts: readonly Attempt[], now: number): NewTask | undefined {
  const { error_callback: callback, timeout, retry, max_delay } = withDefaults(task.definition)
  if (callback === undefined || isErrorCallback(task) || (task.state !== 'failed' && task.state !== 'skipped')) return undefined
  const report: ErrorReport = { task, attempts }
  return {
    ...errorCallbackKey(task),
    definition: {
      callback,
      callback_method: 'POST',
      // The report holds plain data only; that JSON's own types say so more narrowly is no difference.
      payload: report as unknown as JsonValue,
      expected_http_status: '2xx',
      retry: Math.max(1, retry),
      max_delay,
      ...(timeout !== undefined && { timeout }),
    },
    host: hostOf({ callback }),
    dueAt: now,
    deadline: now + max_delay * 60_000,
    runId: randomUUID(),
  }
}
