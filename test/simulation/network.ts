/** The network of a world and what listens there: receivers that answer, fail, hang, answer late, or are lost on the way. */
import type { Caller, CallRequest } from '../../src/caller/caller.ts'
import type { CallResult } from '../../src/domain/attempt/verdict.ts'
import { isHeld, type SharedLease } from '../../src/lease.ts'
import { SILENT } from './definitions.ts'
import { Random } from './random.ts'
import type { WorldTime } from './world-time.ts'

export const MOODS = ['well', 'failing', 'hanging', 'refusing', 'slow'] as const
export type Mood = (typeof MOODS)[number]

/** A request that has left a node. */
export interface Call {
  readonly request: CallRequest
  readonly runId: string
  readonly attempt: number
  /** the node that made it */
  readonly node: string
  readonly startedAt: number
  /** what the node was told, while it lived */
  result?: CallResult
}

/** How a node knows a host: by what its last call came to. */
export type Standing = 'answers' | 'new' | 'silent'

/** What becomes of a call, and after how long. */
interface Fate {
  readonly ms: number
  readonly kind: 'answer' | 'cut' | 'reset' | 'lost' | 'nothing'
  readonly status: number
  readonly retryAfter?: string
}

interface NetworkOptions {
  readonly seed: number
  readonly time: WorldTime
  /** is told of each call before anything becomes of it */
  readonly onCall: (call: Call) => void
}

const REFUSED: Fate = { ms: 0, kind: 'reset', status: 0 }
const BUSY = 0.05
/** A node remembers a host for at least so long. */
const REMEMBERED_MS = 10 * 60_000
/** How often a node has no descriptor for a call. */
const SHORT = 0.01

export class Network {
  /** by run */
  readonly calls = new Map<string, Call[]>()
  readonly #options: NetworkOptions
  readonly #moods = new Map<string, Mood>()
  /** calls without a result, by node */
  readonly #open = new Map<string, Set<Call>>()
  /** why no call was made, by run and attempt, where a node was told so */
  readonly #notCalled = new Map<string, string>()
  readonly #counts = new Map<string, number>()
  /** when a call last ended with an answer or without one, in the terms of `elapsed`, by node and host */
  readonly #heard = new Map<string, { readonly standing: Standing; readonly at: number }>()
  /** when a node had no descriptor last, in the terms of `elapsed` */
  #shortAt = -Infinity
  /** how many calls that a node has asked for have no result, by node */
  readonly #given = new Map<string, number>()

  constructor(options: NetworkOptions) {
    this.#options = options
  }

  setMood(host: string, mood: Mood): void {
    this.#moods.set(host, mood)
  }

  /** How many calls of a node are under way, of all hosts or of one. */
  inflight(node: string, host?: string): number {
    const open = [...(this.#open.get(node) ?? [])]
    return host === undefined ? open.length : open.filter(({ request }) => new URL(request.url).host === host).length
  }

  /** How many of them go to hosts that never answer. */
  inflightToSilent(node: string): number {
    return [...(this.#open.get(node) ?? [])].filter(({ request }) => new URL(request.url).host.startsWith(SILENT)).length
  }

  /** How many calls of all nodes are under way to a host. */
  inflightTo(host: string): number {
    return [...this.#open.keys()].reduce((sum, node) => sum + this.inflight(node, host), 0)
  }

  /** For how many results nodes wait, or one of them, those of calls that have not begun included. */
  awaited(node?: string): number {
    if (node !== undefined) return this.#given.get(node) ?? 0
    return [...this.#given.values()].reduce((sum, count) => sum + count, 0)
  }

  /** The nodes that may make calls. */
  nodes(): string[] {
    return [...this.#open.keys()]
  }

  /** Nodes forget the hosts that they have not called for a while. */
  standingOf(node: string, host: string): Standing {
    const { standing, at } = this.#heard.get(`${node} ${host}`) ?? { standing: 'new', at: 0 }
    return standing === 'answers' && this.#options.time.elapsed > at + REMEMBERED_MS ? 'new' : standing
  }

  /** For how many ms no node has been short of descriptors. */
  get amplyFor(): number {
    return this.#options.time.elapsed - this.#shortAt
  }

  /** The call that was made for an attempt. */
  callOf(runId: string, attempt: number): Call | undefined {
    return this.calls.get(runId)?.find((call) => call.attempt === attempt)
  }

  /** Whether the node was told that an attempt was not called. */
  wasNotCalled(runId: string, attempt: number): boolean {
    return this.#notCalled.has(`${runId} ${attempt}`)
  }

  /** The node is gone: nobody waits for its calls any more. The receivers do not know. */
  forget(node: string): void {
    this.#open.delete(node)
    this.#given.delete(node)
  }

  /** @param owner whose timers these are, so that its calls end with it @param lease of the node */
  callerOf(node: string, owner: object, lease: SharedLease): Caller {
    const { time } = this.#options
    const waiting = new Set<(isStopping: boolean) => void>()
    const cutOffs = new Set<() => void>()
    let isStopping = false
    this.#open.set(node, new Set())
    return {
      prepare: () => undefined,
      call: (request) =>
        new Promise((settle) => {
          this.#given.set(node, (this.#given.get(node) ?? 0) + 1)
          const resolve = (result: CallResult): void => {
            const given = this.#given.get(node)
            if (given !== undefined) this.#given.set(node, given - 1)
            settle(result)
          }
          const random = this.#randomOf(request)
          const begin = (isTooLate: boolean): void => {
            waiting.delete(begin)
            if (isTooLate) resolve(this.#leaveOut(request, 'stopping'))
            else this.#begin(request, { node, owner, lease, random, resolve, cutOffs })
          }
          if (isStopping || !random.chance(BUSY)) {
            begin(isStopping)
            return
          }
          waiting.add(begin)
          time.after(
            random.int(1, 90_000),
            () => {
              if (waiting.has(begin)) begin(false)
            },
            owner,
          )
        }),
      stop: (graceMs) => {
        isStopping = true
        for (const begin of waiting) begin(true)
        return new Promise((resolve) => {
          time.after(
            graceMs,
            () => {
              for (const cutOff of cutOffs) cutOff()
              resolve()
            },
            owner,
          )
        })
      },
    }
  }

  /** What the call of one task's attempt meets does not hang on what else is called. */
  #randomOf({ headers }: CallRequest): Random {
    const call = `${headers['callme-task'] ?? ''} ${headers['callme-attempt'] ?? ''}`
    const count = (this.#counts.get(call) ?? 0) + 1
    this.#counts.set(call, count)
    return new Random(this.#options.seed, 'call', call, count)
  }

  #leaveOut(request: CallRequest, reason: 'early' | 'late' | 'lease_over' | 'stopping' | 'shortage'): CallResult {
    const { 'callme-run-id': runId, 'callme-attempt': attempt } = request.headers
    this.#notCalled.set(`${runId ?? ''} ${attempt ?? ''}`, reason)
    return reason === 'shortage' ? { kind: 'not_called', reason, error: 'no descriptors' } : { kind: 'not_called', reason }
  }

  #begin(
    request: CallRequest,
    from: {
      node: string
      owner: object
      lease: SharedLease
      random: Random
      resolve: (result: CallResult) => void
      cutOffs: Set<() => void>
    },
  ): void {
    const { time, onCall } = this.#options
    if (time.now < request.dueAt) {
      from.resolve(this.#leaveOut(request, 'early'))
      return
    }
    if (time.now >= request.deadline) {
      from.resolve(this.#leaveOut(request, 'late'))
      return
    }
    const holds = isHeld(from.lease, request, time.now)
    if (!holds || from.random.chance(SHORT)) {
      if (holds) this.#shortAt = time.elapsed
      from.resolve(this.#leaveOut(request, holds ? 'shortage' : 'lease_over'))
      return
    }
    const { 'callme-run-id': runId = '', 'callme-attempt': attempt = '' } = request.headers
    const call: Call = { request, runId, attempt: Number(attempt), node: from.node, startedAt: time.now }
    onCall(call)
    this.calls.set(runId, [...(this.calls.get(runId) ?? []), call])
    this.#open.get(from.node)?.add(call)
    const end = (result: CallResult): void => {
      from.cutOffs.delete(cutOff)
      if (call.result !== undefined) return
      call.result = result
      this.#open.get(from.node)?.delete(call)
      this.#hear(call, result)
      from.resolve(result)
    }
    const times = () => ({ startedAt: call.startedAt, endedAt: time.now })
    const cutOff = (): void => {
      end({ kind: 'lost', ...times(), error: 'the node stopped while the call was under way' })
    }
    from.cutOffs.add(cutOff)
    const fate = this.#fateOf(request, from.random)
    time.after(
      request.timeoutMs,
      () => {
        end({ kind: 'unanswered', ...times(), error: 'timeout' })
      },
      from.owner,
    )
    const hear = (): void => {
      const isHeard = this.#open.get(from.node)?.has(call) ?? false
      if (!isHeard || fate.kind === 'nothing') return
      if (fate.kind === 'reset') end({ kind: 'unanswered', ...times(), error: 'ECONNRESET' })
      if (fate.kind === 'lost') end({ kind: 'lost', ...times(), error: 'the worker thread died' })
      const { status, retryAfter } = fate
      const rest = { ...(retryAfter !== undefined && { retryAfter }), ...(fate.kind === 'cut' && { error: 'cut short' }) }
      end({ kind: 'answered', ...times(), status, body: `answer ${status}`, ...rest })
    }
    // Whatever the node does, the receiver goes on. What comes to a node that stands still waits there.
    time.after(fate.ms, () => {
      if (time.isFrozen(from.owner)) time.after(0, hear, from.owner)
      else hear()
    })
  }

  #hear({ node, request }: Call, { kind }: CallResult): void {
    if (kind !== 'answered' && kind !== 'unanswered') return
    const standing = kind === 'answered' ? 'answers' : 'silent'
    this.#heard.set(`${node} ${new URL(request.url).host}`, { standing, at: this.#options.time.elapsed })
  }

  #fateOf({ url, timeoutMs }: CallRequest, random: Random): Fate {
    const ms = random.int(1, 1500)
    const answer = (status: number, retryAfter?: string): Fate => ({ ms, kind: 'answer', status, ...(retryAfter && { retryAfter }) })
    const { host } = new URL(url)
    switch (this.#moods.get(host) ?? (host.startsWith(SILENT) ? 'hanging' : 'well')) {
      case 'refusing':
        return REFUSED
      case 'hanging':
        return { ms: 0, kind: 'nothing', status: 0 }
      case 'failing':
        return answer(random.pick([500, 500, 503, 302, 429]), random.pick([undefined, undefined, '0', '2', '90']))
      case 'slow':
        return { ...answer(200), ms: Math.floor(timeoutMs * (0.7 + random.next() * 0.6)) }
      case 'well':
        return random.weighted<Fate>([
          [77, answer(200)],
          [3, answer(204)],
          [6, answer(500)],
          [3, answer(404)],
          [3, answer(503, '3')],
          [3, { ms, kind: 'reset', status: 0 }],
          [2, { ms, kind: 'cut', status: 200 }],
          [1, { ms, kind: 'cut', status: 503 }],
          [3, { ms: 0, kind: 'nothing', status: 0 }],
          [2, { ms, kind: 'lost', status: 0 }],
        ])
    }
  }
}
