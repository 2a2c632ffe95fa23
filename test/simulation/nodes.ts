/** The nodes of a world: each is started, goes away in the middle of whatever it does, or is stopped, and is started again. */
import { newLease } from '../../src/lease.ts'
import type { LogEvent } from '../../src/telemetry/log.ts'
import type { Store } from '../../src/store/store.ts'
import { Gates } from './gates.ts'
import type { Network } from './network.ts'
import { SimulatedNode } from './node.ts'
import type { Answer, ClientRequest, NodeSettings } from './node.ts'
import { Random } from './random.ts'
import type { OpenedStore, WorldStore } from './world-store.ts'
import type { WorldTime } from './world-time.ts'

/** @returns verbs that do something else than they should */
export type Tamper = (store: Store) => Partial<Store>

interface NodesOptions {
  readonly seed: number
  readonly settings: NodeSettings
  readonly time: WorldTime
  readonly network: Network
  readonly store: WorldStore
  readonly tamper: Tamper
  /** is told of each line that calls for a person, and that a node could not start */
  readonly onError: (event: LogEvent | 'start', error: unknown) => void
  /** is told that a node has come, or is about to go */
  readonly onTurn: (name: string, turn: 'comes' | 'goes') => void
}

interface Running {
  readonly node: SimulatedNode
  readonly gates: Gates
  readonly opened: OpenedStore
  /** an end that is to come in so many turns of the event loop in which something is under way */
  crash?: { turns: number; readonly downMs: number }
}

/** How long a process that could not start, or has ended, is waited for. */
const RESTART_MS = 5000
const MOST_SKEW_MS = 90_000

export class Nodes {
  readonly #options: NodesOptions
  readonly #running = new Set<Running>()
  readonly #random: Random
  #started = 0
  /** how many are being opened, or taken apart */
  #changing = 0

  constructor(options: NodesOptions) {
    this.#options = options
    this.#random = new Random(options.seed, 'nodes')
  }

  /** Whether something is under way that does not wait for time to pass. */
  get isMoving(): boolean {
    return this.#changing > 0 || [...this.#running].some(({ gates }) => gates.isMoving)
  }

  /** Whether every node that runs answers, and there is one. */
  get areUp(): boolean {
    return this.#running.size > 0 && [...this.#running].every(({ node }) => node.isUp)
  }

  isAlive(name: string | null): boolean {
    return [...this.#running].some(({ node }) => node.name === name)
  }

  /** One of those that answer. */
  any(): SimulatedNode | undefined {
    return this.#anyAwake()?.node
  }

  async start(): Promise<void> {
    const { seed, settings, time, network, store, tamper, onError, onTurn } = this.#options
    this.#started += 1
    const name = `node-${this.#started}`
    onTurn(name, 'comes')
    const random = new Random(seed, 'node', this.#started)
    const gates = new Gates(random)
    this.#changing += 1
    const opened = await store.open()
    this.#changing -= 1
    // The clock of a shared store is that of the world, and those of its nodes are wrong.
    const ahead = store.isShared ? random.int(-MOST_SKEW_MS, MOST_SKEW_MS) : 0
    const verbs = { ...tamper(opened.store), ...(store.isShared && { time: () => Promise.resolve(time.now) }) }
    const lease = newLease()
    const guarded = gates.guard(tampered(opened.store, verbs))
    const node = new SimulatedNode({
      ...{
        name,
        settings,
        store: guarded,
        isShared: store.isShared,
        clock: time.clockOf(gates, ahead),
        caller: network.callerOf(name, gates, lease),
        lease,
      },
      random: () => random.next(),
      onError: (event, fields) => {
        if (this.isAlive(name)) onError(event, fields?.['err'])
      },
    })
    const running: Running = { node, gates, opened }
    this.#running.add(running)
    node.start().catch((error: unknown) => {
      onError('start', error)
      this.#end(running, RESTART_MS)
    })
  }

  /** Has a node go away in so many turns of the event loop in which something is under way. */
  crash(crash: { turns: number; downMs: number }): void {
    if (this.#running.size > 0) this.#random.pick([...this.#running]).crash ??= { ...crash }
  }

  /** Stops a node as a signal does. */
  async stop(graceMs: number, downMs: number): Promise<void> {
    const running = this.#awake()[0]
    if (running === undefined) return
    await running.node.stop(graceMs)
    if (this.#running.has(running)) await running.opened.store.close()
    this.#end(running, downMs)
  }

  /** Has one node stand still while all others go on. @returns what ends that */
  freeze(): () => void {
    const gates = this.#anyAwake()?.gates
    if (gates === undefined) return () => undefined
    const { time } = this.#options
    gates.freeze()
    time.freeze(gates)
    return () => {
      time.thaw(gates)
      gates.thaw()
    }
  }

  /** Has the store be slow for the nodes that run now. @returns what ends that */
  stall(): () => void {
    const stalled = [...this.#running]
    for (const { gates } of stalled) gates.stall()
    return () => {
      for (const { gates } of stalled) gates.flow()
    }
  }

  /** One turn of the event loop has passed, in which something was under way or nothing was. */
  turn(isMoving: boolean): void {
    for (const running of this.#running) {
      const { gates, crash } = running
      gates.turn()
      if (crash === undefined) continue
      if (crash.turns === 0) this.#end(running, crash.downMs)
      else if (isMoving) crash.turns -= 1
    }
  }

  async request(request: ClientRequest): Promise<Answer> {
    return (await this.any()?.request(request)) ?? 'lost'
  }

  #awake(): Running[] {
    return [...this.#running].filter(({ node, gates }) => node.isUp && !gates.isFrozen)
  }

  #anyAwake(): Running | undefined {
    const awake = this.#awake()
    return awake.length === 0 ? undefined : this.#random.pick(awake)
  }

  #end(running: Running, downMs: number): void {
    if (!this.#running.has(running)) return
    const { time, network, onTurn } = this.#options
    const { node, gates, opened } = running
    onTurn(node.name, 'goes')
    this.#running.delete(running)
    gates.closeForever()
    time.dropTimersOf(gates)
    network.forget(node.name)
    this.#changing += 1
    void opened.crash().then(() => {
      this.#changing -= 1
      node.crash()
    })
    time.after(downMs, () => {
      void this.start()
    })
  }
}

function tampered(store: Store, verbs: Partial<Store>): Store {
  return new Proxy(store, { get: (target, verb: keyof Store) => verbs[verb] ?? target[verb].bind(target) })
}
