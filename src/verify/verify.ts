/** Goes through the ledger of a store and adds up what became of every run: nothing is kept of a run but where a promise was broken. */
import { accountFor } from '../domain/ledger/account.ts'
import type { Breach, BrokenPromise, PastStanding, RunAccount, Standing } from '../domain/ledger/account.ts'
import { Lateness } from '../domain/ledger/lateness.ts'
import type { LatenessSummary } from '../domain/ledger/lateness.ts'
import { rfc3339 } from '../domain/time/rfc3339.ts'
import { formatTaskKey } from '../domain/task/task-key.ts'
import type { TaskKey } from '../domain/task/task-key.ts'
import type { LedgerSnapshot } from '../store/ledger.ts'
import { Tally } from './tally.ts'

/** Of the runs of entries whose minute lies in the range. Times are RFC 3339, or null where the range is open. */
export interface LedgerReport {
  readonly ok: boolean
  readonly from: string | null
  readonly to: string | null
  readonly at: string
  /** the sum of the following eight */
  readonly due: number
  readonly on_time: number
  readonly early: number
  readonly late: number
  readonly skipped: number
  readonly failed: number
  readonly removed: number
  readonly waiting: number
  readonly missed: number
  readonly not_due: number
  /** how often each was the reason; beyond 200 different ones the others are added up under "other" */
  readonly reasons: Readonly<Record<'skipped' | 'failed', Readonly<Record<string, number>>>>
  /** attempts that were lost with their node or worker, after which others might follow */
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
  /** the key; null where it is of no run that is known */
  readonly task: string | null
  readonly run_id: string | null
  readonly detail: string
}

export interface VerifyOptions {
  /** Unix seconds, inclusive */
  readonly from?: number
  /** Unix seconds, exclusive */
  readonly to?: number
  /** epoch ms; when the ledger was read where absent */
  readonly now?: number
}

const PAGE = 1000
/** How many broken promises of each kind are told in detail. */
export const LISTED = 100
const NO_REASON = 'no reason is kept of what was run again or replaced'

export async function verify(ledger: LedgerSnapshot, { now = ledger.takenAt, ...range }: VerifyOptions = {}): Promise<LedgerReport> {
  const sums = new Sums()
  let after: TaskKey | undefined
  let entries = 0
  do {
    const page = await ledger.runs(range, { ...(after && { after }), limit: PAGE })
    entries += page.entries.length
    for (const entry of page.entries) {
      for (const run of accountFor(entry, now)) sums.add(run)
      for (const attempt of entry.history) sums.lateness.add(attempt)
      sums.lost += entry.history.filter(({ outcome }) => outcome === 'lost').length
    }
    after = page.next
  } while (after)
  const { from = 0, to = Infinity } = range
  const dueUntil = Math.min(to, Math.floor(now / 1000) + 1)
  for (const { standing, n } of await ledger.pastRuns({ from, to: dueUntil })) sums.past(standing, n)
  if (range.from === undefined && range.to === undefined) sums.vanished((await ledger.counted()) - entries)
  return sums.report(range, now)
}

class Sums {
  readonly lateness = new Lateness()
  lost = 0
  readonly #standings = new Map<Standing, number>()
  readonly #reasons = { skipped: new Tally(), failed: new Tally() }
  readonly #broken: Record<BrokenPromise, number> = { missed: 0, doubled: 0, late: 0, early: 0 }
  readonly #breaches: Breach[] = []

  add({ standing, reason, breaches }: RunAccount): void {
    this.count(standing, 1)
    if (standing === 'skipped' || standing === 'failed') this.#reasons[standing].add(reason ?? NO_REASON)
    for (const breach of breaches) this.#break(breach)
  }

  /** Runs of which there is no more than their number. */
  past(standing: PastStanding, runs: number): void {
    this.count(standing, runs)
    if (standing !== 'removed') this.#reasons[standing].add(NO_REASON, runs)
  }

  count(standing: Standing, runs: number): void {
    this.#standings.set(standing, (this.#standings.get(standing) ?? 0) + runs)
  }

  /** @param entries how many more were counted than are there */
  vanished(entries: number): void {
    if (entries === 0) return
    this.count('missed', Math.abs(entries))
    const detail =
      entries > 0
        ? `${entries} more entries were counted when they were written than there are now`
        : `there are ${-entries} more entries than were counted when they were written`
    this.#break({ promise: 'missed', run: null, detail })
  }

  report({ from, to }: VerifyOptions, now: number): LedgerReport {
    const of = (standing: Standing): number => this.#standings.get(standing) ?? 0
    const parts = {
      ...{ on_time: of('on_time'), early: of('early'), late: of('late'), skipped: of('skipped'), failed: of('failed') },
      ...{ removed: of('removed'), waiting: of('waiting'), missed: of('missed') },
    }
    return {
      ok: Object.values(this.#broken).every((times) => times === 0),
      from: from === undefined ? null : rfc3339(from * 1000),
      to: to === undefined ? null : rfc3339(to * 1000),
      at: rfc3339(now),
      due: Object.values(parts).reduce((sum, runs) => sum + runs, 0),
      ...parts,
      not_due: of('not_due'),
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
