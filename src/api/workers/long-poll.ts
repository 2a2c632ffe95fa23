/**
 * Requests that wait until there is something for them. The requests that wait for one name share one loop. It looks after commits,
 * when something is due, and once a second: for the oldest request first, and for others only while something is found. So a name costs
 * at most ten looks a second while anything is committed, and one otherwise, however many requests wait for it.
 */
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../clock.ts'

/** The find of a look, or the time (epoch ms) to look again at the latest; undefined where only a change can help. */
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

/** The requests that wait for one name, until the last one has its answer. */
interface Queue<T> {
  readonly name: string
  /** oldest first, each with a function that ends its wait */
  readonly waiters: Map<Waiter<T>, () => void>
  /** the last look and the next one, monotonic ms */
  lookedAt: number
  lookAt: number
  /** ends the loop's sleep */
  wake: () => void
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
      for (const queue of this.#queues.values()) lookNoLaterThan(queue, queue.lookedAt + PAUSE_MS)
    })
    this.#stopping.addEventListener('abort', () => {
      ignoreChanges()
      for (const { waiters } of this.#queues.values()) for (const quit of waiters.values()) quit()
    })
  }

  /**
   * Looks at once, and again and again where nothing is found.
   * @returns the find, or undefined where the wait is over without one
   * @throws the error of a look
   */
  async find(name: string, look: () => Promise<Look<T>>, { waitMs, left }: Patience): Promise<T | undefined> {
    const changesBefore = this.#changes
    const first = await look()
    if ('found' in first) return first.found
    if (waitMs === 0 || left.aborted || this.#stopping.aborted) return undefined
    const queue = this.#queues.get(name) ?? { name, waiters: new Map(), lookedAt: -Infinity, lookAt: Infinity, wake: () => undefined }
    this.#lookAgain(queue, first.nextDue)
    // A commit during the look may have been too late for it, and too early for the queue.
    if (this.#changes !== changesBefore) lookNoLaterThan(queue, queue.lookedAt + PAUSE_MS)
    const waiter: Waiter<T> = { ...Promise.withResolvers<T | undefined>(), look, isLooking: false, isOver: false }
    const quit = (): void => {
      waiter.isOver = true
      if (!waiter.isLooking) this.#answer(queue, waiter)
    }
    const cancelTimer = this.#clock.setTimer(waitMs, quit)
    left.addEventListener('abort', quit)
    queue.waiters.set(waiter, quit)
    if (queue.waiters.size === 1) void this.#serve(queue)
    return waiter.promise.finally(cancelTimer)
  }

  async #serve(queue: Queue<T>): Promise<void> {
    this.#queues.set(queue.name, queue)
    while (queue.waiters.size > 0) {
      const ms = queue.lookAt - this.#clock.monotonic()
      if (ms > 0) await this.#sleep(queue, ms)
      else await this.#lookInTurn(queue)
    }
  }

  #sleep(queue: Queue<T>, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancelTimer = this.#clock.setTimer(ms, resolve)
      queue.wake = () => {
        cancelTimer()
        resolve()
      }
    })
  }

  /** Looks for one request, and while all find something for twice as many. So many requests are served in few commits. */
  async #lookInTurn(queue: Queue<T>): Promise<void> {
    // The commits of one turn of the event loop share a look.
    await setImmediate()
    queue.lookedAt = this.#clock.monotonic()
    queue.lookAt = Infinity
    for (let count = 1; queue.waiters.size > 0; count *= 2) {
      const waiters = [...queue.waiters.keys()].slice(0, count)
      const looks = await Promise.all(waiters.map((waiter) => this.#lookFor(queue, waiter)))
      const empty = looks.find((look) => look !== undefined && 'nextDue' in look)
      if (empty !== undefined) {
        this.#lookAgain(queue, empty.nextDue)
        return
      }
    }
  }

  /** @returns undefined where the look failed; its request has the error then */
  async #lookFor(queue: Queue<T>, waiter: Waiter<T>): Promise<Look<T> | undefined> {
    waiter.isLooking = true
    try {
      const look = await waiter.look()
      waiter.isLooking = false
      if ('found' in look) this.#answer(queue, waiter, look.found)
      else if (waiter.isOver) this.#answer(queue, waiter)
      return look
    } catch (error) {
      waiter.reject(error)
      this.#answer(queue, waiter)
      return undefined
    }
  }

  #answer(queue: Queue<T>, waiter: Waiter<T>, found?: T): void {
    waiter.resolve(found)
    if (!queue.waiters.delete(waiter) || queue.waiters.size > 0) return
    this.#queues.delete(queue.name)
    queue.wake()
  }

  /** Has the loop look when something is due (epoch ms), and within a second in any case. */
  #lookAgain(queue: Queue<T>, nextDue = Infinity): void {
    const untilDue = nextDue - this.#clock.now()
    lookNoLaterThan(queue, this.#clock.monotonic() + (untilDue > 0 ? Math.min(untilDue, LONGEST_SLEEP_MS) : PAUSE_MS))
  }
}

/** @param at monotonic ms */
function lookNoLaterThan(queue: Pick<Queue<unknown>, 'lookAt' | 'wake'>, at: number): void {
  if (at >= queue.lookAt) return
  queue.lookAt = at
  queue.wake()
}
