/** Stores the counts and the latest changes with each commit, and notifies listeners after it. */
import type { TaskState } from '../../../domain/task/task.ts'
import { batchesOf, readBatches, type Changes, type StoredBatch } from '../../rules/changes.ts'
import { PAGE_BYTES } from '../../../domain/task/page-size.ts'
import type { ChangesPage } from '../../../domain/task/task-change.ts'
import type { Sql } from '../commit/sql.ts'

/** About this many changes are kept: whole commits are removed. */
const KEPT = 50_000
const TRIM_EVERY = 1000

const COUNTS = 'SELECT state, n FROM task_counts'
const ADD_TO_COUNT = 'UPDATE task_counts SET n = n + ? WHERE state = ?'
const ADD_PAST_RUNS = `
  INSERT INTO past_runs (trigger_at, standing, n) VALUES (@triggerAt, @standing, @runs)
  ON CONFLICT (trigger_at, standing) DO UPDATE SET n = n + excluded.n`
const INSERT = 'INSERT INTO changes (id, first_id, batch) VALUES (@id, @firstId, @batch)'
const TRIM = 'DELETE FROM changes WHERE id <= ?'
const AFTER = 'SELECT * FROM changes WHERE id > ? ORDER BY id'
const OLDEST = 'SELECT first_id FROM changes ORDER BY id LIMIT 1'
const NEWEST = 'SELECT coalesce(max(id), 0) FROM changes'

interface BatchRow {
  readonly id: number
  readonly first_id: number
  readonly batch: string
}

export class ChangeLog {
  readonly #sql: Sql
  readonly #listeners = new Set<() => void>()
  #last: number | undefined
  #isNew = false

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** Must run inside the transaction that made the changes. */
  write(changes: Changes): void {
    for (const [state, delta] of changes.deltas()) this.#sql.run(ADD_TO_COUNT, delta, state)
    for (const past of changes.pastRuns()) this.#sql.run(ADD_PAST_RUNS, past)
    const emitted = changes.emitted()
    if (emitted.length === 0) return
    const last = this.#last ?? this.#newest()
    this.#last = last + emitted.length
    let id = last
    for (const { count, text } of batchesOf(emitted)) {
      this.#sql.run(INSERT, { id: id + count, firstId: id + 1, batch: text })
      id += count
    }
    if (Math.floor(this.#last / TRIM_EVERY) > Math.floor(last / TRIM_EVERY)) this.#sql.run(TRIM, this.#last - KEPT)
    this.#isNew = true
  }

  /** A rollback may have undone changes. Listeners may be notified for nothing. */
  forget(): void {
    this.#last = undefined
  }

  /** Has listeners notified after the commit, although no task has changed. */
  notify(): void {
    this.#isNew = true
  }

  /** The changes are durable. */
  committed(): void {
    if (!this.#isNew) return
    this.#isNew = false
    for (const listener of this.#listeners) listener()
  }

  /** @returns a function that removes the listener */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  read({ after, limit }: { after: number; limit: number }): ChangesPage {
    const batches: StoredBatch[] = []
    let [count, bytes] = [0, 0]
    // A commit may hold a thousand changes, so rows are read one by one.
    for (const { id, first_id: firstId, batch } of this.#sql.iterate<BatchRow>(AFTER, after)) {
      batches.push({ firstId, lastId: id, text: batch })
      count += id - Math.max(after, firstId - 1)
      bytes += batch.length
      if (count >= limit || bytes >= PAGE_BYTES) break
    }
    const oldest = this.#sql.get<Pick<BatchRow, 'first_id'>>(OLDEST)
    const { changes, ...lost } = readBatches(batches)
    return { changes: changes.filter(({ id }) => id > after), ...lost, first: oldest?.first_id ?? 0, last: this.#newest() }
  }

  /** Must run inside a transaction. SQLite writes nothing where a row keeps its value, so a count goes up and down. */
  proveWritable(): void {
    for (const delta of [1, -1]) this.#sql.run(ADD_TO_COUNT, delta, 'pending')
  }

  counts(): Record<TaskState, number> {
    const rows = this.#sql.all<{ state: TaskState; n: number }>(COUNTS)
    return Object.fromEntries(rows.map(({ state, n }) => [state, n])) as Record<TaskState, number>
  }

  #newest(): number {
    return this.#sql.value<number>(NEWEST)
  }
}
