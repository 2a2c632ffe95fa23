/** One HTTP call over got: exactly one request, no redirect, a bounded part of the answer, and every result a value. */
import http, { type AgentOptions, type ClientRequest } from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import { urlToHttpOptions } from 'node:url'
import got, { Options, type Request, type Response } from 'got'
import { systemClock, type Clock } from '../clock.ts'
import { KEPT_BYTES, truncateText } from '../domain/attempt/truncate-text.ts'
import type { CallResult } from '../domain/attempt/verdict.ts'
import { describeCallError, statusOfCallError } from './call-error.ts'
import { isHeld, newLease, type SharedLease } from '../lease.ts'
import type { CallRequest } from './caller.ts'

const MAX_BODY_BYTES = 64 * 1024
/** Receivers close idle connections. A connection that idles for longer than this is not used again. */
const IDLE_SOCKET_MS = 500

type Answer = Pick<Extract<CallResult, { kind: 'answered' }>, 'status' | 'body' | 'retryAfter'>

// The timeout cuts idle sockets only, not calls. The agents do not limit the number of calls.
const AGENT_OPTIONS: AgentOptions = { keepAlive: true, scheduling: 'lifo', timeout: IDLE_SOCKET_MS, maxFreeSockets: Infinity }
const httpAgent = new http.Agent(AGENT_OPTIONS)
const httpsAgent = new https.Agent(AGENT_OPTIONS)
const singleHttpAgent = new http.Agent({ keepAlive: false })
const singleHttpsAgent = new https.Agent({ keepAlive: false })

// Filled in for each call; got copies it at once. Merging the options of each call into those of a client costs a fifth of a call more.
const options = new Options(undefined, {
  retry: { limit: 0, methods: [], statusCodes: [], errorCodes: [] },
  followRedirect: false,
  throwHttpErrors: false,
  decompress: false,
  allowGetBody: true,
})
options.isStream = true
// Every header comes from the request. Without got's defaults there is less to copy.
options.headers = {}
options.https = {}

type NotCalled = Extract<CallResult, { kind: 'not_called' }>

/** Why the request of a call was not sent, though it was connected. */
class Unsent extends Error {
  readonly result: NotCalled

  constructor(result: NotCalled) {
    super(`not sent: ${result.reason}`)
    this.result = result
  }
}

/**
 * Makes one call, unless by `clock` it is early or late, or its claim does not hold under `lease`. Resolves with every result, bad ones
 * too; it does not reject.
 */
export async function httpCall(
  request: CallRequest,
  clock: Pick<Clock, 'now'> = systemClock,
  lease: SharedLease = newLease(),
): Promise<CallResult> {
  const refuse = (): NotCalled | undefined => refusalOf(request, clock.now(), lease)
  const startedAt = clock.now()
  const refusal = refuse()
  if (refusal !== undefined) return refusal
  try {
    const answer = await exchange(request, refuse)
    return { kind: 'answered', startedAt, endedAt: clock.now(), ...answer }
  } catch (cause) {
    if (cause instanceof Unsent) return cause.result
    const status = statusOfCallError(cause)
    const error = describeCallError(cause, request)
    return { kind: 'unanswered', startedAt, endedAt: clock.now(), error, ...(status !== undefined && { status }) }
  }
}

function refusalOf(request: CallRequest, now: number, lease: SharedLease): NotCalled | undefined {
  if (now < request.dueAt) return { kind: 'not_called', reason: 'early' }
  if (now >= request.deadline) return { kind: 'not_called', reason: 'late' }
  return isHeld(lease, request, now) ? undefined : { kind: 'not_called', reason: 'lease_over' }
}

function exchange(call: CallRequest, refuse: () => NotCalled | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = open(call, (request) => {
      const refusal = refuse()
      if (refusal === undefined) return
      reject(new Unsent(refusal))
      request.destroy()
    })
    let response: Response | undefined
    const chunks: Buffer[] = []
    let size = 0
    const keep = (chunk: Buffer): void => {
      if (size < KEPT_BYTES) chunks.push(chunk.subarray(0, KEPT_BYTES - size))
      size += chunk.length
    }
    const finish = ({ statusCode, headers }: Response): void => {
      const retryAfter = headers['retry-after']
      resolve({ status: statusCode, body: truncateText(Buffer.concat(chunks)), ...(retryAfter !== undefined && { retryAfter }) })
    }
    stream.once('response', (head: Response) => {
      response = head
      stream.on('data', (chunk: Buffer) => {
        keep(chunk)
        if (size < MAX_BODY_BYTES) return
        finish(head)
        stream.destroy()
      })
      stream.once('end', finish.bind(undefined, head))
    })
    // An answer of status 101, without a body: the call asked for no other protocol. The request no longer owns the socket.
    stream.once('upgrade', (head: Response, socket: Socket) => {
      socket.destroy()
      finish(head)
    })
    stream.once('error', (error) => {
      if (!response?.complete) {
        reject(error)
        return
      }
      // The answer is complete and the error came after it: mostly a Content-Length that is too small.
      const rest = response.read() as Buffer | null
      if (rest) keep(rest)
      finish(response)
    })
    if (call.body === undefined && call.method !== 'HEAD') stream.end()
  })
}

/** Starts a call; got watches over its time, its errors and its answer. */
function open(call: CallRequest, onConnected: (request: ClientRequest) => void): Request {
  options.url = call.url
  options.method = call.method
  options.body = call.body
  options.timeout = { request: call.timeoutMs }
  options.request = (url) => send(url, call, onConnected)
  return got(undefined, undefined, options) as unknown as Request
}

/** Makes the request with few options; got's own set of options costs a quarter of a call. */
function send(url: URL, call: CallRequest, onConnected: (request: ClientRequest) => void): ClientRequest {
  const { method, body, mayReuseConnection } = call
  const headers = body === undefined ? call.headers : { ...call.headers, 'content-length': Buffer.byteLength(body) }
  const isSecure = url.protocol === 'https:'
  const [reusing, single] = isSecure ? [httpsAgent, singleHttpsAgent] : [httpAgent, singleHttpAgent]
  const { hostname, port, path, auth } = urlToHttpOptions(url)
  const agent = mayReuseConnection ? reusing : single
  const request = (isSecure ? https : http).request({ hostname, port, path, auth, method, headers, agent })
  // Name lookup and connecting take time. Deadline and lease are checked once more when the connection stands.
  request.once('socket', (socket) => {
    if (socket.connecting) socket.once(isSecure ? 'secureConnect' : 'connect', onConnected.bind(undefined, request))
  })
  return request
}
