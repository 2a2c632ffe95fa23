/** Claims what is due while there is room, and has each claimed task executed. */
import type { Caller } from '../caller/caller.ts'
import type { Task } from '../domain/task.ts'
import { formatTaskKey } from '../domain/task-key.ts'
import type { Log } from '../log.ts'
import { execute } from './execute.ts'
import type { Execution } from './execute.ts'
import type { Lanes } from './lanes.ts'

/** How long a claim stands without being renewed, in ms. */
export const LEASE_MS = 60_000
/** A call is not started with less of its lease left. */
const LEASE_LEFT_MS = 5000
const EXPIRE_BATCH = 250
/** While calls end one after the other, passes follow each other closely: what is out of time is looked for in one of them now and then. */
const EXPIRE_EVERY_MS = 100
/** So many tasks for each call that may be under way are claimed and not yet recorded at the most. */
const CLAIMS_PER_SLOT = 2
const HAND_BACK: Caller = {
  prepare: () => undefined,
  call: () => Promise.resolve({ kind: 'not_called', reason: 'stopping' }),
  stop: () => Promise.resolve(),
}

export class Dispatcher {
  readonly #execution: Execution
  readonly #lanes: Lanes
  readonly #onRoom: () => void
  readonly #claims = new Set<Task>()
  /** when what is out of time was last looked for, and no more of it was left */
  #expiredAt = -Infinity
  #whenIdle: (() => void) | undefined

  /** @param onRoom is told when a call or an execution has ended, so that another pass is worthwhile */
  constructor(execution: Execution, lanes: Lanes, onRoom: () => void) {
    this.#execution = execution
    this.#lanes = lanes
    this.#onRoom = onRoom
  }

  /**
   * One pass: ends a batch of what is out of time, if that was not looked for just before; when no more is, claims and starts what is due
   * while there are slots.
   * @returns a time (epoch ms) no later than when the next task is due, now where more may be out of time; undefined where the end
   * of a call comes first
   */
  async pass(): Promise<number | undefined> {
    const { clock } = this.#execution
    const now = clock.now()
    const isSoonAfter = Math.abs(now - this.#expiredAt) < EXPIRE_EVERY_MS
    if (!isSoonAfter) {
      // What is out of time goes first: a claim would have to look past it, again and again.
      const isMoreExpired = await this.#expire()
      if (isMoreExpired) return now
      this.#expiredAt = now
    }
    const nextDue = await this.#claim()
    if (!isSoonAfter) return nextDue
    // Where the claim could not see past all that is in its way, some of it may be out of time.
    if (nextDue !== undefined && nextDue <= clock.now()) {
      this.#expiredAt = -Infinity
      return nextDue
    }
    return Math.min(nextDue ?? Infinity, this.#expiredAt + EXPIRE_EVERY_MS)
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
    for (const task of tasks) reportExpired(task, log)
    return more
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
    this.#lanes.enter(task.lane)
    // The slot is that of the call: the next one need not wait until this one's result is durable.
    void execute(task, execution, (result) => {
      this.#lanes.learn(task.lane, result)
      this.#lanes.leave(task.lane, this.#execution.clock.now())
      this.#onRoom()
    }).finally(() => {
      this.#claims.delete(task)
      this.#onRoom()
      if (this.#claims.size === 0) this.#whenIdle?.()
    })
  }

  /** As the lanes have room; but results that the store does not take in time leave none. */
  #limits(): ReturnType<Lanes['limits']> {
    const limits = this.#lanes.limits()
    const mostClaims = CLAIMS_PER_SLOT * (this.#lanes.inflight + limits.limit)
    return { ...limits, limit: Math.min(limits.limit, mostClaims - this.#claims.size) }
  }
}

function reportExpired(task: Task, log: Log): void {
  log.warn(task.state === 'skipped' ? 'task.skipped' : 'task.failed', { task: formatTaskKey(task), run_id: task.runId, error: task.error })
}
