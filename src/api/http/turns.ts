/**
 * Long work for clients is done in turns. Each page or batch of it is a turn, and two turns at once are the most. So whatever else waits,
 * due tasks above all, is let in between, however many clients ask for long work.
 */

/** As many as the reads that PostgreSQL is asked for at once. */
const AT_ONCE = 2

export class Turns {
  readonly #waiting: (() => void)[] = []
  #taken = 0

  /** Does a bounded part of long work once its turn has come, in the order in which turns were asked for. @returns its value */
  async take<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#taken < AT_ONCE) this.#taken += 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      // What follows from the work is done at once. The next turn comes after everything that waits meanwhile.
      setImmediate(() => {
        this.#pass()
      })
    }
  }

  #pass(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#taken -= 1
    else next()
  }
}
