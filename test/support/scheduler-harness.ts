/** The real scheduler of one node on a fake clock, with a real store in memory and scripted calls. */
import type { LogEvent, LogLevel } from '../../src/telemetry/log.ts'
import { createLog } from '../../src/telemetry/log.ts'
import type { Attempt } from '../../src/domain/task/attempt.ts'
import type { ExpectedStatuses, NewTask, Task, TaskDefinition } from '../../src/domain/task/task.ts'
import { CallmeError } from '../../src/domain/errors.ts'
import type { HandlerDefinition } from '../../src/domain/task/handler.ts'
import type { TaskKey } from '../../src/domain/task/task-key.ts'
import { newClockOffset, offsetClock } from '../../src/clock.ts'
import type { Clock } from '../../src/clock.ts'
import { newLease } from '../../src/lease.ts'
import { createScheduler } from '../../src/scheduler/create-scheduler.ts'
import type { Scheduler } from '../../src/scheduler/create-scheduler.ts'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import type { Acknowledgement, AckResult, Store } from '../../src/store/store.ts'
import { MINUTE, aTask } from './a-task.ts'
import { FakeClock, settle } from './fake-clock.ts'
import { ScriptedCaller } from './scripted-caller.ts'

export interface HarnessOptions {
  /** for a second node, or a later process, on one store and one clock */
  readonly successorOf?: SchedulerHarness
  readonly node?: string
  /** epoch ms; ten seconds before `MINUTE` where absent */
  readonly startAt?: number
  /** epoch ms; what the store's clock shows when the node's own is at its start. A store without a clock where absent. */
  readonly storeTime?: number
  readonly maxInflight?: number
  readonly maxOpenCalls?: number
  readonly maxInflightPerHost?: number
  readonly retentionMs?: number
  readonly random?: () => number
  readonly expectedStatus?: ExpectedStatuses
}

interface LogLine {
  readonly level: LogLevel
  readonly event: LogEvent
  readonly [field: string]: unknown
}

export const MINUTE_MS = MINUTE * 1000
const DEFAULT_MAX_INFLIGHT = 128
const DEFAULT_MAX_OPEN_CALLS = 8192
/** Far more turns than any chain of passes here needs. */
const MOST_SETTLINGS = 2000

export class SchedulerHarness {
  /** the system's */
  readonly clock: FakeClock
  /** the clock of the node */
  readonly nodeClock: Clock
  readonly #storeTime: (() => number) | undefined
  readonly store: Store
  readonly caller: ScriptedCaller
  readonly #scheduler: Scheduler
  readonly ticker: Scheduler['parts']['ticker']
  readonly leases: Scheduler['parts']['leases']
  readonly upkeep: Scheduler['parts']['upkeep']
  readonly dispatcher: Scheduler['parts']['dispatcher']
  readonly hosts: Scheduler['parts']['hosts']
  readonly logged: LogLine[] = []
  /** What happens just before the scheduler's store does what a verb says; an error thrown here is the store's answer instead. */
  before: { [Verb in keyof Store]?: (...args: Parameters<Store[Verb]>) => void } = {}
  /** when (epoch ms) each pass of the ticker began */
  readonly passes: number[] = []

  constructor(options: HarnessOptions = {}) {
    const {
      successorOf,
      node = 'node-1',
      maxInflight = DEFAULT_MAX_INFLIGHT,
      maxOpenCalls = DEFAULT_MAX_OPEN_CALLS,
      maxInflightPerHost,
      retentionMs = 0,
      random = Math.random,
      expectedStatus = 200,
    } = options
    this.clock = successorOf?.clock ?? new FakeClock(options.startAt ?? MINUTE_MS - 10_000)
    this.store = successorOf?.store ?? openSqliteStore(':memory:')
    this.#storeTime = successorOf ? successorOf.#storeTime : timeFrom(options.storeTime, this.clock)
    const clockOffset = newClockOffset()
    this.nodeClock = offsetClock(this.clock, clockOffset)
    const lease = newLease()
    this.caller = new ScriptedCaller(this.nodeClock, lease)
    this.#scheduler = createScheduler({
      ...{ node, nodeName: node, maxInflight, maxOpenCalls, maxInflightPerHost, retentionMs, random, clockOffset, lease },
      store: hooked(this.store, () => this.before, this.#storeTime),
      isShared: this.#storeTime !== undefined,
      caller: this.caller,
      systemClock: this.clock,
      log: createLog('debug', { write: (line) => this.logged.push(JSON.parse(line) as LogLine) }),
      defaults: { version: '1.2.3', timeoutMs: 15_000, expectedStatus },
    })
    ;({
      ticker: this.ticker,
      leases: this.leases,
      upkeep: this.upkeep,
      dispatcher: this.dispatcher,
      hosts: this.hosts,
    } = this.#scheduler.parts)
    const pass = this.dispatcher.pass.bind(this.dispatcher)
    this.dispatcher.pass = () => {
      this.passes.push(this.nodeClock.now())
      return pass()
    }
  }

  async start(): Promise<void> {
    await this.#scheduler.start()
    await settle()
  }

  readiness(): ReturnType<Scheduler['readiness']> {
    return this.#scheduler.readiness()
  }

  /** Lets the pass and the calls under way end, the calls within `graceMs`; resolves when all is recorded. The store stays open for a successor. */
  async stop(graceMs = 0): Promise<void> {
    await this.crash()
    const stopped = this.#scheduler.stop(graceMs)
    await this.clock.advance(graceMs)
    await stopped
  }

  /** Stores tasks and wakes the ticker, as the API does. */
  async put(...tasks: NewTask[]): Promise<void> {
    await this.store.put(tasks, { now: this.nodeClock.now() })
    for (const { dueAt } of tasks) this.ticker.wake(dueAt)
    await settle()
  }

  /** The process is gone: nothing more is claimed, recorded or handed back, and the calls under way never end. */
  async crash(): Promise<void> {
    const { ticker, leases, upkeep, clockWatch } = this.#scheduler.parts
    await Promise.all([ticker, leases, upkeep, clockWatch].map((loop) => loop.stop()))
  }

  /** Stores the handler of a name and wakes the ticker, as the API does. */
  async putHandler(name: string, definition: HandlerDefinition): Promise<void> {
    await this.store.putHandler(name, definition, { now: this.nodeClock.now(), force: true })
    this.ticker.wake(this.nodeClock.now())
    await settle()
  }

  /** Has a task called now, as the API does. */
  async run({
    name = 'a-task',
    triggerAt = MINUTE,
    removeAfter = false,
  }: Partial<TaskKey> & { removeAfter?: boolean } = {}): Promise<void> {
    const task = await this.store.run({ name, triggerAt }, { now: this.nodeClock.now(), removeAfter })
    if (typeof task === 'string') throw new Error(`${name}@${triggerAt} is ${task}`)
    this.ticker.wake(task.dueAt)
    await settle()
  }

  /** Has somebody say how a running task has ended, or that it goes on, as the API does; the first attempt, as successful, where that is not said. */
  async acknowledge(said: Partial<Acknowledgement> = {}): Promise<AckResult['status']> {
    const now = this.nodeClock.now()
    const ack = { key: { name: 'a-task', triggerAt: MINUTE }, attempt: 1, status: 'successful', retryable: true, detail: null } as const
    const { status } = await this.store.acknowledge({ ...ack, now, random: 0, ...said })
    this.ticker.wake(now)
    await settle()
    return status
  }

  /** @throws Error where there is no such task */
  async task(name = 'a-task', triggerAt = MINUTE): Promise<Task> {
    const task = await this.store.get({ name, triggerAt })
    if (task === undefined) throw new Error(`no task ${name}@${triggerAt}`)
    return task
  }

  history(name = 'a-task', triggerAt = MINUTE): Promise<Attempt[]> {
    return this.store.history({ name, triggerAt })
  }

  /** What was logged under these names, in order. */
  events(...names: LogEvent[]): LogLine[] {
    return this.logged.filter(({ event }) => names.includes(event))
  }

  /** Lets things come to rest, without time passing, until `condition` holds. */
  async until(condition: () => boolean): Promise<void> {
    for (let n = 0; !condition(); n += 1) {
      if (n === MOST_SETTLINGS) throw new Error(`never came true: ${condition.toString()}`)
      await settle()
    }
  }
}

/** A node at `MINUTE` whose one task has just been called. */
export async function afterOneCall(definition: Partial<TaskDefinition> = {}, options: HarnessOptions = {}): Promise<SchedulerHarness> {
  const harness = new SchedulerHarness({ startAt: MINUTE_MS, ...options })
  await harness.put(aTask({ definition }))
  await harness.start()
  return harness
}

/** What a store answers whose disk is full. */
export function refuseWrites(): never {
  throw new CallmeError('store_unavailable', 'the store does not answer: database or disk is full (SQLITE_FULL)')
}

/** A clock that shows `start` now, and goes on as time does, whatever becomes of the system's. */
function timeFrom(start: number | undefined, clock: FakeClock): (() => number) | undefined {
  return start === undefined ? undefined : () => start + clock.monotonic()
}

function hooked(store: Store, before: () => SchedulerHarness['before'], time: (() => number) | undefined): Store {
  return new Proxy(store, {
    get: (target, verb: keyof Store) => {
      if (verb === 'onDue') return target.onDue.bind(target)
      const method = (verb === 'time' && time ? time : target[verb].bind(target)) as (...args: unknown[]) => unknown
      // eslint-disable-next-line @typescript-eslint/require-await -- the promise turns a thrown error into a rejection
      return async (...args: unknown[]) => {
        ;(before()[verb] as ((...args: unknown[]) => void) | undefined)?.(...args)
        return method(...args)
      }
    },
  })
}
