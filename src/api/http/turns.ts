/**
 * Long work for clients is done in turns. Each page or batch of it is a turn, and one comes after the other. So whatever else waits, due
 * tasks above all, is let in between, however many clients ask for long work.
 */
export class Turns {
  readonly #waiting: (() => void)[] = []
  #isTaken = false

  /** Does a bounded part of long work once its turn has come, in the order in which turns were asked for. @returns its value */
  async take<T>(work: () => T | Promise<T>): Promise<T> {
    if (!this.#isTaken) this.#isTaken = true
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
    if (next === undefined) this.#isTaken = false
    else next()
  }
}
