/** Claims due tasks while slots are free, and has each claimed task executed. */
import type { Task } from '../domain/task/task.ts'
import { formatTaskKey } from '../domain/task/task-key.ts'
import { execute, type Execution } from './execute.ts'
import { Expiry } from './expiry.ts'
import type { HostLimits } from './host-limits.ts'
import { LEASE_MS } from './leases.ts'

/** The claimed and not yet recorded tasks are at most so many for each slot. */
const CLAIMS_PER_SLOT = 2
const NO_CAPACITY = { free: 0, isProven: false, inflight: 0 }

export class Dispatcher {
  readonly #execution: Execution
  readonly #hosts: HostLimits
  readonly #onFree: () => void
  readonly #expiry: Expiry
  readonly #claims = new Set<Task>()
  #whenIdle: (() => void) | undefined

  /** @param onFree is called when a call or an execution has ended, so that another pass may claim more */
  constructor(execution: Execution, hosts: HostLimits, onFree: () => void) {
    this.#execution = execution
    this.#hosts = hosts
    this.#onFree = onFree
    this.#expiry = new Expiry(execution)
  }

  /**
   * One pass: ends tasks that are out of time, then claims and starts due tasks while slots are free.
   * @returns a time (epoch ms) no later than the next due task, or now while more tasks may be out of time; undefined where the
   * end of a call comes first
   */
  pass(): Promise<number | undefined> {
    return this.#expiry.pass(() => this.#claim())
  }

  /** The tasks that this node has claimed and not yet recorded. */
  claims(): readonly Task[] {
    return [...this.#claims]
  }

  /** Resolves when no execution is under way. */
  async drained(): Promise<void> {
    if (this.#claims.size > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve))
  }

  async #claim(): Promise<number | undefined> {
    const { store, caller, clock, node } = this.#execution
    const now = clock.now()
    this.#hosts.forgetIdle(now)
    const limits = this.#limits()
    if (limits.limit <= 0) return undefined
    const { tasks, nextDue } = await store.claimDue({ now, node, leaseUntil: now + LEASE_MS, ...limits })
    for (const task of tasks) this.#start(task)
    if (nextDue !== undefined) caller.prepare()
    return nextDue
  }

  #start(task: Task): void {
    const { log, clock } = this.#execution
    log.debug('task.claimed', { task: formatTaskKey(task), run_id: task.runId, attempt: task.attempts })
    this.#claims.add(task)
    this.#hosts.enter(task.host)
    // A slot is held by the call alone: the next call need not wait until this result is durable.
    void execute(task, this.#execution, (result) => {
      this.#hosts.leave(task.host, result, clock.now())
      this.#onFree()
    }).finally(() => {
      this.#claims.delete(task)
      this.#onFree()
      if (this.#claims.size === 0) this.#whenIdle?.()
    })
  }

  /** The capacity of the hosts. It is also limited by the results that the store has not taken yet. */
  #limits(): ReturnType<HostLimits['limits']> {
    const limits = this.#hosts.limits()
    const mostClaims = CLAIMS_PER_SLOT * (this.#hosts.inflight + limits.limit)
    const hosts = { get: (name: string) => (this.#expiry.isBacklogged(name) ? NO_CAPACITY : limits.hosts.get(name)) }
    return { ...limits, hosts, limit: Math.min(limits.limit, mostClaims - this.#claims.size) }
  }
}
