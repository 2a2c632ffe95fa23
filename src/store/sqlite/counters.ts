/** How many tasks each state has, kept with every write because counting ten million rows takes seconds. */
import type { Statement } from 'better-sqlite3'
import type { TaskState } from '../../domain/task.ts'

/** Gathers what one write moves between states, so that each state's counter is written once. */
export class Tally {
  readonly #deltas = new Map<TaskState, number>()

  /** `undefined` stands for a row that did not exist before, or does not any more. */
  moved(from: TaskState | undefined, to: TaskState | undefined): void {
    if (from !== undefined) this.#deltas.set(from, (this.#deltas.get(from) ?? 0) - 1)
    if (to !== undefined) this.#deltas.set(to, (this.#deltas.get(to) ?? 0) + 1)
  }

  /** Writes the sums into the transaction under way, so that they are undone with it. */
  write(addToCount: Statement): void {
    for (const [state, delta] of this.#deltas) if (delta !== 0) addToCount.run(delta, state)
  }
}
