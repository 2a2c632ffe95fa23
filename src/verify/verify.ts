/** Reads the ledger of a store and adds up the standings of all runs. Only broken promises are kept one by one. */
import { accountFor, type Breach, type BrokenPromise, type PastStanding, type RunAccount, type Standing } from '../domain/ledger/account.ts'
import { Lateness, type LatenessSummary } from '../domain/ledger/lateness.ts'
import { rfc3339 } from '../domain/time/trigger-time.ts'
import { formatTaskKey, type TaskKey } from '../domain/task/task-key.ts'
import type { LedgerSnapshot } from '../store/ledger.ts'

/** Of the runs of tasks whose minute lies in the range. Times are RFC 3339, or null where the range is open. */
export interface LedgerReport extends Readonly<Record<Standing, number>> {
  readonly ok: boolean
  readonly from: string | null
  readonly to: string | null
  readonly at: string
  /** the sum of all standings but `not_due` */
  readonly due: number
  /** how often each reason occurred; after 200 different ones the rest counts as "other" */
  readonly reasons: Readonly<Record<'skipped' | 'failed', Readonly<Record<string, number>>>>
  /** attempts that were lost with their node or worker and might be followed by others */
  readonly lost_attempts: number
  /** ms */
  readonly lateness: LatenessSummary
  /** how often each promise was broken */
  readonly broken: Readonly<Record<BrokenPromise, number>>
  /** the first of each kind */
  readonly breaches: readonly WireBreach[]
}

interface WireBreach {
  readonly promise: BrokenPromise
  /** the key; null where the run is not known */
  readonly task: string | null
  readonly run_id: string | null
  readonly detail: string
}

export interface VerifyOptions {
  /** Unix seconds, inclusive */
  readonly from?: number
  /** Unix seconds, exclusive */
  readonly to?: number
  /** epoch ms; the time of the snapshot where absent */
  readonly now?: number
}

const PAGE = 1000
/** How many broken promises of each kind are listed. */
export const LISTED = 100
/** The part of a reason after its kind: a time, or the words of a person. */
const DETAIL = /[:;] .*/s
const MOST_KINDS = 200
const OTHER = 'other'
const NO_REASON = 'no reason is kept of what was run again or replaced'

/** Accounts for every run of the snapshot; without a range, also for the number of tasks. */
export async function verify(ledger: LedgerSnapshot, { now = ledger.takenAt, ...range }: VerifyOptions = {}): Promise<LedgerReport> {
  const sums = new Sums()
  let after: TaskKey | undefined
  let tasks = 0
  do {
    const page = await ledger.runs(range, { ...(after && { after }), limit: PAGE })
    tasks += page.tasks.length
    for (const task of page.tasks) {
      for (const run of accountFor(task, now)) sums.add(run)
      for (const attempt of task.history) sums.lateness.add(attempt)
      sums.lost += task.history.filter(({ outcome }) => outcome === 'lost').length
    }
    after = page.next
  } while (after)
  const { from = 0, to = Infinity } = range
  const dueUntil = Math.min(to, Math.floor(now / 1000) + 1)
  for (const { standing, n } of await ledger.pastRuns({ from, to: dueUntil })) sums.past(standing, n)
  if (range.from === undefined && range.to === undefined) sums.vanished((await ledger.counted()) - tasks)
  return sums.report(range, now)
}

class Sums {
  readonly lateness = new Lateness()
  lost = 0
  readonly #runs = { on_time: 0, early: 0, late: 0, skipped: 0, failed: 0, removed: 0, waiting: 0, missed: 0, not_due: 0 }
  readonly #reasons = { skipped: new Tally(), failed: new Tally() }
  readonly #broken: Record<BrokenPromise, number> = { missed: 0, doubled: 0, late: 0, early: 0 }
  readonly #breaches: Breach[] = []

  add({ standing, reason, breaches }: RunAccount): void {
    this.#runs[standing] += 1
    if (standing === 'skipped' || standing === 'failed') this.#reasons[standing].add(reason ?? NO_REASON)
    for (const breach of breaches) this.#break(breach)
  }

  /** Adds runs of which only the number is left. */
  past(standing: PastStanding, runs: number): void {
    this.#runs[standing] += runs
    if (standing !== 'removed') this.#reasons[standing].add(NO_REASON, runs)
  }

  /** @param tasks how many more were counted than are there */
  vanished(tasks: number): void {
    if (tasks === 0) return
    this.#runs.missed += Math.abs(tasks)
    const detail =
      tasks > 0
        ? `${tasks} more entries were counted when they were written than there are now`
        : `there are ${-tasks} more entries than were counted when they were written`
    this.#break({ promise: 'missed', run: null, detail })
  }

  report({ from, to }: VerifyOptions, now: number): LedgerReport {
    const { not_due, ...due } = this.#runs
    return {
      ok: Object.values(this.#broken).every((times) => times === 0),
      from: from === undefined ? null : rfc3339(from * 1000),
      to: to === undefined ? null : rfc3339(to * 1000),
      at: rfc3339(now),
      due: Object.values(due).reduce((sum, runs) => sum + runs, 0),
      ...due,
      not_due,
      reasons: { skipped: this.#reasons.skipped.counts(), failed: this.#reasons.failed.counts() },
      lost_attempts: this.lost,
      lateness: this.lateness.summary(),
      broken: this.#broken,
      breaches: this.#breaches.map(presentBreach),
    }
  }

  #break(breach: Breach): void {
    this.#broken[breach.promise] += 1
    if (this.#broken[breach.promise] <= LISTED) this.#breaches.push(breach)
  }
}

function presentBreach({ promise, run, detail }: Breach): WireBreach {
  return { promise, task: run && formatTaskKey(run.key), run_id: run?.id ?? null, detail }
}

/** Counts reasons by their kind. The number of kinds is bounded, because a reason may hold any text. */
class Tally {
  readonly #counts = new Map<string, number>()

  add(reason: string, times = 1): void {
    const kind = reason.replace(DETAIL, '')
    const counted = this.#counts.has(kind) || this.#counts.size < MOST_KINDS ? kind : OTHER
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + times)
  }

  /** The most frequent first. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort(([, a], [, b]) => b - a))
  }
}
