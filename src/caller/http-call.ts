/**
 * One HTTP call over undici: exactly one request, no redirect, a bounded part of the answer, and every result a value.
 *
 * The call is dispatched to a handler, the barest way of undici. got, which is good at the requests of a client, costs several times as
 * much. It retries, redirects, decompresses and decodes, and a scheduler has to switch off all of that.
 */
import type { Dispatcher } from 'undici'
import { systemClock, type Clock } from '../clock.ts'
import { KEPT_BYTES, truncateText } from '../domain/attempt/truncate-text.ts'
import type { CallResult } from '../domain/attempt/verdict.ts'
import { isHeld, newLease, type SharedLease } from '../lease.ts'
import { describeCallError, TimeLimitError } from './call-error.ts'
import type { CallRequest } from './caller.ts'
import { Connections, type Connection } from './connections.ts'
import { NameLookup } from './name-lookup.ts'
import { isShortage } from './shortage.ts'

const MAX_BODY_BYTES = 64 * 1024
const SWITCHING_PROTOCOLS = 101
/** Node takes a longer timer for one that is over at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
/** Without settings, libuv gives lookups so many threads. */
const sharedConnections = new Connections(new NameLookup({ slots: 2, clock: systemClock }))

type NotCalled = Exclude<Extract<CallResult, { kind: 'not_called' }>['reason'], 'shortage' | 'no_callback' | 'unreadable' | 'stopping'>

/**
 * Makes one call, unless by `clock` it is early or late, or its claim does not hold under `lease`. Resolves with every result, bad ones
 * too; it does not reject.
 */
export function httpCall(
  request: CallRequest,
  clock: Pick<Clock, 'now'> = systemClock,
  connections: Connections = sharedConnections,
  lease: SharedLease = newLease(),
): Promise<CallResult> {
  return new Promise((resolve) => {
    new Exchange({ call: request, clock, connections, lease }, resolve).start()
  })
}

interface ExchangeOptions {
  readonly call: CallRequest
  readonly clock: Pick<Clock, 'now'>
  readonly connections: Connections
  readonly lease: SharedLease
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #call: CallRequest
  readonly #clock: Pick<Clock, 'now'>
  readonly #connections: Connections
  readonly #lease: SharedLease
  readonly #resolve: (result: CallResult) => void
  readonly #startedAt: number
  readonly #chunks: Buffer[] = []
  #size = 0
  #origin = ''
  #connection: Connection | undefined
  #timer: NodeJS.Timeout | undefined
  #isSent = false
  #isOver = false
  /** 0 until it has come */
  #status = 0
  #retryAfter: string | undefined

  constructor({ call, clock, connections, lease }: ExchangeOptions, resolve: (result: CallResult) => void) {
    this.#call = call
    this.#clock = clock
    this.#connections = connections
    this.#lease = lease
    this.#resolve = resolve
    this.#startedAt = clock.now()
  }

  start(): void {
    const refusal = this.#refusal()
    if (refusal !== undefined) {
      this.#settle({ kind: 'not_called', reason: refusal })
      return
    }
    try {
      this.#dispatch()
    } catch (error) {
      this.#fail(error)
    }
  }

  /** The request is about to be written. Name lookup and connecting take time, so the clock is read once more. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    const refusal = this.#refusal()
    if (refusal !== undefined) this.#settle({ kind: 'not_called', reason: refusal })
    // No request is ever written twice, whatever becomes of its connection.
    if (this.#isOver || this.#isSent) controller.abort(new Error('not to be sent'))
    this.#isSent = true
    this.#connection?.head.begin()
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[] | undefined>): void {
    this.#status = status
    this.#retryAfter = [headers['retry-after']].flat()[0]
    // The call asked for no other protocol: nothing that it understands follows.
    if (status === SWITCHING_PROTOCOLS) this.#finish(controller)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#size < KEPT_BYTES) this.#chunks.push(chunk.subarray(0, KEPT_BYTES - this.#size))
    this.#size += chunk.length
    if (this.#size >= MAX_BODY_BYTES) this.#finish(controller)
  }

  onResponseEnd(): void {
    this.#answer()
    // The receiver has answered without the rest of the payload.
    if (this.#connection?.isSending) this.#connection.cut()
    else if (this.#call.mayReuseConnection && this.#connection !== undefined) this.#connections.keep(this.#origin, this.#connection)
  }

  onResponseError(_: unknown, error: Error): void {
    this.#fail(error)
  }

  #dispatch(): void {
    const { url: text, method, headers, body, timeoutMs, mayReuseConnection } = this.#call
    const url = new URL(text)
    if (method === 'HEAD' && body !== undefined) throw new TypeError('a HEAD carries no payload')
    if (!(timeoutMs > 0)) throw new RangeError(`the time limit of a call must be more than 0 ms; got ${timeoutMs}`)
    this.#origin = url.origin
    const connection = mayReuseConnection ? this.#connections.take(url.origin) : this.#connections.open(url.origin)
    this.#connection = connection
    this.#timer = setTimeout(
      () => {
        this.#fail(new TimeLimitError(connection.isResolving))
        connection.cut()
      },
      Math.min(timeoutMs, LONGEST_TIMER_MS),
    )
    // The request is final here, but for the headers of the connection: this is the place to sign it.
    const options: Dispatcher.DispatchOptions = {
      ...{ path: url.pathname + url.search, method, headers: { ...credentialsOf(url), ...headers } },
      ...{ body: body ?? null, ...(!mayReuseConnection && { reset: true }) },
    }
    connection.client.dispatch(options, this)
  }

  #refusal(): NotCalled | undefined {
    const { dueAt, deadline } = this.#call
    const now = this.#clock.now()
    if (now < dueAt) return 'early'
    if (now >= deadline) return 'late'
    return isHeld(this.#lease, this.#call, now) ? undefined : 'lease_over'
  }

  /** Takes the answer as it is, and closes the connection. */
  #finish(controller: Dispatcher.DispatchController): void {
    this.#answer()
    controller.abort(new Error('no more is read'))
  }

  /** Once its status has come, an answer counts, and the error says what was wrong after that. */
  #fail(cause: unknown): void {
    if (this.#isOver) return
    if (this.#isSent) this.#status ||= this.#connection?.head.status ?? 0
    const error = describeCallError(cause, this.#call, this.#status !== 0)
    if (this.#status !== 0) this.#answer(error)
    else if (!this.#isSent && isShortage(cause)) this.#settle({ kind: 'not_called', reason: 'shortage', error })
    else this.#settle({ kind: 'unanswered', ...this.#times(), error })
  }

  #answer(error?: string): void {
    if (this.#isOver) return
    const body = truncateText(Buffer.concat(this.#chunks))
    const rest = { ...(this.#retryAfter !== undefined && { retryAfter: this.#retryAfter }), ...(error !== undefined && { error }) }
    this.#settle({ kind: 'answered', ...this.#times(), status: this.#status, body, ...rest })
  }

  #settle(result: CallResult): void {
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#resolve(result)
  }

  #times(): { startedAt: number; endedAt: number } {
    return { startedAt: this.#startedAt, endedAt: this.#clock.now() }
  }
}

/** A user name and password in the URL are sent as a header, unless the call has one of its own. */
function credentialsOf({ username, password }: URL): Record<string, string> | undefined {
  if (username === '' && password === '') return undefined
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { authorization: `Basic ${Buffer.from(text).toString('base64')}` }
}
