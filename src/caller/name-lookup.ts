/**
 * Looks up the names of hosts with the `getaddrinfo` of the system, as every other program on the machine does: with /etc/hosts,
 * nsswitch, search domains and whatever else is set up there. c-ares (`dns.resolve`) needs no thread, but it knows only name servers.
 * callme would not find names that `curl` finds.
 *
 * `getaddrinfo` holds a thread of libuv until the name server answers, and libuv gives such work half of its threads. So one lookup
 * is under way for a name at a time, and names that have not proven to resolve leave room for others.
 */
import { lookup, type LookupAddress } from 'node:dns'
import type { Clock } from '../clock.ts'
import { isShortage } from './shortage.ts'

/** No time to live is known. Program after program asks anew after about so long. */
const FRESH_MS = 30_000
/** A host stays reachable so long while its name server is silent. */
const USABLE_MS = 5 * 60_000
/** A lookup that takes longer hangs: an older answer is used, where there is one, and its name has not proven to resolve. */
const HANGS_AFTER_MS = 1000
/** A failure is told again for so long, so that many tasks of one name ask once. */
const FAILURE_KEPT_MS = 1000
/** More names are not remembered, the oldest ones first. */
const MAX_NAMES = 10_000

export type Addresses = readonly LookupAddress[]
/** Gets the addresses, or why there are none. */
export type OnAddresses = (error: Error | null, addresses: Addresses) => void
export type SystemLookup = (name: string, onAddresses: OnAddresses) => void

export interface NameLookupOptions {
  /** how many lookups may be under way at once */
  readonly slots: number
  readonly clock: Pick<Clock, 'monotonic' | 'setTimer'>
  readonly systemLookup?: SystemLookup
}

/** `doubtful`: its last lookup failed, or hangs. */
type Standing = 'proven' | 'new' | 'doubtful'

interface Name {
  readonly name: string
  standing: Standing
  addresses: Addresses
  /** ms of the monotonic clock, as all times here */
  freshUntil: number
  usableUntil: number
  failure: { readonly error: Error; readonly until: number } | undefined
  state: 'idle' | 'queued' | 'running'
  readonly waiting: Set<OnAddresses>
}

export class NameLookup {
  readonly #slots: number
  readonly #clock: NameLookupOptions['clock']
  readonly #systemLookup: SystemLookup
  readonly #names = new Map<string, Name>()
  readonly #running = new Set<Name>()
  readonly #queues: Readonly<Record<Standing, Set<Name>>> = { proven: new Set(), new: new Set(), doubtful: new Set() }

  constructor({ slots, clock, systemLookup = lookupAll }: NameLookupOptions) {
    this.#slots = slots
    this.#clock = clock
    this.#systemLookup = systemLookup
  }

  /** Calls back at once where the answer is known. @returns a function after which nobody is called back */
  resolve(hostname: string, onAddresses: OnAddresses): () => void {
    const name = this.#nameOf(hostname)
    const now = this.#clock.monotonic()
    const failure = name.failure !== undefined && now < name.failure.until ? name.failure.error : undefined
    const isHanging = name.state === 'running' && name.standing === 'doubtful'
    if (now < name.freshUntil || ((failure !== undefined || isHanging) && this.#isUsable(name))) onAddresses(null, name.addresses)
    else if (failure !== undefined) onAddresses(failure, [])
    else return this.#await(name, onAddresses)
    return () => undefined
  }

  /** The addresses did not lead to the host: the next call asks anew. */
  expire(hostname: string): void {
    const name = this.#names.get(hostname)
    if (name !== undefined) name.freshUntil = 0
  }

  #await(name: Name, onAddresses: OnAddresses): () => void {
    let cancelTimer: (() => void) | undefined
    const answer: OnAddresses = (error, addresses) => {
      cancelTimer?.()
      name.waiting.delete(answer)
      onAddresses(error, addresses)
    }
    name.waiting.add(answer)
    if (this.#isUsable(name)) {
      cancelTimer = this.#clock.setTimer(HANGS_AFTER_MS, () => {
        answer(null, name.addresses)
      })
    }
    if (name.state === 'idle') {
      name.state = 'queued'
      this.#queues[name.standing].add(name)
      this.#startQueued()
    }
    return () => {
      cancelTimer?.()
      name.waiting.delete(answer)
      if (name.waiting.size > 0 || name.state !== 'queued') return
      this.#queues[name.standing].delete(name)
      name.state = 'idle'
    }
  }

  #startQueued(): void {
    for (let name; (name = this.#next()) !== undefined;) this.#start(name)
  }

  /** The last quarter of the slots is for names that have resolved before, and of the rest two thirds are for doubtful ones. */
  #next(): Name | undefined {
    const { proven, new: unknown, doubtful } = this.#queues
    const used = this.#running.size
    if (used >= this.#slots) return undefined
    const [first] = proven
    if (first !== undefined) return first
    if (used >= this.#slots - Math.floor(this.#slots / 4)) return undefined
    const [second] = unknown
    if (second !== undefined) return second
    const doubtfulOnes = [...this.#running].filter(({ standing }) => standing === 'doubtful').length
    return doubtfulOnes < Math.max(1, Math.floor(this.#slots / 2)) ? [...doubtful][0] : undefined
  }

  #start(name: Name): void {
    this.#queues[name.standing].delete(name)
    this.#running.add(name)
    name.state = 'running'
    const cancelTimer = this.#clock.setTimer(HANGS_AFTER_MS, () => {
      name.standing = 'doubtful'
    })
    this.#systemLookup(name.name, (error, addresses) => {
      cancelTimer()
      this.#running.delete(name)
      name.state = 'idle'
      if (error === null) this.#remember(name, addresses)
      else this.#rememberFailure(name, error)
      const isUsable = this.#isUsable(name)
      for (const answer of [...name.waiting]) answer(isUsable ? null : error, isUsable ? name.addresses : [])
      this.#startQueued()
    })
  }

  #remember(name: Name, addresses: Addresses): void {
    const now = this.#clock.monotonic()
    Object.assign(name, { standing: 'proven', addresses, freshUntil: now + FRESH_MS, usableUntil: now + USABLE_MS, failure: undefined })
  }

  #rememberFailure(name: Name, error: Error): void {
    // The name is not to blame where the node has no descriptor left to ask with.
    if (isShortage(error)) return
    name.standing = 'doubtful'
    // A name server that says "no such name" has answered; only one that fails leaves an older answer usable.
    if ('code' in error && error.code === 'ENOTFOUND') name.usableUntil = 0
    name.failure = { error, until: this.#clock.monotonic() + FAILURE_KEPT_MS }
  }

  #isUsable(name: Name): boolean {
    return this.#clock.monotonic() < name.usableUntil
  }

  #nameOf(hostname: string): Name {
    const known = this.#names.get(hostname)
    if (known !== undefined) return known
    const name: Name = {
      ...{ name: hostname, standing: 'new', addresses: [], freshUntil: 0, usableUntil: 0, failure: undefined, state: 'idle' },
      waiting: new Set(),
    }
    this.#names.set(hostname, name)
    if (this.#names.size > MAX_NAMES) this.#forgetOldest()
    return name
  }

  #forgetOldest(): void {
    for (const [hostname, { state }] of this.#names) {
      if (state !== 'idle') continue
      this.#names.delete(hostname)
      return
    }
  }
}

function lookupAll(name: string, onAddresses: OnAddresses): void {
  lookup(name, { all: true }, (error, addresses) => {
    onAddresses(error, error === null ? addresses : [])
  })
}
