/** Counts reasons by their kind. The number of kinds is bounded, because a reason may hold any text. */

/** The part of a reason after its kind: a time, or the words of a person. */
const DETAIL = /[:;] .*/s
const MOST_KINDS = 200
const OTHER = 'other'

export class Tally {
  readonly #counts = new Map<string, number>()

  add(reason: string, times = 1): void {
    const kind = reason.replace(DETAIL, '')
    const counted = this.#counts.has(kind) || this.#counts.size < MOST_KINDS ? kind : OTHER
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + times)
  }

  /** The most frequent first. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort(([, a], [, b]) => b - a))
  }
}
