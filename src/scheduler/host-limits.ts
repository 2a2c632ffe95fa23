/**
 * How many calls each host may have under way. A lane starts small, gains a slot with every answer and loses half with every
 * call that gets none: a host that answers soon has all the slots it can use, one that does not keeps a few.
 */
import type { CallResult } from '../domain/attempt/verdict.ts'
import type { Claim, HostCapacity } from '../store/store.ts'

interface Host {
  inflight: number
  window: number
  isProven: boolean
  lastUsed: number
}

const START_WINDOW = 8
/** Of all slots, what a host leaves to others where it has no cap of its own: one that is busy and falls silent keeps the rest until its calls time out. */
const LEFT_SHARE = 1 / 16
/** Of all slots, what a lane starts with at the most: ten hosts that never answer then leave some of the unproven share to others. */
const START_SHARE = 1 / 16
const MIN_WINDOW = 2
/** Hosts that have not proven to answer may hold this part of all slots together, so that those which have always find one. */
const UNPROVEN_SHARE = 3 / 4
/** A new host gets at most this part of the slots that are free. */
const NEW_HOST_SHARE = 1 / 8
const FORGET_AFTER_MS = 10 * 60_000
const FORGET_EVERY_MS = 60_000

export class HostLimits {
  readonly #maxInflight: number
  readonly #maxPerHost: number
  readonly #startWindow: number
  readonly #hosts = new Map<string, Host>()
  readonly #capacities = { get: (name: string) => this.#capacityOf(name) }
  #inflight = 0
  #unprovenInflight = 0
  #lastForgot = 0

  constructor(options: { maxInflight: number; maxInflightPerHost: number | undefined }) {
    this.#maxInflight = options.maxInflight
    this.#maxPerHost = options.maxInflightPerHost ?? options.maxInflight - Math.floor(options.maxInflight * LEFT_SHARE)
    this.#startWindow = Math.min(START_WINDOW, this.#maxPerHost, Math.max(1, Math.floor(options.maxInflight * START_SHARE)))
  }

  get inflight(): number {
    return this.#inflight
  }

  /** How many hosts it has an opinion of. */
  get known(): number {
    return this.#hosts.size
  }

  /** What the next claim may take. */
  limits(): Pick<Claim, 'limit' | 'hosts' | 'capacityOfNewHost' | 'unprovenLimit'> {
    const free = this.#maxInflight - this.#inflight
    return {
      limit: free,
      hosts: this.#capacities,
      capacityOfNewHost: Math.min(this.#startWindow, Math.max(1, Math.floor(free * NEW_HOST_SHARE))),
      unprovenLimit: Math.max(1, Math.floor(this.#maxInflight * UNPROVEN_SHARE)) - this.#unprovenInflight,
    }
  }

  /** Takes a slot of a lane. */
  enter(name: string): void {
    const lane = this.#hosts.get(name) ?? { inflight: 0, window: this.#startWindow, isProven: false, lastUsed: 0 }
    this.#hosts.set(name, lane)
    lane.inflight += 1
    this.#inflight += 1
    if (!lane.isProven) this.#unprovenInflight += 1
  }

  /** Learns from how a call ended. */
  learn(name: string, result: CallResult): void {
    const lane = this.#hostOf(name)
    if (result.kind === 'answered') {
      lane.window = Math.min(lane.window + 1, this.#maxInflight, this.#maxPerHost)
      this.#setProven(lane, true)
    } else if (result.kind === 'unanswered') {
      lane.window = Math.max(Math.min(MIN_WINDOW, this.#startWindow), Math.floor(lane.window / 2))
      this.#setProven(lane, false)
    }
  }

  /** Gives the slot back. */
  leave(name: string, now: number): void {
    const lane = this.#hostOf(name)
    lane.inflight -= 1
    lane.lastUsed = now
    this.#inflight -= 1
    if (!lane.isProven) this.#unprovenInflight -= 1
  }

  /** Drops what is known of hosts that have not been called for a while. */
  forgetIdle(now: number): void {
    if (Math.abs(now - this.#lastForgot) < FORGET_EVERY_MS) return
    this.#lastForgot = now
    for (const [name, lane] of this.#hosts) {
      if (lane.inflight === 0 && Math.abs(now - lane.lastUsed) > FORGET_AFTER_MS) this.#hosts.delete(name)
    }
  }

  #capacityOf(name: string): HostCapacity | undefined {
    const lane = this.#hosts.get(name)
    return lane && { free: lane.window - lane.inflight, isProven: lane.isProven, inflight: lane.inflight }
  }

  #setProven(lane: Host, isProven: boolean): void {
    if (lane.isProven === isProven) return
    lane.isProven = isProven
    this.#unprovenInflight += isProven ? -lane.inflight : lane.inflight
  }

  #hostOf(name: string): Host {
    const lane = this.#hosts.get(name)
    if (lane === undefined) throw new Error(`no call of lane ${name} is under way`)
    return lane
  }
}
