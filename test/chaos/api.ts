/** Sends requests to whichever node is there, as a client behind a load balancer that knows nothing of their health. */
import { setTimeout } from 'node:timers/promises'
import type { NodeSlot } from './node-slot.ts'

export interface Request {
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** `no answer`: it may have been carried out. `no connection`: it was not. */
export type Reply = { readonly status: number; readonly body: Record<string, unknown> } | 'no answer' | 'no connection'

/** Longer than most nodes are frozen for. */
const TIMEOUT_MS = 5000
const AGAIN_AFTER_MS = 100

export class Api {
  readonly #slots: readonly NodeSlot[]
  #turn = 0

  constructor(slots: readonly NodeSlot[]) {
    this.#slots = slots
  }

  /** Sends it once, to one node after the other by turns. */
  async send({ method, path, body, headers = {} }: Request): Promise<Reply> {
    this.#turn += 1
    const program = this.#slots[this.#turn % this.#slots.length]?.program
    if (program === undefined) {
      await setTimeout(AGAIN_AFTER_MS)
      return 'no connection'
    }
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    try {
      const response = await fetch(program.url + path, {
        method,
        headers,
        signal,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      return { status: response.status, body: (await response.json()) as Record<string, unknown> }
    } catch (error) {
      await setTimeout(AGAIN_AFTER_MS)
      const cause = (error as Error).cause
      return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED' ? 'no connection' : 'no answer'
    }
  }

  /** Sends it until it is answered with one of these statuses. @throws Error where it is not within `ms` */
  async sendUntil(request: Request, statuses: readonly number[], ms = 60_000): Promise<Record<string, unknown>> {
    const until = Date.now() + ms
    for (;;) {
      const reply = await this.send(request)
      if (typeof reply === 'object' && statuses.includes(reply.status)) return reply.body
      if (Date.now() < until) continue
      throw new Error(`${request.method} ${request.path} came to ${JSON.stringify(reply).slice(0, 500)}, not to ${statuses.join(' or ')}`)
    }
  }
}
