/** Ends waiting tasks whose window has closed. A pass does this before its claim, so that no claim has to look past them. */
import { formatTaskKey } from '../domain/task/task-key.ts'
import { minuteOf } from '../domain/time/trigger-time.ts'
import type { Execution } from './execute.ts'

type ExpiryOptions = Pick<Execution, 'store' | 'clock' | 'log'>
type ClaimDue = () => Promise<number | undefined>

/** A larger batch is cheaper per task, but due tasks wait for it: 100 take 7 ms on SQLite and 25 ms on PostgreSQL. */
const BATCH = 100
/** Within a minute, where passes follow each other closely. Most windows close with a minute. */
const EVERY_MS = 100

export class Expiry {
  readonly #options: ExpiryOptions
  /** the hosts of the tasks ended so far, while a backlog lasts */
  readonly #backloggedHosts = new Set<string>()
  /** monotonic ms; during a backlog the next claim waits until then */
  #claimFrom = -Infinity
  /** wall clock, epoch ms: when a search last ended the last overdue task */
  #searchedAt = -Infinity

  constructor(options: ExpiryOptions) {
    this.#options = options
  }

  /** Whether a claim must pass over this host, because it would have to look past overdue tasks. */
  isBacklogged(host: string): boolean {
    return this.#backloggedHosts.has(host)
  }

  /**
   * One pass: ends a batch, unless a search has just found no more, and then has `claim` claim.
   * @param claim claims what is due, and returns when (epoch ms) the next task is due
   * @returns when the next pass is due: the time of `claim`, or an earlier one for the next search
   */
  async pass(claim: ClaimDue): Promise<number | undefined> {
    const now = this.#options.clock.now()
    const hasJustSearched = Math.abs(now - this.#searchedAt) < EVERY_MS && minuteOf(now) === minuteOf(this.#searchedAt)
    if (hasJustSearched) return this.#claimBeforeSearch(claim)
    const isBacklog = await this.#endBatch()
    this.#searchedAt = isBacklog ? -Infinity : now
    if (!isBacklog) return claim()
    await this.#claimDuringBacklog(claim)
    return this.#options.clock.now()
  }

  async #claimBeforeSearch(claim: ClaimDue): Promise<number> {
    const nextDue = (await claim()) ?? Infinity
    const nextSearch = this.#searchedAt + EVERY_MS
    if (nextDue > this.#options.clock.now()) return Math.min(nextDue, nextSearch)
    // The claim has left due tasks behind. Some of the tasks in its way may be overdue.
    this.#searchedAt = -Infinity
    return nextDue
  }

  /** @returns whether more tasks may be overdue */
  async #endBatch(): Promise<boolean> {
    const { store, clock, log } = this.#options
    const { tasks, more } = await store.expire({ now: clock.now(), limit: BATCH })
    for (const { state, host, runId, error, ...key } of tasks) {
      const event = state === 'skipped' ? 'task.skipped' : 'task.failed'
      log.warn(event, { task: formatTaskKey(key), run_id: runId, error })
      this.#backloggedHosts.add(host)
    }
    if (!more) this.#backloggedHosts.clear()
    return more
  }

  /** Not all hosts with a backlog are known yet, so a claim may take long. The ending gets as much time as the claims. */
  async #claimDuringBacklog(claim: ClaimDue): Promise<void> {
    const { clock } = this.#options
    const startedAt = clock.monotonic()
    if (startedAt < this.#claimFrom) return
    await claim()
    const endedAt = clock.monotonic()
    this.#claimFrom = endedAt + (endedAt - startedAt)
  }
}
