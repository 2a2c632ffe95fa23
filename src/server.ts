/** The composition root: makes one node of store, caller, scheduler and API, and takes it apart again. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import type { AddressInfo } from 'node:net'
import { availableParallelism, hostname } from 'node:os'
import { resolve } from 'node:path'
import { answerClientError } from './api/http/client-error.ts'
import { createApp } from './api/create-app.ts'
import { createWorkerPool } from './caller/worker-pool.ts'
import { newClockOffset, offsetClock, systemClock } from './clock.ts'
import { mostOpenCalls } from './config/open-calls.ts'
import type { Config } from './config/load-config.ts'
import { redact } from './config/store-url.ts'
import type { Log } from './telemetry/log.ts'
import { newLease } from './lease.ts'
import { createScheduler } from './scheduler/create-scheduler.ts'
import { isShared, openStore } from './store/open-store.ts'
import type { Store } from './store/store.ts'
import { VERSION } from './version.ts'

export interface RunningNode {
  /** where the API listens, as a URL */
  readonly address: string
  /**
   * Claims nothing more, lets calls under way finish up to the shutdown timeout, and hands the rest back. The API answers meanwhile, and
   * `/ready` says 503. Then it closes, and the store too.
   */
  stop(): Promise<void>
}

/** A request's headers may take so much longer than a connection may be idle. */
const HEADERS_MS = 5000
/** The largest body may take this long. */
const REQUEST_MS = 300_000
/** An idle connection is probed after this time. */
const PROBE_AFTER_MS = 30_000
/** How long requests under way have at least to be answered, once the calls have ended. */
const LAST_ANSWERS_MS = 1000

/** What the process knows and the node goes by. */
export interface ProcessFacts {
  /** why log lines are lost, where they are */
  readonly logFault?: () => string | undefined
  /** how many threads libuv has, where it was told */
  readonly poolThreads?: number | undefined
}

/**
 * Resolves when the API listens and the scheduler runs.
 * @throws CallmeError of the store, or the error of `listen`; nothing is left running then
 */
export async function start(config: Config, log: Log, { logFault, poolThreads }: ProcessFacts = {}): Promise<RunningNode> {
  const { maxInflight, maxInflightPerHost, retentionMs, timeoutMs, expectedStatus, keepAliveMs, shutdownTimeoutMs } = config
  const { maxOpenCalls = Math.max(maxInflight, mostOpenCalls()), nodeName = hostname() } = config
  const node = `${nodeName}#${randomUUID().slice(0, 8)}`
  const [stopping, closing] = [new AbortController(), new AbortController()]
  const store = await openStore(config.store, { stopping: stopping.signal, onFailure: config.onFailure })
  const [clockOffset, lease] = [newClockOffset(), newLease()]
  const clock = offsetClock(systemClock, clockOffset)
  const workers = availableParallelism() > 2 ? 2 : 1
  const calls = { workers, concurrency: maxOpenCalls, ...(poolThreads !== undefined && { poolThreads }) }
  const caller = createWorkerPool({ ...calls, clock, clockOffset, lease, log })
  const scheduler = createScheduler({
    ...{ store, isShared: isShared(config.store), caller, systemClock, clockOffset, lease, log, node, nodeName },
    ...{ maxInflight, maxOpenCalls, maxInflightPerHost, retentionMs, random: Math.random },
    defaults: { version: VERSION, timeoutMs, expectedStatus },
  })
  const readiness = () => ({ ...scheduler.readiness(), isStopping: stopping.signal.aborted, logFault: logFault?.() })
  const app = createApp({
    ...{ store, node, clock, log, wake: scheduler.wake, readiness, stopping: closing.signal },
    ...{ random: Math.random, defaults: { timeout: timeoutMs / 1000, expectedStatus }, version: VERSION },
  })
  const server = serverOf(app, keepAliveMs, stopping.signal)
  let waiting = 0
  try {
    await scheduler.start(async () => {
      waiting = await countWaiting(store)
      await listen(server, config.listen)
    })
  } catch (error) {
    stopping.abort()
    await scheduler.stop(0)
    await store.close()
    throw error
  }
  const address = urlOf(server.address() as AddressInfo)
  log.info('node.started', { node, address, version: VERSION, pid: process.pid, store: nameOf(config.store), is_new: store.isNew, waiting })

  const stop = async (): Promise<void> => {
    log.info('node.stopping', { node, calls: scheduler.openCalls(), timeout_s: shutdownTimeoutMs / 1000 })
    stopping.abort()
    const closeBy = clock.monotonic() + shutdownTimeoutMs
    await scheduler.stop(shutdownTimeoutMs)
    closing.abort()
    await close(server, Math.max(LAST_ANSWERS_MS, closeBy - clock.monotonic()))
    await store.close()
    log.info('node.stopped', { node })
  }
  return { address, stop }
}

async function countWaiting(store: Store): Promise<number> {
  const { pending, retrying } = await store.counts()
  return pending + retrying
}

/** The full path of a file, or a URL without its password. */
function nameOf(store: Config['store']): string {
  return store.kind === 'sqlite' ? resolve(store.path) : redact(store.url)
}

/** @param stopping from when on no connection is kept: it would be cut just when its client uses it again */
function serverOf(app: RequestListener, keepAliveMs: number, stopping: AbortSignal): Server {
  const server = createServer(serverOptions(keepAliveMs), app).on('clientError', answerClientError)
  // No header of a request is passed over: the size of all together is limited.
  server.maxHeadersCount = 0
  return server.prependListener('request', (_req, res) => {
    if (stopping.aborted) res.setHeader('Connection', 'close')
  })
}

function serverOptions(keepAliveMs: number): ServerOptions {
  const headersTimeout = keepAliveMs + HEADERS_MS
  return {
    // The app refuses a missing Host itself, with a sentence.
    requireHostHeader: false,
    keepAliveTimeout: keepAliveMs,
    // A load balancer may open a connection long before its first request.
    headersTimeout,
    requestTimeout: Math.max(REQUEST_MS, headersTimeout),
    // A client that has vanished leaves no work waiting for it.
    keepAlive: true,
    keepAliveInitialDelay: PROBE_AFTER_MS,
  }
}

async function listen(server: Server, { host, port }: Config['listen']): Promise<void> {
  server.listen({ port, host: host || undefined })
  await once(server, 'listening')
}

/** Answers the requests under way for at most `graceMs`, and closes idle connections at once. */
async function close(server: Server, graceMs: number): Promise<void> {
  const cutOff = setTimeout(() => {
    server.closeAllConnections()
  }, graceMs)
  await server[Symbol.asyncDispose]()
  clearTimeout(cutOff)
}

function urlOf({ address, port, family }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}
