/** Error callbacks: calls that report the bad end of a task. Each is a task of a name that no client can give: `<name>@<run id>`. */
import { randomUUID } from 'node:crypto'
import { withHandler } from './handler.ts'
import { formatTaskKey, type TaskKey } from './task-key.ts'
import type { Attempt } from './attempt.ts'
import { hostOf, withDefaults, type JsonValue, type NewTask, type Task, type TaskDefinition } from './task.ts'

/** The payload of an error callback: the task as it ended. */
export interface ErrorReport {
  readonly task: Task
  /** the attempts of the run that ended, oldest first */
  readonly attempts: readonly Attempt[]
}

/** Whom a node tells of a bad end where neither task nor handler says so, and the body for that. */
export type OnFailure = Pick<TaskDefinition, 'error_payload' | 'error_payload_is_json'> & { readonly error_callback: string }

/** The key of the one error callback of a run. */
export function errorCallbackKey({ name, runId, triggerAt }: Pick<Task, 'name' | 'runId' | 'triggerAt'>): TaskKey {
  return { name: `${name}@${runId}`, triggerAt }
}

export function isErrorCallback({ name }: Pick<TaskKey, 'name'>): boolean {
  return name.includes('@')
}

/** The key of the task that an error callback reports; the key of any other task itself. */
export function reportedKey({ name, triggerAt }: TaskKey): string {
  return formatTaskKey({ name: name.replace(/@.*/s, ''), triggerAt })
}

/** Whether somebody is to be told how a task has ended. An error callback itself is told to nobody. */
export function hasErrorCallback(task: Task, onFailure: OnFailure | undefined): boolean {
  if ((task.state !== 'failed' && task.state !== 'skipped') || isErrorCallback(task)) return false
  return onFailure !== undefined || task.definition.error_callback !== undefined
}

/**
 * The error callback of a task that has just ended, due at once.
 * @param ended the task as it ended
 * @param onFailure that of the node that ends the task
 * @returns undefined where the task ended well, nobody is to be told, or it is an error callback itself
 */
export function errorCallbackOf(ended: Task, attempts: readonly Attempt[], now: number, onFailure?: OnFailure): NewTask | undefined {
  if (!hasErrorCallback(ended, onFailure)) return undefined
  const isDefault = ended.definition.error_callback === undefined
  const task = isDefault ? { ...ended, definition: withHandler(ended.definition, onFailure) } : ended
  const { error_callback: callback, timeout, retry, max_delay } = withDefaults(task.definition)
  if (callback === undefined) return undefined
  return {
    ...errorCallbackKey(task),
    definition: {
      callback,
      callback_method: 'POST',
      // The report holds plain data only, but its types are not those of JSON.
      payload: { task, attempts } satisfies ErrorReport as unknown as JsonValue,
      expected_http_status: '2xx',
      retry: Math.max(1, retry),
      max_delay,
      ...(timeout !== undefined && { timeout }),
    },
    host: hostOf({ callback }),
    dueAt: now,
    windowFrom: now,
    inAdvance: false,
    deadline: now + max_delay * 60_000,
    runId: randomUUID(),
  }
}
