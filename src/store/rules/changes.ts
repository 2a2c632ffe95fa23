/** Gathers what one write changes: how many tasks each state gains or loses, which runs are gone, and what listeners are told. Written with it, or not at all. */
import { isErrorCallback } from '../../domain/task/error-callback.ts'
import type { PastStanding } from '../../domain/ledger/account.ts'
import type { Task, TaskState } from '../../domain/task/task.ts'
import type { ChangeKind, NewChange } from '../../domain/task/task-change.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'

/** Runs that no row tells of any more. */
export interface PastRuns {
  /** Unix seconds */
  readonly triggerAt: number
  /** as what they count */
  readonly standing: PastStanding
  readonly runs: number
}

/** Error callbacks are counted nowhere, and told to nobody. */
export class Changes {
  readonly #deltas = new Map<TaskState, number>()
  readonly #pastRuns: PastRuns[] = []
  readonly #emitted: NewChange[] = []

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

  /** An entry goes, and all runs of it: a person has deleted it. */
  deleted({ triggerAt }: Pick<TaskKey, 'triggerAt'>, runs: number): void {
    this.#pastRuns.push({ triggerAt, standing: 'removed', runs })
  }

  /** An entry begins another run, or moves. Where it had attempts, these tell of the run before. */
  previousRunEnded({ triggerAt }: Pick<TaskKey, 'triggerAt'>, before: Pick<Task, 'state' | 'attempts'>): void {
    if (before.attempts > 0) return
    const standing = before.state === 'skipped' || before.state === 'failed' ? before.state : 'removed'
    this.#pastRuns.push({ triggerAt, standing, runs: 1 })
  }

  emit(kind: ChangeKind, task: Task, at: number): void {
    if (!isErrorCallback(task)) this.#emitted.push({ kind, at, task })
  }

  /** By how much each state's count changes; only those that do. */
  deltas(): [TaskState, number][] {
    return [...this.#deltas].filter(([, delta]) => delta !== 0)
  }

  /** Each minute and standing once. */
  pastRuns(): PastRuns[] {
    const kinds = Map.groupBy(this.#pastRuns, ({ triggerAt, standing }) => `${triggerAt} ${standing}`)
    return [...kinds.values()].flatMap(([first, ...others]) => {
      return first === undefined ? [] : [{ ...first, runs: others.reduce((sum, { runs }) => sum + runs, first.runs) }]
    })
  }

  emitted(): readonly NewChange[] {
    return this.#emitted
  }
}
