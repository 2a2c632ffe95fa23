/**
 * Requests that wait until there is something for them. The requests that wait for one name share one loop. It looks after commits,
 * when something is due, and once a second: for the oldest request first, and for others only while something is found. So a name costs
 * at most ten looks a second while anything is committed, and one otherwise, however many requests wait for it.
 */
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../clock.ts'

/** What a look has found, or when (epoch ms) to look again at the latest; undefined where only a change can help. */
export type Look<T> = { readonly found: T } | { readonly nextDue: number | undefined }

interface Patience {
  readonly waitMs: number
  /** aborted when the client is gone; no look begins from then on */
  readonly left: AbortSignal
}

interface Waiter<T> extends PromiseWithResolvers<T | undefined> {
  readonly look: () => Promise<Look<T>>
  /** A request in the middle of a look gets the find, even where its wait is over. */
  isLooking: boolean
  isOver: boolean
}

/** Between two looks that find nothing. */
const PAUSE_MS = 100
/** The clock may jump, a handler may change, and a store may fail to report a commit. */
const LONGEST_SLEEP_MS = 1000

export class LongPoll<T> {
  readonly #clock: Clock
  readonly #stopping: AbortSignal
  readonly #queues = new Map<string, Queue<T>>()
  #changes = 0

  /** @param options `onChange` calls a listener after each commit, and returns a function that ends this; `stopping` ends all waits */
  constructor(options: { clock: Clock; stopping: AbortSignal; onChange: (listener: () => void) => () => void }) {
    this.#clock = options.clock
    this.#stopping = options.stopping
    const ignoreChanges = options.onChange(() => {
      this.#changes += 1
      for (const queue of this.#queues.values()) queue.lookSoon()
    })
    this.#stopping.addEventListener('abort', () => {
      ignoreChanges()
      for (const queue of this.#queues.values()) queue.dismiss()
    })
  }

  /**
   * Looks at once, and again and again where nothing is found.
   * @returns the find, or undefined where the wait is over without one
   * @throws the error of a look
   */
  async find(name: string, look: () => Promise<Look<T>>, patience: Patience): Promise<T | undefined> {
    const changesBefore = this.#changes
    const first = await look()
    if ('found' in first) return first.found
    if (patience.waitMs === 0 || patience.left.aborted || this.#stopping.aborted) return undefined
    const queue = this.#queues.get(name) ?? new Queue<T>(this.#clock, () => this.#queues.delete(name))
    this.#queues.set(name, queue)
    queue.lookBy(first.nextDue)
    // A commit during the look may have been too late for it, and too early for the queue.
    if (this.#changes !== changesBefore) queue.lookSoon()
    return queue.wait(look, patience)
  }
}

/** The requests that wait for one name, oldest first. */
class Queue<T> {
  readonly #clock: Clock
  readonly #onEmpty: () => void
  /** each with a function that ends its wait */
  readonly #waiters = new Map<Waiter<T>, () => void>()
  /** the last look and the next one, monotonic ms */
  #lookedAt = -Infinity
  #lookAt = Infinity
  #wake: () => void = () => undefined

  /** @param onEmpty is called when the last request has left; no other may join after that */
  constructor(clock: Clock, onEmpty: () => void) {
    this.#clock = clock
    this.#onEmpty = onEmpty
  }

  /** Has the loop look at the latest when something is due (epoch ms), and in any case within a second. */
  lookBy(nextDue = Infinity): void {
    const untilDue = nextDue - this.#clock.now()
    this.#lookAtLatest(this.#clock.monotonic() + (untilDue > 0 ? Math.min(untilDue, LONGEST_SLEEP_MS) : PAUSE_MS))
  }

  /** Has the loop look after the pause that follows its last look. */
  lookSoon(): void {
    this.#lookAtLatest(this.#lookedAt + PAUSE_MS)
  }

  /** Ends all waits. */
  dismiss(): void {
    for (const quit of this.#waiters.values()) quit()
  }

  /** Joins the queue. */
  wait(look: () => Promise<Look<T>>, { waitMs, left }: Patience): Promise<T | undefined> {
    const waiter: Waiter<T> = { ...Promise.withResolvers<T | undefined>(), look, isLooking: false, isOver: false }
    const quit = (): void => {
      waiter.isOver = true
      if (!waiter.isLooking) this.#answer(waiter)
    }
    const cancelTimer = this.#clock.setTimer(waitMs, quit)
    left.addEventListener('abort', quit)
    this.#waiters.set(waiter, quit)
    if (this.#waiters.size === 1) void this.#serve()
    return waiter.promise.finally(cancelTimer)
  }

  async #serve(): Promise<void> {
    while (this.#waiters.size > 0) {
      const ms = this.#lookAt - this.#clock.monotonic()
      if (ms > 0) await this.#sleep(ms)
      else await this.#lookInTurn()
    }
  }

  /** Looks for one request, and while all find something for twice as many. So many requests are served in few commits. */
  async #lookInTurn(): Promise<void> {
    // The commits of one turn of the event loop share a look.
    await setImmediate()
    this.#lookedAt = this.#clock.monotonic()
    this.#lookAt = Infinity
    for (let count = 1; this.#waiters.size > 0; count *= 2) {
      const looks = await Promise.all([...this.#waiters.keys()].slice(0, count).map((waiter) => this.#lookFor(waiter)))
      const empty = looks.find((look) => look !== undefined && 'nextDue' in look)
      if (empty === undefined) continue
      this.lookBy(empty.nextDue)
      return
    }
  }

  /** @returns undefined where the look failed; its request has the error then */
  async #lookFor(waiter: Waiter<T>): Promise<Look<T> | undefined> {
    waiter.isLooking = true
    try {
      const look = await waiter.look()
      waiter.isLooking = false
      if ('found' in look) this.#answer(waiter, look.found)
      else if (waiter.isOver) this.#answer(waiter)
      return look
    } catch (error) {
      waiter.reject(error)
      this.#answer(waiter)
      return undefined
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancelTimer = this.#clock.setTimer(ms, resolve)
      this.#wake = () => {
        cancelTimer()
        resolve()
      }
    })
  }

  /** @param at monotonic ms */
  #lookAtLatest(at: number): void {
    if (at >= this.#lookAt) return
    this.#lookAt = at
    this.#wake()
  }

  #answer(waiter: Waiter<T>, found?: T): void {
    waiter.resolve(found)
    if (!this.#waiters.delete(waiter) || this.#waiters.size > 0) return
    this.#onEmpty()
    this.#wake()
  }
}
