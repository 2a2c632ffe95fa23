/** What goes wrong in a world: crashes, a clock that jumps, processes that stand still, a store that refuses or is slow, receivers in bad moods. */
import type { Action, Decision } from './decisions.ts'
import type { Network } from './network.ts'
import type { Nodes } from './nodes.ts'
import { Random } from './random.ts'
import type { WorldStore } from './world-store.ts'
import type { WorldTime } from './world-time.ts'

interface MisfortunesOptions {
  readonly seed: number
  readonly time: WorldTime
  readonly store: WorldStore
  readonly network: Network
  readonly nodes: Nodes
}

/** A node that has seen the store refuse tries again within this. */
const AFTERMATH_MS = 2000
const WRITES = /^\s*(BEGIN|INSERT|UPDATE|DELETE|REPLACE|COMMIT|SAVEPOINT)/

export class Misfortunes {
  readonly #options: MisfortunesOptions
  #disturbedAt = 0
  #unsteadyUntil = 0
  #refusesUntil = -Infinity
  /** when the last of them is over, in the terms of `elapsed` */
  #over = 0

  constructor(options: MisfortunesOptions) {
    this.#options = options
  }

  /** Whether a node may have been refused by its store of late. */
  get mayRefuse(): boolean {
    return this.#options.time.elapsed <= this.#refusesUntil + AFTERMATH_MS
  }

  /** Whether what a write goes by may be older than now. */
  get isUnsteady(): boolean {
    return this.#options.time.elapsed < this.#unsteadyUntil
  }

  /** For how many ms nothing has gone wrong. */
  wellFor(): number {
    return this.#options.time.elapsed - this.#disturbedAt
  }

  /** How many ms it takes until the last of them is over. */
  lastFor(): number {
    return Math.max(0, this.#over - this.#options.time.elapsed)
  }

  disturbed(): void {
    this.#disturbedAt = this.#options.time.elapsed
  }

  /** @returns whether this was one */
  carryOut(decision: Decision): boolean {
    const { time, nodes } = this.#options
    switch (decision.do) {
      case 'mood':
        this.#mood(decision)
        break
      case 'crash':
        nodes.crash({ turns: decision.turns, downMs: decision.downMs })
        this.#lasts(decision.downMs)
        break
      case 'stop':
        void nodes.stop(decision.graceMs, decision.downMs)
        this.#lasts(decision.graceMs + decision.downMs + 60_000)
        break
      case 'jump':
        time.jump(decision.ms)
        this.#unsteady(120_000 + Math.abs(decision.ms))
        break
      case 'stand still':
        time.passTo(time.elapsed + decision.ms)
        break
      case 'freeze':
        this.#pause(decision.ms, nodes.freeze())
        break
      case 'refuse':
        this.#refuse(decision)
        break
      case 'stall':
        this.#pause(decision.ms, nodes.stall())
        break
      default:
        return false
    }
    this.disturbed()
    return true
  }

  #mood({ host, mood, ms }: Extract<Action, { do: 'mood' }>): void {
    const { network, time } = this.#options
    network.setMood(host, mood)
    time.after(ms, () => {
      network.setMood(host, 'well')
      this.disturbed()
    })
    this.#lasts(ms)
  }

  #refuse({ id, ms, share, aborts }: Decision & Extract<Action, { do: 'refuse' }>): void {
    const { seed, store, time } = this.#options
    this.#refusesUntil = time.elapsed + ms
    const counts = new Map<string, number>()
    store.faultOf = (sql) => {
      if (time.elapsed > this.#refusesUntil || !WRITES.test(sql)) return undefined
      const count = (counts.get(sql) ?? 0) + 1
      counts.set(sql, count)
      // Which one fails does not hang on what else is written.
      if (!new Random(seed, 'fault', id, sql, count).chance(share)) return undefined
      this.disturbed()
      return aborts ? 'aborted' : 'refused'
    }
    this.#lasts(ms)
  }

  #pause(ms: number, goOn: () => void): void {
    this.#options.time.after(ms, () => {
      goOn()
      this.disturbed()
    })
    this.#unsteady(ms + 1000)
  }

  #unsteady(ms: number): void {
    this.#unsteadyUntil = Math.max(this.#unsteadyUntil, this.#options.time.elapsed + ms)
    this.#lasts(ms)
  }

  #lasts(ms: number): void {
    this.#over = Math.max(this.#over, this.#options.time.elapsed + ms)
  }
}
