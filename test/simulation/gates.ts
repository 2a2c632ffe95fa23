/** Gates before and after each verb of a store: what passes there can be held, in whatever order, and is lost when its node crashes. */
import type { Store } from '../../src/store/store.ts'
import type { Random } from './random.ts'

interface Held {
  turns: number
  readonly pass: () => void
}

const MOST_TURNS = 3
const HOLDING = 0.3
const SYNCHRONOUS = new Set<keyof Store>(['onChange', 'onDue'])

export class Gates {
  /** how many verbs are under way */
  #inside = 0
  readonly #random: Random
  #held: Held[] = []
  /** what waits for a slow store; undefined while it is not slow */
  #stalled: (() => void)[] | undefined
  /** resolves when the node goes on; undefined while it does not stand still */
  #frozen: PromiseWithResolvers<void> | undefined
  /** how many verbs wait for that */
  #waiting = 0
  #isClosed = false

  constructor(random: Random) {
    this.#random = random
  }

  /** Whether a verb is under way that waits neither for a slow store nor for a node that stands still. */
  get isMoving(): boolean {
    return !this.#isClosed && this.#inside > (this.#stalled?.length ?? 0) + this.#waiting
  }

  /** Nothing passes any more. */
  closeForever(): void {
    this.#isClosed = true
  }

  /** The store is slow: nothing enters it until `flow`. */
  stall(): void {
    this.#stalled ??= []
  }

  flow(): void {
    const stalled = this.#stalled ?? []
    this.#stalled = undefined
    for (const pass of stalled) pass()
  }

  get isFrozen(): boolean {
    return this.#frozen !== undefined
  }

  /** The node stands still: nothing comes in or goes out until `thaw`. */
  freeze(): void {
    this.#frozen ??= Promise.withResolvers()
  }

  thaw(): void {
    this.#frozen?.resolve()
    this.#frozen = undefined
  }

  /** One turn of the event loop has passed. */
  turn(): void {
    if (this.#held.length === 0 || this.#isClosed) return
    const held = this.#held
    this.#held = []
    for (const one of held) {
      one.turns -= 1
      if (one.turns <= 0) one.pass()
      else this.#held.push(one)
    }
  }

  /** The store with gates before and after every verb that answers later. */
  guard(store: Store): Store {
    return new Proxy(store, {
      get: (target, verb: keyof Store) => {
        const method = target[verb].bind(target) as (...args: unknown[]) => unknown
        if (verb === 'close') return method
        if (!SYNCHRONOUS.has(verb)) return (...args: unknown[]) => this.#carryOut(() => method(...args) as Promise<unknown>)
        return (listener: (value: never) => void) =>
          method((value: never) => {
            const tell = (): void => {
              if (!this.#isClosed) listener(value)
            }
            if (this.#frozen === undefined) tell()
            else void this.#frozen.promise.then(tell)
          })
      },
    })
  }

  async #carryOut(verb: () => Promise<unknown>): Promise<unknown> {
    this.#inside += 1
    if (this.#stalled) await new Promise<void>((pass) => this.#stalled?.push(pass))
    await this.#pass()
    const answer = await verb().then(
      (value) => () => value,
      (error: unknown) => () => {
        throw error
      },
    )
    await this.#pass()
    this.#inside -= 1
    return answer()
  }

  async #pass(): Promise<void> {
    if (this.#random.chance(HOLDING)) {
      const turns = this.#random.int(1, MOST_TURNS)
      await new Promise<void>((pass) => this.#held.push({ turns, pass }))
    }
    while (this.#frozen !== undefined) {
      this.#waiting += 1
      await this.#frozen.promise
      this.#waiting -= 1
    }
    // It never resolves: whoever waits for it is gone.
    if (this.#isClosed) await new Promise(() => undefined)
  }
}
