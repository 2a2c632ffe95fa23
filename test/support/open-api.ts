/** The real API on a real in-memory SQLite store and a fake clock, behind a real socket. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import request from 'supertest'
import type { Agent } from 'supertest'
import type { Readiness } from '../../src/api/app-options.ts'
import { createApp } from '../../src/api/create-app.ts'
import { reportOf } from '../../src/domain/attempt/attempt-report.ts'
import type { Task } from '../../src/domain/task/task.ts'
import type { LogEvent } from '../../src/telemetry/log.ts'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import type { Store } from '../../src/store/store.ts'
import { MINUTE, aTask } from './a-task.ts'
import { FakeClock } from './fake-clock.ts'

export const NODE = 'node-a'
export const VERSION = '1.2.3'
export const DEFAULT_TIMEOUT = 15

interface LogLine {
  readonly level: string
  readonly event: LogEvent
  readonly fields: Record<string, unknown> | undefined
}

export interface Api {
  readonly http: Agent
  readonly port: number
  readonly store: Store
  /** starts half a minute before `MINUTE` */
  readonly clock: FakeClock
  /** every `dueAt` that the scheduler was woken for */
  readonly wakes: readonly number[]
  readonly logged: readonly LogLine[]
  readiness: Readiness
  /** Has answers end that take long by intention, as a stop of the server does. */
  readonly stopping: AbortController
  /** Has a node claim all that it may start at `MINUTE`. */
  claimAll(): Promise<Task[]>
  /** Stores an entry due at `MINUTE` and has a node claim it. */
  claimed(name: string): Promise<Task>
  /** The same, and its call answered with `status`: 200 ends it `successful`, 404 `failed`, 503 makes it `retrying`. */
  called(name: string, status: number): Promise<Task>
  close(): Promise<void>
}

/** @param faults verbs that take the place of the store's own, to fail as a store may */
export async function openApi(faults: (store: Store) => Partial<Store> = () => ({})): Promise<Api> {
  const store = openSqliteStore(':memory:')
  const clock = new FakeClock(MINUTE * 1000 - 30_000)
  const wakes: number[] = []
  const logged: LogLine[] = []
  const write = (level: string) => (event: LogEvent, fields?: Record<string, unknown>) => void logged.push({ level, event, fields })
  const log = { error: write('error'), warn: write('warn'), info: write('info'), debug: write('debug') }
  const wake = (dueAt: number) => void wakes.push(dueAt)
  const readiness = () => api.readiness
  const stopping = new AbortController()
  const app = createApp({
    store: withFaults(store, faults(store)),
    node: NODE,
    clock,
    log,
    wake,
    readiness,
    stopping: stopping.signal,
    random: () => 0,
    defaults: { timeout: DEFAULT_TIMEOUT, expectedStatus: 200 },
    version: VERSION,
  })
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const api: Api = {
    http: request(server),
    port: (server.address() as AddressInfo).port,
    store,
    clock,
    wakes,
    logged,
    readiness: { ready: true, lastTick: clock.now(), clockOffset: 0, shortage: null },
    stopping,
    claimAll: () => claimAll(store),
    claimed: (name) => claim(store, name),
    called: async (name, status) => answer(store, await claim(store, name), status),
    close: async () => {
      stopping.abort()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await store.close()
    },
  }
  return api
}

function withFaults(store: Store, faults: Partial<Store>): Store {
  return new Proxy(store, {
    get: (target, verb: keyof Store) => faults[verb] ?? target[verb].bind(target),
  })
}

async function claim(store: Store, name: string): Promise<Task> {
  await store.put([aTask({ name })], { now: MINUTE * 1000 })
  const claimed = (await claimAll(store)).find((task) => task.name === name)
  if (claimed === undefined) throw new Error(`${name} was not claimed`)
  return claimed
}

async function claimAll(store: Store): Promise<Task[]> {
  const now = MINUTE * 1000
  const limits = { limit: 1000, hosts: new Map(), capacityOfNewHost: 1000, unprovenLimit: 1000, silentLimit: 1000 }
  return (await store.claimDue({ now, node: NODE, leaseUntil: now + 60_000, ...limits })).tasks
}

async function answer(store: Store, task: Task, status: number): Promise<Task> {
  const startedAt = MINUTE * 1000 + 100
  const result = { kind: 'answered', startedAt, endedAt: startedAt + 1250, status, body: `answer ${status}` } as const
  await store.record([reportOf(task, result, NODE, startedAt + 1250, 0)])
  const stored = await store.get(task)
  if (stored === undefined) throw new Error(`${task.name} is gone`)
  return stored
}
