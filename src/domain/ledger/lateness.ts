/** How late attempts were: the time from the due time of each to its start. */
import type { Attempt } from '../task/attempt.ts'

/** In ms; null where nothing was measured. */
export interface LatenessSummary {
  /** how many were measured */
  readonly attempts: number
  readonly p50: number | null
  readonly p99: number | null
  readonly max: number | null
  /** how many were later than a second, than ten, and than a minute */
  readonly over_1s: number
  readonly over_10s: number
  readonly over_60s: number
}

/** With more different values, those above an hour are counted by the minute. That bounds the memory. */
const MOST_VALUES = 2 ** 20
const FINE_MS = 3_600_000
const COARSE_MS = 60_000

/** Exact to 1 ms. With more than a million different values, percentiles above an hour are rounded down to the minute. */
export class Lateness {
  readonly #counts = new Map<number, number>()
  #total = 0
  #max: number | null = null
  #isCoarse = false

  /** Leaves out a lost attempt, because nobody knows when it was called, and an attempt without a due time. */
  add({ dueAt, startedAt, outcome }: Pick<Attempt, 'dueAt' | 'startedAt' | 'outcome'>): void {
    if (dueAt === null || outcome === 'lost') return
    const ms = startedAt - dueAt
    this.#count(ms, 1)
    this.#total += 1
    this.#max = Math.max(this.#max ?? ms, ms)
    if (!this.#isCoarse && this.#counts.size > MOST_VALUES) this.#coarsen()
  }

  /** The percentiles are by nearest rank: the least value that this part of all values does not exceed. */
  summary(): LatenessSummary {
    const sorted = [...this.#counts].sort(([a], [b]) => a - b)
    const over = (bound: number): number => sorted.reduce((sum, [ms, count]) => (ms > bound ? sum + count : sum), 0)
    return {
      ...{ attempts: this.#total, p50: this.#percentile(sorted, 0.5), p99: this.#percentile(sorted, 0.99), max: this.#max },
      ...{ over_1s: over(1000), over_10s: over(10_000), over_60s: over(60_000) },
    }
  }

  #percentile(sorted: readonly (readonly [ms: number, count: number])[], fraction: number): number | null {
    let left = Math.ceil(this.#total * fraction)
    return sorted.find(([, count]) => (left -= count) <= 0)?.[0] ?? null
  }

  #count(ms: number, count: number): void {
    const value = this.#isCoarse && ms > FINE_MS ? ms - (ms % COARSE_MS) : ms
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + count)
  }

  #coarsen(): void {
    this.#isCoarse = true
    for (const [ms, count] of [...this.#counts]) {
      if (ms <= FINE_MS) continue
      this.#counts.delete(ms)
      this.#count(ms, count)
    }
  }
}
