/**
 * Requests that wait until there is something for them. All that wait for one name share one queue, which looks again after commits,
 * when something is due, and each second in any case: for the oldest first, and for others only while something is found. So a name
 * that is waited for costs at most ten looks a second while anything is committed, and one otherwise, however many wait for it.
 */
import type { Clock } from '../../clock.ts'

/** What a look came to: what was looked for, or when (epoch ms) to look again at the latest; undefined where only a change can help. */
export type Look<T> = { readonly found: T } | { readonly nextDue: number | undefined }

interface Patience {
  readonly waitMs: number
  /** aborted when there is nobody left to answer; no look is made from then on */
  readonly left: AbortSignal
}

/** Between two looks that find nothing. */
const PAUSE_MS = 100
/** The clock may jump, a handler may change, and a store may fail to tell of a commit. */
const LONGEST_SLEEP_MS = 1000

export class LongPoll<T> {
  readonly #clock: Clock
  readonly #stopping: AbortSignal
  readonly #queues = new Map<string, Queue<T>>()
  #changes = 0
  #lastRound = -Infinity
  #isRoundSet = false

  /**
   * @param options `onChange` tells a listener after each commit, and answers a function that ends this; `stopping` ends all waiting
   */
  constructor(options: { clock: Clock; stopping: AbortSignal; onChange: (listener: () => void) => () => void }) {
    this.#clock = options.clock
    this.#stopping = options.stopping
    const ignoreChanges = options.onChange(() => {
      this.#changes += 1
      this.#setRound()
    })
    this.#stopping.addEventListener('abort', () => {
      ignoreChanges()
      for (const queue of this.#queues.values()) queue.dismiss()
    })
  }

  /**
   * Looks at once, and where nothing is found again and again.
   * @returns what was found, or undefined where the wait is over without it
   * @throws what a look throws
   */
  async find(name: string, look: () => Promise<Look<T>>, patience: Patience): Promise<T | undefined> {
    const changesBefore = this.#changes
    const first = await look()
    if ('found' in first) return first.found
    if (patience.waitMs === 0 || patience.left.aborted || this.#stopping.aborted) return undefined
    const found = this.#queueOf(name).join(look, first.nextDue, patience)
    // What was committed while the look was under way may have come too late for it, and too early for the queue.
    if (this.#changes !== changesBefore) this.#setRound()
    return found
  }

  #queueOf(name: string): Queue<T> {
    const known = this.#queues.get(name)
    if (known) return known
    const queue = new Queue<T>(this.#clock, () => this.#queues.delete(name))
    this.#queues.set(name, queue)
    return queue
  }

  /** One round for all commits of a turn, and a pause between rounds. */
  #setRound(): void {
    if (this.#isRoundSet || this.#queues.size === 0) return
    this.#isRoundSet = true
    const look = (): void => {
      this.#isRoundSet = false
      this.#lastRound = this.#clock.monotonic()
      for (const queue of this.#queues.values()) queue.look()
    }
    const wait = this.#lastRound + PAUSE_MS - this.#clock.monotonic()
    if (wait <= 0) setImmediate(look)
    else this.#clock.setTimer(wait, look)
  }
}

/** Those that wait for one name, oldest first. */
class Queue<T> {
  readonly #clock: Clock
  readonly #onEmpty: () => void
  readonly #waiters = new Set<Waiter<T>>()
  #isLooking = false
  #isOutdated = false
  /** monotonic ms */
  #sleepsUntil = Infinity
  #cancelTimer: (() => void) | undefined

  constructor(clock: Clock, onEmpty: () => void) {
    this.#clock = clock
    this.#onEmpty = onEmpty
  }

  /** @param nextDue when (epoch ms) to look again at the latest */
  join(look: () => Promise<Look<T>>, nextDue: number | undefined, { waitMs, left }: Patience): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const quit = (): void => {
        waiter.quit()
      }
      const cancelTimer = this.#clock.setTimer(waitMs, quit)
      left.addEventListener('abort', quit)
      const leave = (): void => {
        cancelTimer()
        left.removeEventListener('abort', quit)
        this.#remove(waiter)
      }
      const waiter = new Waiter<T>(look, {
        found: (found) => {
          leave()
          resolve(found)
        },
        failed: (error) => {
          leave()
          reject(error instanceof Error ? error : new Error(String(error)))
        },
      })
      this.#waiters.add(waiter)
      this.#sleep(nextDue)
    })
  }

  /** Ends all waiting. */
  dismiss(): void {
    for (const waiter of this.#waiters) waiter.quit()
  }

  /** Has the waiters look; where they do so already, once more after that. */
  look(): void {
    this.#cancelTimer?.()
    this.#sleepsUntil = Infinity
    this.#isOutdated = true
    if (!this.#isLooking) void this.#lookWhileOutdated()
  }

  async #lookWhileOutdated(): Promise<void> {
    this.#isLooking = true
    while (this.#isOutdated) {
      this.#isOutdated = false
      await this.#lookInTurn()
    }
    this.#isLooking = false
  }

  /** For one waiter, and while all find something for twice as many: many that wait for many tasks are served in few commits. */
  async #lookInTurn(): Promise<void> {
    for (let count = 1; this.#waiters.size > 0; count *= 2) {
      const looks = await Promise.all([...this.#waiters].slice(0, count).map((waiter) => waiter.look()))
      const empty = looks.find((look) => look !== undefined && 'nextDue' in look)
      if (empty === undefined) continue
      this.#sleep(empty.nextDue)
      return
    }
  }

  /** @param nextDue when (epoch ms) to look again at the latest */
  #sleep(nextDue = Infinity): void {
    const untilDue = nextDue - this.#clock.now()
    const wait = untilDue > 0 ? Math.min(untilDue, LONGEST_SLEEP_MS) : PAUSE_MS
    const until = this.#clock.monotonic() + wait
    if (until >= this.#sleepsUntil || this.#waiters.size === 0) return
    this.#cancelTimer?.()
    this.#sleepsUntil = until
    this.#cancelTimer = this.#clock.setTimer(wait, () => {
      this.look()
    })
  }

  #remove(waiter: Waiter<T>): void {
    this.#waiters.delete(waiter)
    if (this.#waiters.size > 0) return
    this.#cancelTimer?.()
    this.#onEmpty()
  }
}

/** How the promise of one that waits is settled; each settles it and leaves the queue. */
interface End<T> {
  readonly found: (found: T | undefined) => void
  readonly failed: (error: unknown) => void
}

/** One that waits. It does not quit in the middle of a look: what that finds is its own. */
class Waiter<T> {
  readonly #lookOnce: () => Promise<Look<T>>
  readonly #end: End<T>
  #isLooking = false
  #hasQuit = false

  constructor(lookOnce: () => Promise<Look<T>>, end: End<T>) {
    this.#lookOnce = lookOnce
    this.#end = end
  }

  quit(): void {
    this.#hasQuit = true
    if (!this.#isLooking) this.#end.found(undefined)
  }

  /** @returns undefined where the look failed, of which the one that waits is told */
  async look(): Promise<Look<T> | undefined> {
    this.#isLooking = true
    try {
      const look = await this.#lookOnce()
      if ('found' in look) this.#end.found(look.found)
      else if (this.#hasQuit) this.#end.found(undefined)
      return look
    } catch (error) {
      this.#end.failed(error)
      return undefined
    } finally {
      this.#isLooking = false
    }
  }
}
