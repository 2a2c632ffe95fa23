/** How many calls each host may have under way. The window of a host grows with every answer, and halves with every call without one. */
import type { CallResult } from '../domain/attempt/verdict.ts'
import type { Claim, HostCapacity } from '../store/store.ts'

interface Host {
  inflight: number
  window: number
  isProven: boolean
  lastUsed: number
}

const START_WINDOW = 8
/** A host without a cap of its own leaves this part of all slots to others. A busy host that falls silent holds the rest until its calls time out. */
const LEFT_SHARE = 1 / 16
/** A host starts with at most this part of all slots. Ten hosts that never answer then leave some of the unproven share to others. */
const START_SHARE = 1 / 16
const MIN_WINDOW = 2
/** The hosts that have not proven to answer may hold this part of all slots together. The proven hosts then always find a slot. */
const UNPROVEN_SHARE = 3 / 4
/** A new host gets at most this part of the free slots. */
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

  constructor({ maxInflight, maxInflightPerHost }: { maxInflight: number; maxInflightPerHost: number | undefined }) {
    this.#maxInflight = maxInflight
    this.#maxPerHost = maxInflightPerHost ?? maxInflight - Math.floor(maxInflight * LEFT_SHARE)
    this.#startWindow = Math.min(START_WINDOW, this.#maxPerHost, Math.max(1, Math.floor(maxInflight * START_SHARE)))
  }

  get inflight(): number {
    return this.#inflight
  }

  /** How many hosts are remembered. */
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

  /** Takes a slot of a host. */
  enter(name: string): void {
    const host = this.#hosts.get(name) ?? { inflight: 0, window: this.#startWindow, isProven: false, lastUsed: 0 }
    this.#hosts.set(name, host)
    host.inflight += 1
    this.#inflight += 1
    if (!host.isProven) this.#unprovenInflight += 1
  }

  /** Gives the slot back, and learns from the result. @throws Error where no call of this host is under way */
  leave(name: string, result: CallResult, now: number): void {
    const host = this.#hosts.get(name)
    if (host === undefined) throw new Error(`no call of host ${name} is under way`)
    if (!host.isProven) this.#unprovenInflight -= host.inflight
    if (result.kind === 'answered') {
      host.window = Math.min(host.window + 1, this.#maxInflight, this.#maxPerHost)
      host.isProven = true
    } else if (result.kind === 'unanswered') {
      host.window = Math.max(Math.min(MIN_WINDOW, this.#startWindow), Math.floor(host.window / 2))
      host.isProven = false
    }
    host.inflight -= 1
    host.lastUsed = now
    this.#inflight -= 1
    if (!host.isProven) this.#unprovenInflight += host.inflight
  }

  /** Forgets the hosts that have not been called for ten minutes. */
  forgetIdle(now: number): void {
    if (Math.abs(now - this.#lastForgot) < FORGET_EVERY_MS) return
    this.#lastForgot = now
    for (const [name, host] of this.#hosts) {
      if (host.inflight === 0 && Math.abs(now - host.lastUsed) > FORGET_AFTER_MS) this.#hosts.delete(name)
    }
  }

  #capacityOf(name: string): HostCapacity | undefined {
    const host = this.#hosts.get(name)
    return host && { free: host.window - host.inflight, isProven: host.isProven, inflight: host.inflight }
  }
}
