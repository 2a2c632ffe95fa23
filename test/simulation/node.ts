/** One node of a world: the real scheduler and API on the world's store, time and network. */
import { setDefaultHighWaterMark } from 'node:stream'
import inject from 'light-my-request'
import { createApp } from '../../src/api/create-app.ts'
import type { Caller } from '../../src/caller/caller.ts'
import { newClockOffset, offsetClock } from '../../src/clock.ts'
import type { Clock } from '../../src/clock.ts'
import type { SharedLease } from '../../src/lease.ts'
import type { Log, LogEvent } from '../../src/telemetry/log.ts'
import { createScheduler } from '../../src/scheduler/create-scheduler.ts'
import type { Scheduler } from '../../src/scheduler/create-scheduler.ts'
import type { Store } from '../../src/store/store.ts'

export interface NodeSettings {
  readonly maxInflight: number
  readonly maxOpenCalls: number
  readonly maxInflightPerHost: number | undefined
  readonly retentionMs: number
}

interface NodeOptions {
  readonly name: string
  readonly settings: NodeSettings
  readonly store: Store
  /** whether other nodes have it open as well */
  readonly isShared: boolean
  /** the system's */
  readonly clock: Clock
  readonly caller: Caller
  /** by which the caller goes */
  readonly lease: SharedLease
  readonly random: () => number
  /** is told of every line that calls for a person */
  readonly onError: (event: LogEvent, fields: Record<string, unknown> | undefined) => void
}

/** What a client sends. */
export interface ClientRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly payload?: string
}

/** What a client gets; `lost` where the node went away, or failed, before it had answered in full. */
export type Answer = { readonly status: number; readonly body: string } | 'lost'

const DEFAULT_TIMEOUT_SECONDS = 15
const VERSION = '1.2.3'
// A response to `inject` never says that it has drained, so it must never be full.
setDefaultHighWaterMark(false, 2 ** 24)

export class SimulatedNode {
  readonly name: string
  /** whether the API listens */
  isUp = false
  readonly #app: ReturnType<typeof createApp>
  readonly #scheduler: Scheduler
  readonly #stopping = new AbortController()
  readonly #onLoss = new Set<() => void>()
  readonly #requests = new Set<Promise<Answer>>()

  constructor(options: NodeOptions) {
    const { name, settings, store, isShared, clock: systemClock, caller, lease, random, onError } = options
    const clockOffset = newClockOffset()
    this.name = name
    const ignore = (): void => undefined
    const log: Log = { error: onError, warn: ignore, info: ignore, debug: ignore }
    this.#scheduler = createScheduler({
      ...{ store, isShared, caller, systemClock, clockOffset, lease, log, node: name, nodeName: name, ...settings, random },
      defaults: { version: VERSION, timeoutMs: DEFAULT_TIMEOUT_SECONDS * 1000, expectedStatus: 200 },
    })
    this.#app = createApp({
      ...{ store, node: name, clock: offsetClock(systemClock, clockOffset), log, random, version: VERSION },
      ...{ wake: this.#scheduler.wake, readiness: this.#scheduler.readiness },
      stopping: this.#stopping.signal,
      defaults: { timeout: DEFAULT_TIMEOUT_SECONDS, expectedStatus: 200 },
    })
  }

  /** @throws CallmeError where the store does not answer */
  async start(): Promise<void> {
    await this.#scheduler.start(() => {
      this.isUp = true
      return Promise.resolve()
    })
  }

  /** Takes no more requests, claims nothing more, lets calls end within `graceMs`, and hands the rest back. */
  async stop(graceMs: number): Promise<void> {
    this.isUp = false
    this.#stopping.abort()
    await Promise.all([Promise.allSettled(this.#requests), this.#scheduler.stop(graceMs)])
  }

  /** The process is gone, and with it every connection. */
  crash(): void {
    this.isUp = false
    for (const lose of this.#onLoss) lose()
  }

  async request({ method, url, headers = {}, payload }: ClientRequest): Promise<Answer> {
    if (!this.isUp) return 'lost'
    const answer = new Promise<Answer>((resolve) => {
      const lose = (): void => {
        resolve('lost')
      }
      this.#onLoss.add(lose)
      inject(this.#app, { method, url, headers, ...(payload !== undefined && { payload }) }).then(({ statusCode: status, body }) => {
        this.#onLoss.delete(lose)
        resolve({ status, body })
        // The connection was cut in the middle of the answer.
      }, lose)
    })
    this.#requests.add(answer)
    return answer.finally(() => this.#requests.delete(answer))
  }

  /** Opens an event stream; `onEnd` is told once that there is none, or none any more. */
  async listen(lastEventId: number, onData: (text: string) => void, onEnd: () => void): Promise<void> {
    const headers = { 'last-event-id': String(lastEventId) }
    let isOver = false
    const end = (): void => {
      if (isOver) return
      isOver = true
      this.#onLoss.delete(end)
      onEnd()
    }
    this.#onLoss.add(end)
    const response = await inject(this.#app, { method: 'GET', url: '/events', headers, payloadAsStream: true })
    if (response.statusCode !== 200) end()
    const stream = response.stream()
    stream.setEncoding('utf8').on('data', (text: string) => {
      if (!isOver) onData(text)
    })
    stream.on('close', end).on('error', end)
  }
}
