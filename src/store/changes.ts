/** Gathers what one write changes: how many tasks each state gains or loses, which runs are gone, and what listeners are told. Written with it, or not at all. */
import { isErrorCallback } from '../domain/error-callback.ts'
import type { Task, TaskState } from '../domain/task.ts'
import type { ChangeKind, TaskChange } from '../domain/task-change.ts'
import type { TaskKey } from '../domain/task-key.ts'

/** A change that has no number yet. */
export type Told = Pick<TaskChange, 'kind' | 'at' | 'task'>

/** Error callbacks are counted nowhere, and told to nobody. */
export class Changes {
  readonly #deltas = new Map<TaskState, number>()
  readonly #removedRuns = new Map<number, number>()
  readonly #told: Told[] = []

  /** `undefined` stands for a row that did not exist before, or does not any more. */
  moved(key: Pick<TaskKey, 'name'>, from: TaskState | undefined, to: TaskState | undefined): void {
    if (isErrorCallback(key)) return
    if (from !== undefined) this.count(from, -1)
    if (to !== undefined) this.count(to, 1)
  }

  /** So many tasks more, or less, are in a state. */
  count(state: TaskState, delta: number): void {
    this.#deltas.set(state, (this.#deltas.get(state) ?? 0) + delta)
  }

  /** A person has removed or replaced so many runs of a minute (Unix seconds), of which nothing else is kept. */
  removed(triggerAt: number, runs: number): void {
    if (runs > 0) this.#removedRuns.set(triggerAt, (this.#removedRuns.get(triggerAt) ?? 0) + runs)
  }

  tell(kind: ChangeKind, task: Task, at: number): void {
    if (!isErrorCallback(task)) this.#told.push({ kind, at, task })
  }

  /** By how much each state's count changes; only those that do. */
  deltas(): [TaskState, number][] {
    return [...this.#deltas].filter(([, delta]) => delta !== 0)
  }

  /** How many runs of each minute. */
  removedRuns(): [triggerAt: number, runs: number][] {
    return [...this.#removedRuns]
  }

  told(): readonly Told[] {
    return this.#told
  }
}
