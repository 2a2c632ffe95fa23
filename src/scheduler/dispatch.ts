/** Claims due tasks while slots are free, and has each claimed task executed. */
import type { CallRequest } from '../caller/caller.ts'
import type { CallResult } from '../domain/attempt/verdict.ts'
import type { Task } from '../domain/task/task.ts'
import { formatTaskKey } from '../domain/task/task-key.ts'
import { execute, type Execution } from './execute.ts'
import { Expiry } from './expiry.ts'
import type { HostLimits } from './host-limits.ts'
import { LEASE_MS } from './leases.ts'

type Limits = ReturnType<HostLimits['limits']>

/** The claimed and not yet recorded tasks, without those whose call has hung, are at most so many for each slot. */
const CLAIMS_PER_SLOT = 2
const NO_CAPACITY = { free: 0, state: 'silent', inflight: 0 } as const

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
   * @returns a time (epoch ms) no later than the next due task, when calls that hang leave their slots, the end of a shortage, or now while
   * more tasks may be out of time; undefined where the end of a call comes first
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
    const { clock, shortages } = this.#execution
    this.#hosts.forgetIdle(clock.monotonic())
    const limits = this.#limits()
    const nextDue = limits.limit > 0 ? await this.#claimWithin(limits) : undefined
    // A call that hangs frees its slot, a shortage ends, and no event tells of it.
    const againIn = Math.min(this.#hosts.nextSlotIn(clock.monotonic()) ?? Infinity, shortages.endsIn() ?? Infinity)
    return againIn === Infinity ? nextDue : Math.min(nextDue ?? Infinity, clock.now() + againIn)
  }

  /** @returns when the next task is due that the limits allow, epoch ms; undefined where none is known */
  async #claimWithin(limits: Limits): Promise<number | undefined> {
    const { store, caller, clock, node } = this.#execution
    const now = clock.now()
    const { tasks, nextDue } = await store.claimDue({ now, node, leaseUntil: now + LEASE_MS, ...limits })
    for (const task of tasks) this.#start(task)
    if (nextDue !== undefined) caller.prepare()
    return nextDue
  }

  #start(task: Task): void {
    const { log, clock } = this.#execution
    log.debug('task.claimed', { task: formatTaskKey(task), run_id: task.runId, attempt: task.attempts })
    this.#claims.add(task)
    const call = this.#hosts.enter(task.host, clock.monotonic())
    const onRequest = ({ body = '' }: CallRequest): void => {
      this.#hosts.weigh(call, body.length)
    }
    // A slot is held by the call alone: the next call need not wait until this result is durable.
    const onResult = (result: CallResult): void => {
      this.#hosts.leave(call, result, clock.monotonic())
      this.#onFree()
    }
    void execute(task, this.#execution, { onRequest, onResult }).finally(() => {
      this.#claims.delete(task)
      this.#onFree()
      if (this.#claims.size === 0) this.#whenIdle?.()
    })
  }

  /** The capacity of the hosts. It is also limited by the results that the store has not taken yet, and by a shortage of the node. */
  #limits(): Limits {
    const { clock, shortages } = this.#execution
    const limits = this.#hosts.limits(clock.monotonic())
    const { open, inflight, maxInflight } = this.#hosts
    const working = this.#claims.size - (open - inflight)
    const hosts = { get: (name: string) => (this.#expiry.isBacklogged(name) ? NO_CAPACITY : limits.hosts.get(name)) }
    // More calls would only take what is short already.
    const inShortage = shortages.readiness().shortage === null ? Infinity : maxInflight - open
    return { ...limits, hosts, limit: Math.min(limits.limit, CLAIMS_PER_SLOT * maxInflight - working, inShortage) }
  }
}
