/** The time of a world, which passes only when the world says so. Timers follow the monotonic time, a jump moves the wall clock alone. */
import type { Clock } from '../../src/clock.ts'

interface Timer {
  readonly at: number
  /** whose it is: a node's timers go with it */
  readonly owner: object | undefined
  readonly wake: () => void
}

export class WorldTime {
  /** the latest that the wall clock has shown so far, epoch ms */
  latest: number
  #wall: number
  #monotonic = 0
  readonly #timers = new Set<Timer>()
  /** whose timers stand still */
  readonly #frozen = new Set<object>()

  /** @param start epoch ms */
  constructor(start: number) {
    this.#wall = start
    this.latest = start
  }

  /** wall clock, epoch ms */
  get now(): number {
    return this.#wall
  }

  /** ms since the world began */
  get elapsed(): number {
    return this.#monotonic
  }

  /** Has something happen after `ms`. @returns a function that cancels it */
  after(ms: number, wake: () => void, owner?: object): () => void {
    const timer = { at: this.#monotonic + Math.max(0, ms), owner, wake }
    this.#timers.add(timer)
    return () => {
      this.#timers.delete(timer)
    }
  }

  /** The clock of a node, whose timers are gone when it is; wrong by `ahead` ms. */
  clockOf(owner: object, ahead: number): Clock {
    return {
      now: () => this.#wall + ahead,
      monotonic: () => this.#monotonic,
      setTimer: (ms, wake) => this.after(ms, wake, owner),
    }
  }

  dropTimersOf(owner: object): void {
    for (const timer of this.#timers) if (timer.owner === owner) this.#timers.delete(timer)
  }

  /** The timers of an owner stand still until `thaw`, and are overdue then. */
  freeze(owner: object): void {
    this.#frozen.add(owner)
  }

  thaw(owner: object): void {
    this.#frozen.delete(owner)
  }

  isFrozen(owner: object | undefined): boolean {
    return owner !== undefined && this.#frozen.has(owner)
  }

  jump(ms: number): void {
    this.#wall += ms
    this.latest = Math.max(this.latest, this.#wall)
  }

  /** Lets time pass until `elapsed` is that; timers on the way are overdue then, as those of a process that stood still. */
  passTo(elapsed: number): void {
    const by = Math.max(0, elapsed - this.#monotonic)
    this.#monotonic += by
    this.jump(by)
  }

  /** When the next timer is due, in the terms of `elapsed`; of the world alone, or of the nodes too. */
  next(of: 'world' | 'all'): number {
    let next = Infinity
    for (const { at, owner } of this.#timers) {
      if (at < next && (of === 'all' ? !this.isFrozen(owner) : owner === undefined)) next = at
    }
    return next
  }

  /** Takes the timer that is due and has been so for longest. */
  takeDue(): (() => void) | undefined {
    let due: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.at <= this.#monotonic && !this.isFrozen(timer.owner) && (due === undefined || timer.at < due.at)) due = timer
    }
    if (due !== undefined) this.#timers.delete(due)
    return due?.wake
  }
}
