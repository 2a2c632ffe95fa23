/**
 * Which hosts may have more calls. Slots limit work, not waiting: a call leaves its slot when it ends, or when it has hung for a while. After
 * that it is only open, which takes memory and a descriptor, and counts against a larger bound.
 */
import type { CallResult } from '../domain/attempt/verdict.ts'
import type { Claim, HostCapacity } from '../store/store.ts'

/** What calls take up, or may take up at the most. */
interface Load {
  /** calls that have neither ended nor hung */
  slots: number
  open: number
  /** characters of the bodies of open calls */
  size: number
}

interface Host extends Load {
  /** by its last call; new before the first one has ended */
  state: HostCapacity['state']
  /** monotonic ms: when one of its calls last ended, or when the first of its open calls began */
  heardAt: number
}

/** A call under way. */
export interface OpenCall {
  readonly host: Host
  /** of the host, when the call began */
  readonly state: Host['state']
  /** monotonic ms */
  readonly startedAt: number
  size: number
  /** all that it counts for */
  readonly loads: Load[]
}

export interface HostLimitsOptions {
  /** how many slots there are */
  readonly maxInflight: number
  /** how many calls may be open, those in slots included */
  readonly maxOpenCalls: number
  /** how many calls of one host may be open; as many as there are slots where undefined, because a host that slows down is not helped by more */
  readonly maxInflightPerHost: number | undefined
}

/** A call that takes longer has hung. The first calls of a thousand silent hosts then leave 256 slots within a second. */
const HUNG_MS = 200
/** A host that has answered, and has open calls, is silent when none of its calls has ended for so long. A new host is when its first calls hang. */
const SILENT_MS = 1000
/** The bodies of all open calls, in characters: the threads have a heap of this size several times over. */
const MOST_SIZE = 256 * 1024 * 1024
/** The parts that a host without a cap of its own, the hosts not known to answer, and the silent ones among these may have at the most. */
const HOST_PART = 15 / 16
const UNPROVEN_PART = 7 / 8
const SILENT_PART = 3 / 4
const FORGET_AFTER_MS = 10 * 60_000
const FORGET_EVERY_MS = 60_000

export class HostLimits {
  /** how many slots there are */
  readonly maxInflight: number
  readonly #maxPerHost: number
  readonly #all = nothing()
  readonly #unproven = nothing()
  readonly #silent = nothing()
  readonly #loadsOf: Readonly<Record<Host['state'], readonly Load[]>> = {
    answers: [],
    new: [this.#unproven],
    silent: [this.#unproven, this.#silent],
  }
  readonly #most: Readonly<Record<'all' | 'host' | 'unproven' | 'silent', Load>>
  readonly #hosts = new Map<string, Host>()
  /** the calls in slots, oldest first */
  readonly #inSlots = new Set<OpenCall>()
  #lastForgot = 0

  constructor({ maxInflight, maxOpenCalls, maxInflightPerHost }: HostLimitsOptions) {
    const part = (of: number, round = Math.floor): Load => {
      const [slots = 0, open = 0, size = 0] = [maxInflight, maxOpenCalls, MOST_SIZE].map((all) => Math.max(1, round(all * of)))
      return { slots, open, size }
    }
    const host = part(maxInflightPerHost === undefined ? HOST_PART : 1, Math.ceil)
    this.maxInflight = maxInflight
    this.#maxPerHost = maxInflightPerHost ?? maxInflight
    this.#most = { all: part(1), host, unproven: part(UNPROVEN_PART), silent: part(SILENT_PART) }
  }

  /** How many calls are open. */
  get open(): number {
    return this.#all.open
  }

  /** How many of them are in slots. */
  get inflight(): number {
    return this.#all.slots
  }

  /** How many hosts are remembered. */
  get known(): number {
    return this.#hosts.size
  }

  /** What the next claim may take. @param now monotonic ms, as everywhere here */
  limits(now: number): Pick<Claim, 'limit' | 'hosts' | 'capacityOfNewHost' | 'unprovenLimit' | 'silentLimit'> {
    this.#passTime(now)
    return {
      limit: freeOf(this.#most.all, this.#all),
      hosts: { get: (name) => this.#capacityOf(name, now) },
      capacityOfNewHost: this.#freeOfHost(nothing()),
      unprovenLimit: freeOf(this.#most.unproven, this.#unproven),
      silentLimit: freeOf(this.#most.silent, this.#silent),
    }
  }

  /** In how many ms the oldest call has hung; undefined where so many slots are free that no host lacks one. */
  nextSlotIn(now: number): number | undefined {
    const [oldest] = this.#inSlots
    if (oldest === undefined || this.#all.slots < this.#most.silent.slots) return undefined
    return oldest.startedAt + HUNG_MS - now
  }

  /** Takes a slot of a host. */
  enter(name: string, now: number): OpenCall {
    const host = this.#hosts.get(name) ?? { ...nothing(), state: 'new', heardAt: now }
    this.#hosts.set(name, host)
    if (host.open === 0) host.heardAt = now
    const state = stateOf(host, now)
    const call: OpenCall = { host, state, startedAt: now, size: 0, loads: [] }
    this.#inSlots.add(call)
    for (const load of [this.#all, host, ...this.#loadsOf[state]]) this.#countFor(load, call)
    return call
  }

  /** @param size of the body of the call, in characters */
  weigh(call: OpenCall, size: number): void {
    for (const load of call.loads) load.size += size - call.size
    call.size = size
  }

  /** Gives everything back, and learns from the result. Each call leaves once. */
  leave(call: OpenCall, result: CallResult, now: number): void {
    const { host, loads } = call
    this.#leaveSlot(call)
    this.weigh(call, 0)
    for (const load of loads) load.open -= 1
    if (result.kind === 'answered') host.state = 'answers'
    else if (result.kind === 'unanswered') host.state = 'silent'
    host.heardAt = now
  }

  /** Forgets the hosts that have not been called for ten minutes. */
  forgetIdle(now: number): void {
    if (now - this.#lastForgot < FORGET_EVERY_MS) return
    this.#lastForgot = now
    for (const [name, host] of this.#hosts) {
      if (host.open === 0 && now - host.heardAt > FORGET_AFTER_MS) this.#hosts.delete(name)
    }
  }

  #passTime(now: number): void {
    for (const call of this.#inSlots) {
      if (now < call.startedAt + HUNG_MS) return
      this.#leaveSlot(call)
      // A host that was new when the call began counts as silent from now on. So hosts that come later find calls left for new ones.
      if (call.state === 'new') this.#countFor(this.#silent, call)
    }
  }

  #countFor(load: Load, call: OpenCall): void {
    call.loads.push(load)
    load.open += 1
    load.size += call.size
    if (this.#inSlots.has(call)) load.slots += 1
  }

  #leaveSlot(call: OpenCall): void {
    if (this.#inSlots.delete(call)) for (const load of call.loads) load.slots -= 1
  }

  #capacityOf(name: string, now: number): HostCapacity | undefined {
    const host = this.#hosts.get(name)
    return host && { free: this.#freeOfHost(host), state: stateOf(host, now), inflight: host.open }
  }

  #freeOfHost(host: Load): number {
    return Math.min(this.#maxPerHost - host.open, freeOf(this.#most.host, host))
  }
}

function nothing(): Load {
  return { slots: 0, open: 0, size: 0 }
}

/** How many more calls there may be. */
function freeOf(most: Load, load: Load): number {
  return load.size < most.size ? Math.min(most.slots - load.slots, most.open - load.open) : 0
}

function stateOf(host: Host, now: number): HostCapacity['state'] {
  const patience = host.state === 'new' ? HUNG_MS : SILENT_MS
  return host.open > 0 && now - host.heardAt >= patience ? 'silent' : host.state
}
