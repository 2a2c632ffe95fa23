/** One node of a world: the real scheduler and API, wired as in src/server.ts, on the world's store, time and network. */
import inject from 'light-my-request'
import { createApp } from '../../src/api/create-app.ts'
import type { Caller } from '../../src/caller/caller.ts'
import { newClockOffset, offsetClock } from '../../src/clock.ts'
import type { Clock } from '../../src/clock.ts'
import type { Log, LogEvent } from '../../src/telemetry/log.ts'
import { ClockWatch } from '../../src/scheduler/clock-watch.ts'
import { Dispatcher } from '../../src/scheduler/dispatch.ts'
import { HostLimits } from '../../src/scheduler/host-limits.ts'
import { Ticker } from '../../src/scheduler/ticker.ts'
import { Upkeep } from '../../src/scheduler/upkeep.ts'
import type { Store } from '../../src/store/store.ts'

export interface NodeSettings {
  readonly maxInflight: number
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
/** How long after the last call its result may take to be saved. */
const SAVE_GRACE_MS = 5000

export class SimulatedNode {
  readonly name: string
  /** whether the API listens */
  isUp = false
  readonly #options: NodeOptions
  readonly #app: ReturnType<typeof createApp>
  readonly #ticker: Ticker
  readonly #dispatcher: Dispatcher
  readonly #upkeep: Upkeep
  readonly #clockWatch: ClockWatch
  readonly #stopping = new AbortController()
  readonly #onLoss = new Set<() => void>()
  readonly #requests = new Set<Promise<Answer>>()

  constructor(options: NodeOptions) {
    const { name, settings, store, caller, random, onError } = options
    const clockOffset = newClockOffset()
    const clock = offsetClock(options.clock, clockOffset)
    this.#options = options
    this.name = name
    const ignore = (): void => undefined
    const log: Log = { error: onError, warn: ignore, info: ignore, debug: ignore }
    this.#clockWatch = new ClockWatch({ store, clock: options.clock, offset: clockOffset, log })
    const followJump = () => this.#clockWatch.followJump()
    this.#ticker = new Ticker({ clock, log, pass: () => followJump().then(() => this.#dispatcher.pass()) })
    const wake = this.#wake
    const defaults = { version: '1.2.3', timeoutMs: DEFAULT_TIMEOUT_SECONDS * 1000 }
    this.#dispatcher = new Dispatcher({ store, caller, clock, log, node: name, defaults, random }, new HostLimits(settings), () => {
      wake(clock.now())
    })
    const claims = () => this.#dispatcher.claims()
    this.#upkeep = new Upkeep({ store, clock, log, node: name, claims, retentionMs: settings.retentionMs, wake, followJump })
    this.#app = createApp({
      ...{ store, node: name, clock, log, wake, random, version: '1.2.3' },
      readiness: () => ({ ...this.#ticker.readiness(), clockOffset: this.#clockWatch.offset }),
      stopping: this.#stopping.signal,
      defaults: { timeout: DEFAULT_TIMEOUT_SECONDS },
    })
  }

  readonly #wake = (dueAt: number): void => {
    this.#ticker.wake(dueAt)
  }

  /** @throws CallmeError where the store does not answer */
  async start(): Promise<void> {
    await this.#clockWatch.runOnce()
    if (!this.#options.isShared) await this.#upkeep.rescueAbandoned()
    this.isUp = true
    this.#options.store.onDue(this.#wake)
    this.#ticker.start()
    this.#upkeep.start()
    this.#clockWatch.start()
  }

  /** Takes no more requests, claims nothing more, lets calls end within `graceMs`, and hands the rest back. */
  async stop(graceMs: number): Promise<void> {
    this.isUp = false
    this.#stopping.abort()
    const { caller, clock } = this.#options
    const answered = Promise.allSettled(this.#requests)
    await Promise.all([answered, this.#ticker.stop(), this.#upkeep.stop(), this.#clockWatch.stop(), caller.stop(graceMs)])
    const patience = new Promise<void>((resolve) => clock.setTimer(SAVE_GRACE_MS, resolve))
    await Promise.race([this.#dispatcher.drained(), patience])
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
