/**
 * Up to which time a column has been looked at and nothing was found there: a search need not begin before it, where an open transaction
 * keeps the index entries of rows that are long gone.
 */
export class LowWaterMark {
  #seen = 0
  #lastNow = -Infinity
  /** what was said while a search was under way, which may not have seen it */
  #lowered = Infinity

  /** Nothing is left at or before this time. */
  get seen(): number {
    return this.#seen
  }

  /** A search at `now` begins. @returns after which time it need look; a clock set back has it look at all */
  begin(now: number): number {
    if (now < this.#lastNow) this.#seen = 0
    this.#lastNow = now
    this.#lowered = Infinity
    return this.#seen
  }

  /** The search found nothing at or before `time`. */
  clear(time: number): void {
    this.#seen = Math.max(0, Math.min(Math.max(this.#seen, time), this.#lowered - 1))
  }

  /** There may be something at `time`. */
  lower(time: number): void {
    this.#lowered = Math.min(this.#lowered, time)
    this.#seen = Math.max(0, Math.min(this.#seen, time - 1))
  }
}
