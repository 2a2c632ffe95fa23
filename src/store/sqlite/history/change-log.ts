/** Keeps the latest changes in the file, and tells listeners after the commit that holds new ones. */
import type { TaskChange } from '../../../domain/task/task-change.ts'
import { batchesOf, parseBatch } from '../../rows/change-batches.ts'
import type { Changes } from '../../rules/changes.ts'
import type { Statements } from '../statements.ts'

/** How many changes are kept, give or take those of one commit. */
const KEPT = 50_000
const TRIM_EVERY = 1000

interface BatchRow {
  readonly id: number
  readonly first_id: number
  readonly batch: string
}

export class ChangeLog {
  readonly #statements: Statements
  readonly #listeners = new Set<() => void>()
  #last: number | undefined
  #isNew = false

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** Must run inside the transaction whose changes these are. */
  write(changes: Changes): void {
    for (const [state, delta] of changes.deltas()) this.#statements.addToCount.run(delta, state)
    for (const past of changes.pastRuns()) this.#statements.addPastRuns.run(past)
    const told = changes.emitted()
    if (told.length === 0) return
    const last = this.#last ?? this.#newest()
    this.#last = last + told.length
    let id = last
    for (const { count, text } of batchesOf(told)) {
      this.#statements.insertChanges.run({ id: id + count, firstId: id + 1, batch: text })
      id += count
    }
    if (Math.floor(this.#last / TRIM_EVERY) > Math.floor(last / TRIM_EVERY)) this.#statements.trimChanges.run(this.#last - KEPT)
    this.#isNew = true
  }

  /** What was written may have been undone. Listeners may be told for nothing. */
  forget(): void {
    this.#last = undefined
  }

  /** Has listeners told after the commit: something but tasks has changed that they may wait for. */
  notify(): void {
    this.#isNew = true
  }

  /** What was written is durable. */
  committed(): void {
    if (!this.#isNew) return
    this.#isNew = false
    for (const listener of this.#listeners) listener()
  }

  /** @returns a function that ends this */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  read({ after, limit }: { after: number; limit: number }): { changes: TaskChange[]; first: number; last: number } {
    const changes: TaskChange[] = []
    // One by one: a commit may hold a thousand changes.
    for (const row of this.#statements.changesAfter.iterate(after) as IterableIterator<BatchRow>) {
      changes.push(...parseBatch(row.batch, row.first_id).filter(({ id }) => id > after))
      if (changes.length >= limit) break
    }
    return { changes, first: (this.#statements.oldestChange.get() as number | null) ?? 0, last: this.#newest() }
  }

  #newest(): number {
    return (this.#statements.newestChange.get() as number | null) ?? 0
  }
}
