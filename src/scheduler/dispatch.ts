/** Claims what is due while there is room, and has each claimed task executed. */
import type { Caller } from '../caller/caller.ts'
import type { Task } from '../domain/task/task.ts'
import { formatTaskKey } from '../domain/task/task-key.ts'
import { minuteOf } from '../domain/time/trigger-time.ts'
import type { Log } from '../telemetry/log.ts'
import { execute } from './execute.ts'
import type { Execution } from './execute.ts'
import type { HostLimits } from './host-limits.ts'

/** How long a claim stands without being renewed, in ms. */
export const LEASE_MS = 60_000
/** A call is not started with less of its lease left. */
const LEASE_LEFT_MS = 5000
/** Larger ones are cheaper, but what is due meanwhile waits for each: 100 take 7 ms on SQLite and 25 ms on PostgreSQL. */
const EXPIRE_BATCH = 100
/** Within a minute, and while calls end one after the other: passes follow each other closely then. Most windows close with a minute. */
const EXPIRE_EVERY_MS = 100
/** So many tasks for each call that may be under way are claimed and not yet recorded at the most. */
const CLAIMS_PER_SLOT = 2
const NO_ROOM = { free: 0, isProven: false, inflight: 0 }
const HAND_BACK: Caller = {
  prepare: () => undefined,
  call: () => Promise.resolve({ kind: 'not_called', reason: 'stopping' }),
  stop: () => Promise.resolve(),
}

export class Dispatcher {
  readonly #execution: Execution
  readonly #lanes: HostLimits
  readonly #onRoom: () => void
  readonly #claims = new Set<Task>()
  /** the hosts of what was ended because it was out of time, while there may be more of that */
  readonly #overdueHosts = new Set<string>()
  /** in monotonic ms; while there may be more that is out of time, nothing is claimed before this */
  #claimFrom = -Infinity
  /** when what is out of time was last looked for, and no more of it was left */
  #expiredAt = -Infinity
  #whenIdle: (() => void) | undefined

  /** @param onRoom is told when a call or an execution has ended, so that another pass is worthwhile */
  constructor(execution: Execution, lanes: HostLimits, onRoom: () => void) {
    this.#execution = execution
    this.#lanes = lanes
    this.#onRoom = onRoom
  }

  /**
   * One pass: ends a batch of what is out of time, if that was not looked for just before, then claims and starts what is due while there
   * are slots. While more may be out of time, its hosts are passed over: a claim would have to look past all of it.
   * @returns a time (epoch ms) no later than when the next task is due, now where more may be out of time; undefined where the end
   * of a call comes first
   */
  async pass(): Promise<number | undefined> {
    const { clock } = this.#execution
    const now = clock.now()
    if (this.#hasJustLooked(now)) return this.#claimSoonAfter()
    const isMoreExpired = await this.#expire()
    this.#expiredAt = isMoreExpired ? -Infinity : now
    if (!isMoreExpired) return this.#claim()
    await this.#claimMeanwhile()
    return clock.now()
  }

  /** The tasks that this node has claimed and not yet recorded. */
  claims(): readonly Task[] {
    return [...this.#claims]
  }

  /** Resolves when no execution is under way. */
  async drained(): Promise<void> {
    if (this.#claims.size > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve))
  }

  /** Ends one batch, so that nothing waits for a long backlog. @returns whether there may be more */
  async #expire(): Promise<boolean> {
    const { store, clock, log } = this.#execution
    const { tasks, more } = await store.expire({ now: clock.now(), limit: EXPIRE_BATCH })
    for (const task of tasks) {
      reportExpired(task, log)
      this.#overdueHosts.add(task.host)
    }
    if (!more) this.#overdueHosts.clear()
    return more
  }

  /** Not all hosts with something out of time are known yet, so a claim may take long: the ending has as much time as the claims in between. */
  async #claimMeanwhile(): Promise<void> {
    const { clock } = this.#execution
    const startedAt = clock.monotonic()
    if (startedAt < this.#claimFrom) return
    await this.#claim()
    const endedAt = clock.monotonic()
    this.#claimFrom = endedAt + (endedAt - startedAt)
  }

  #hasJustLooked(now: number): boolean {
    return Math.abs(now - this.#expiredAt) < EXPIRE_EVERY_MS && minuteOf(now) === minuteOf(this.#expiredAt)
  }

  /** Without a look at what is out of time, which then follows in time. */
  async #claimSoonAfter(): Promise<number | undefined> {
    const nextDue = (await this.#claim()) ?? Infinity
    const nextLook = this.#expiredAt + EXPIRE_EVERY_MS
    if (nextDue > this.#execution.clock.now()) return Math.min(nextDue, nextLook)
    // It could not see past all that is in its way, and some of that may be out of time.
    this.#expiredAt = -Infinity
    return nextDue
  }

  async #claim(): Promise<number | undefined> {
    const { store, caller, clock, node } = this.#execution
    const now = clock.now()
    this.#lanes.forgetIdle(now)
    const limits = this.#limits()
    if (limits.limit <= 0) return undefined
    const leaseUntil = now + LEASE_MS
    const { tasks, nextDue } = await store.claimDue({ now, node, leaseUntil, ...limits })
    // A store that took very long may have given them to others already.
    const execution = clock.now() < leaseUntil - LEASE_LEFT_MS ? this.#execution : { ...this.#execution, caller: HAND_BACK }
    for (const task of tasks) this.#start(task, execution)
    if (nextDue !== undefined) caller.prepare()
    return nextDue
  }

  #start(task: Task, execution: Execution): void {
    this.#execution.log.debug('task.claimed', { task: formatTaskKey(task), run_id: task.runId, attempt: task.attempts })
    this.#claims.add(task)
    this.#lanes.enter(task.host)
    // The slot is that of the call: the next one need not wait until this one's result is durable.
    void execute(task, execution, (result) => {
      this.#lanes.learn(task.host, result)
      this.#lanes.leave(task.host, this.#execution.clock.now())
      this.#onRoom()
    }).finally(() => {
      this.#claims.delete(task)
      this.#onRoom()
      if (this.#claims.size === 0) this.#whenIdle?.()
    })
  }

  /** As the lanes have room; but results that the store does not take in time leave none. */
  #limits(): ReturnType<HostLimits['limits']> {
    const limits = this.#lanes.limits()
    const mostClaims = CLAIMS_PER_SLOT * (this.#lanes.inflight + limits.limit)
    const lanes = { get: (name: string) => (this.#overdueHosts.has(name) ? NO_ROOM : limits.hosts.get(name)) }
    return { ...limits, hosts: lanes, limit: Math.min(limits.limit, mostClaims - this.#claims.size) }
  }
}

function reportExpired(task: Task, log: Log): void {
  log.warn(task.state === 'skipped' ? 'task.skipped' : 'task.failed', { task: formatTaskKey(task), run_id: task.runId, error: task.error })
}
