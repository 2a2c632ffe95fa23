/** The composition root: makes one node of its parts, in the order in which they depend on each other, and takes it apart again. */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { availableParallelism } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { answerClientError } from './api/http/client-error.ts'
import { createApp } from './api/create-app.ts'
import { createWorkerPool } from './caller/worker-pool.ts'
import { newClockOffset, offsetClock, systemClock } from './clock.ts'
import type { Config } from './config/load-config.ts'
import type { Log } from './telemetry/log.ts'
import { ClockWatch } from './scheduler/clock-watch.ts'
import { Dispatcher } from './scheduler/dispatch.ts'
import { HostLimits } from './scheduler/host-limits.ts'
import { Ticker } from './scheduler/ticker.ts'
import { Upkeep } from './scheduler/upkeep.ts'
import { isShared, openStore } from './store/open-store.ts'
import type { Store } from './store/store.ts'
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

interface Assembly {
  readonly config: Config
  readonly store: Store
  readonly node: string
  readonly log: Log
  /** aborts when the node begins to stop */
  readonly stopping: AbortSignal
}

/** How long after the last call its result may take to be saved before the node gives up on a store that does not answer. */
const SAVE_GRACE_MS = 5000

/**
 * @throws CallmeError of the store, or the error of `listen`; nothing is left running then
 */
export async function start(config: Config, log: Log): Promise<RunningNode> {
  const node = randomUUID()
  const stopping = new AbortController()
  const store = await openStore(config.store, stopping.signal)
  const { app, caller, clockWatch, dispatcher, ticker, upkeep, wake } = assemble({ config, store, node, log, stopping: stopping.signal })
  // The app refuses a missing Host itself, with a sentence.
  const server = createServer({ requireHostHeader: false }, app).on('clientError', answerClientError)
  try {
    await clockWatch.runOnce()
    if (!isShared(config.store)) await upkeep.rescueAbandoned()
    await listen(server, config.listen)
  } catch (error) {
    stopping.abort()
    await caller.stop(0)
    await store.close()
    throw error
  }
  const unsubscribe = store.onDue(wake)
  ticker.start()
  upkeep.start()
  clockWatch.start()
  const address = urlOf(server.address() as AddressInfo)
  log.info('node.started', { node, address, version: VERSION, pid: process.pid })

  const stop = async (): Promise<void> => {
    log.info('node.stopping', { node })
    stopping.abort()
    unsubscribe()
    const graceMs = config.shutdownTimeoutMs
    await Promise.all([close(server, graceMs), ticker.stop(), upkeep.stop(), clockWatch.stop(), caller.stop(graceMs)])
    await Promise.race([dispatcher.drained(), setTimeout(SAVE_GRACE_MS, undefined, { ref: false })])
    await store.close()
    log.info('node.stopped', { node })
  }
  return { address, stop }
}

function assemble({ config, store, node, log, stopping }: Assembly) {
  const clockOffset = newClockOffset()
  const clock = offsetClock(systemClock, clockOffset)
  const clockWatch = new ClockWatch({ store, clock: systemClock, offset: clockOffset, log })
  const followJump = () => clockWatch.followJump()
  const workers = availableParallelism() > 2 ? 2 : 1
  const caller = createWorkerPool({ workers, concurrency: config.maxInflight, clock, clockOffset, log })
  const ticker: Ticker = new Ticker({ clock, log, pass: () => followJump().then(() => dispatcher.pass()) })
  const wake = (dueAt: number): void => {
    caller.prepare()
    ticker.wake(dueAt)
  }
  const defaults = { version: VERSION, timeoutMs: config.timeoutMs }
  const execution = { store, caller, clock, log, node, defaults, random: Math.random }
  const lanes = new HostLimits({ maxInflight: config.maxInflight, maxInflightPerHost: config.maxInflightPerHost })
  const dispatcher = new Dispatcher(execution, lanes, () => {
    wake(clock.now())
  })
  const { retentionMs } = config
  const upkeep = new Upkeep({ store, clock, log, node, claims: () => dispatcher.claims(), retentionMs, wake, followJump })
  const readiness = () => ({ ...ticker.readiness(), clockOffset: clockWatch.offset })
  const app = createApp({
    store,
    node,
    clock,
    log,
    wake,
    readiness,
    stopping,
    random: Math.random,
    defaults: { timeout: config.timeoutMs / 1000 },
    version: VERSION,
  })
  return { app, caller, clockWatch, dispatcher, ticker, upkeep, wake }
}

function listen(server: Server, { host, port }: Config['listen']): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host: host || undefined }, resolve)
  })
}

/** Requests under way are answered for as long as `graceMs`; connections that only wait for the next one are closed. */
async function close(server: Server, graceMs: number): Promise<void> {
  const cutOff = globalThis.setTimeout(() => {
    server.closeAllConnections()
  }, graceMs)
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve()
    })
    server.closeIdleConnections()
  })
  clearTimeout(cutOff)
}

function urlOf({ address, port, family }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}
