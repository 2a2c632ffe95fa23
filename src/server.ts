/** The composition root: makes one node of store, caller, scheduler and API, and takes it apart again. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { availableParallelism, hostname } from 'node:os'
import { answerClientError } from './api/http/client-error.ts'
import { createApp } from './api/create-app.ts'
import { createWorkerPool } from './caller/worker-pool.ts'
import { newClockOffset, offsetClock, systemClock } from './clock.ts'
import type { Config } from './config/load-config.ts'
import type { Log } from './telemetry/log.ts'
import { newLease } from './lease.ts'
import { createScheduler } from './scheduler/create-scheduler.ts'
import { isShared, openStore } from './store/open-store.ts'
import { VERSION } from './version.ts'

export interface RunningNode {
  /** where the API listens, as a URL */
  readonly address: string
  /**
   * Takes no more requests, claims nothing more, lets calls under way finish up to the shutdown timeout, hands the rest back, and
   * closes the store.
   */
  stop(): Promise<void>
}

/**
 * Resolves when the API listens and the scheduler runs.
 * @throws CallmeError of the store, or the error of `listen`; nothing is left running then
 */
export async function start(config: Config, log: Log): Promise<RunningNode> {
  const { maxInflight, maxInflightPerHost, retentionMs, timeoutMs, shutdownTimeoutMs, nodeName = hostname() } = config
  const node = `${nodeName}#${randomUUID().slice(0, 8)}`
  const stopping = new AbortController()
  const store = await openStore(config.store, stopping.signal)
  const clockOffset = newClockOffset()
  const lease = newLease()
  const clock = offsetClock(systemClock, clockOffset)
  const workers = availableParallelism() > 2 ? 2 : 1
  const caller = createWorkerPool({ workers, concurrency: maxInflight, clock, clockOffset, lease, log })
  const scheduler = createScheduler({
    ...{ store, isShared: isShared(config.store), caller, systemClock, clockOffset, lease, log, node, nodeName },
    ...{ maxInflight, maxInflightPerHost, retentionMs, defaults: { version: VERSION, timeoutMs }, random: Math.random },
  })
  const app = createApp({
    ...{ store, node, clock, log, wake: scheduler.wake, readiness: scheduler.readiness, stopping: stopping.signal },
    ...{ random: Math.random, defaults: { timeout: timeoutMs / 1000 }, version: VERSION },
  })
  // The app refuses a missing Host itself, with a sentence.
  const server = createServer({ requireHostHeader: false }, app).on('clientError', answerClientError)
  try {
    await scheduler.start(() => listen(server, config.listen))
  } catch (error) {
    stopping.abort()
    await scheduler.stop(0)
    await store.close()
    throw error
  }
  const address = urlOf(server.address() as AddressInfo)
  log.info('node.started', { node, address, version: VERSION, pid: process.pid })

  const stop = async (): Promise<void> => {
    log.info('node.stopping', { node })
    stopping.abort()
    await Promise.all([close(server, shutdownTimeoutMs), scheduler.stop(shutdownTimeoutMs)])
    await store.close()
    log.info('node.stopped', { node })
  }
  return { address, stop }
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
