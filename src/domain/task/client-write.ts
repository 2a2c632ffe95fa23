/** What becomes of a task that a client stores or changes. */
import type { Parsed, Problem } from '../errors.ts'
import type { NewTask, Task, TaskDefinition } from './task.ts'
import type { TaskKey } from './task-key.ts'

/** `kept`: this task is there, the given one is `unique`, and nothing has changed. */
export type PutResult = StoredTask | { readonly status: 'kept'; readonly task: Task } | PutRefusal

export interface StoredTask {
  readonly status: 'created' | 'replaced'
  readonly task: Task
  /** the task of the series whose place it takes; it is gone where it has another key */
  readonly replaces?: TaskKey
}

/** The key is that of the stored task, where it is another one. */
export type PutRefusal = { readonly status: 'exists'; readonly key?: TaskKey } | { readonly status: 'running' | 'no_callback' }

/** Makes the task that takes the place of a stored one; undefined where nothing changes. @param own its own values, without those of its handler */
export type Revise = (task: Task, own: TaskDefinition) => Parsed<NewTask | undefined>

/** `same`: nothing has changed. `minute_taken` and `in_series` have the key of the task that is in the way. */
export type EditResult =
  | { readonly status: 'edited'; readonly task: Task }
  | { readonly status: 'same'; readonly task: Task }
  | { readonly status: 'running' | 'ended'; readonly task: Task }
  | { readonly status: 'refused'; readonly problem: Problem; readonly others?: readonly Problem[] }
  | { readonly status: 'minute_taken' | 'in_series'; readonly key: TaskKey }
  | { readonly status: 'unknown' | 'no_callback' }
