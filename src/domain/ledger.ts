/**
 * Accounts for runs by what is recorded of them: what became of each, and whether the promises were kept. A run is one life of an entry, from
 * when it is stored, copied or run again to its end; it has a run id and attempts.
 */
import type { Attempt, Delivery, Task } from './task.ts'
import type { TaskKey } from './task-key.ts'

/** An entry and all that is recorded of its runs. */
export interface LedgerEntry extends Pick<
  Task,
  'name' | 'triggerAt' | 'state' | 'runId' | 'windowFrom' | 'deadline' | 'leaseUntil' | 'error'
> {
  /** how many attempts its present run has started */
  readonly attempts: number
  /** the task's own; null where it leaves that to its handler or the default */
  readonly retry: number | null
  readonly delivery: Delivery | null
  /** of all runs, in the order of run and number */
  readonly history: readonly Attempt[]
}

/** What became of a run. */
export const STANDINGS = [
  /** successful, and called inside its window */
  'on_time',
  /** successful, and called before it was due */
  'early',
  /** successful, and called at or after the end of its window */
  'late',
  'skipped',
  'failed',
  /** deleted, replaced, moved or run again by a person before it had ended */
  'removed',
  /** due and not ended, with time left */
  'waiting',
  /** its time has passed, and no record says what became of it */
  'missed',
  'not_due',
] as const

export type Standing = (typeof STANDINGS)[number]
export type BrokenPromise = 'missed' | 'doubled' | 'late' | 'early'

/** A promise that was not kept. */
export interface Breach {
  readonly promise: BrokenPromise
  readonly key: TaskKey
  readonly runId: string
  readonly detail: string
}

export interface RunAccount {
  readonly standing: Standing
  /** why it failed or was skipped */
  readonly reason: string | null
  readonly breaches: readonly Breach[]
}

/** How long the scheduler may take to end what is out of time, or to settle what has lost its node, in ms. */
export const GRACE_MS = 2 * 60_000

/** Of every run of an entry that is recorded. @param now epoch ms */
export function accountFor(entry: LedgerEntry, now: number): RunAccount[] {
  const runs = new Map<string, Attempt[]>([[entry.runId, []]])
  for (const attempt of entry.history) {
    const attempts = runs.get(attempt.runId)
    if (attempts === undefined) runs.set(attempt.runId, [attempt])
    else attempts.push(attempt)
  }
  return [...runs].map(([runId, attempts]) => {
    const standing = runId === entry.runId ? presentStanding(entry, attempts, now) : pastStanding(attempts)
    const breaches = [...brokenBy(attempts), ...(runId === entry.runId ? brokenByEntry(entry, attempts, now) : [])]
    return { ...standing, breaches: breaches.map((breach) => ({ ...breach, key: entry, runId })) }
  })
}

type Told = Pick<RunAccount, 'standing' | 'reason'>
type Found = Omit<Breach, 'key' | 'runId'>

function presentStanding(entry: LedgerEntry, attempts: readonly Attempt[], now: number): Told {
  if (missedBecause(entry, attempts, now) !== undefined) return told('missed')
  switch (entry.state) {
    case 'successful':
      return told(timing(attempts))
    case 'failed':
    case 'skipped':
      return told(entry.state, entry.error)
    case 'running':
      return told('waiting')
    case 'pending':
    case 'retrying':
      return told(entry.windowFrom > now ? 'not_due' : 'waiting')
  }
}

/** A run that has another one after it tells by its last attempt how it ended, or that it did not. */
function pastStanding(attempts: readonly Attempt[]): Told {
  const last = attempts.at(-1)
  const outcome = last?.outcome ?? (last?.error === null ? 'successful' : 'failed')
  if (outcome === 'successful') return told(timing(attempts))
  return outcome === 'failed' ? told('failed', last?.error) : told('removed')
}

function told(standing: Standing, reason: string | null = null): Told {
  return { standing, reason }
}

function timing(attempts: readonly Attempt[]): 'on_time' | 'early' | 'late' {
  if (attempts.some(isLate)) return 'late'
  return attempts.some(isEarly) ? 'early' : 'on_time'
}

function isLate({ startedAt, deadline }: Attempt): boolean {
  return deadline !== null && startedAt >= deadline
}

/** What was lost counts from its claim: nobody knows when it was called. */
function isEarly({ startedAt, dueAt, outcome }: Attempt): boolean {
  return dueAt !== null && startedAt < dueAt && outcome !== 'lost'
}

/** Why nobody knows what became of a run whose time has passed; undefined where that is known, or there is time left. */
function missedBecause(entry: LedgerEntry, attempts: readonly Attempt[], now: number): string | undefined {
  const { state, deadline, leaseUntil } = entry
  const unrecorded = (state === 'running' ? entry.attempts - 1 : entry.attempts) - attempts.length
  if (unrecorded > 0) return `${unrecorded} of its ${entry.attempts} attempts are not recorded`
  if (state === 'successful' && attempts.length === 0) return 'successful, but no attempt is recorded'
  if ((state === 'pending' || state === 'retrying') && deadline + GRACE_MS <= now)
    return `still ${state}: its window closed at ${rfc3339(deadline)}, and nothing has ended it`
  if (state === 'running' && leaseUntil !== null && leaseUntil + GRACE_MS <= now)
    return `still running: its lease was over at ${rfc3339(leaseUntil)}, and nothing has settled it`
  return undefined
}

/** Promises that were broken by the attempts of any run. */
function brokenBy(attempts: readonly Attempt[]): Found[] {
  const ended = attempts.findIndex(({ outcome }) => outcome === 'successful' || outcome === 'failed')
  return attempts.flatMap((attempt, index): Found[] => {
    const { number, startedAt, dueAt, deadline, outcome } = attempt
    const said = `attempt ${number} started at ${rfc3339(startedAt)}`
    return [
      ...(isLate(attempt) ? [{ promise: 'late', detail: `${said}, its window closed at ${rfc3339(deadline ?? 0)}` } as const] : []),
      ...(isEarly(attempt) ? [{ promise: 'early', detail: `${said}, it was due at ${rfc3339(dueAt ?? 0)}` } as const] : []),
      ...(ended !== -1 && index > ended
        ? [
            {
              promise: 'doubled',
              detail: `${said}, after attempt ${attempts[ended]?.number ?? 0} had ended the run (${outcome ?? 'unknown'})`,
            } as const,
          ]
        : []),
    ]
  })
}

/** Promises of the present run, whose definition is still there. */
function brokenByEntry(entry: LedgerEntry, attempts: readonly Attempt[], now: number): Found[] {
  const missed = missedBecause(entry, attempts, now)
  const found: Found[] = missed === undefined ? [] : [{ promise: 'missed', detail: missed }]
  const known = attempts.filter(({ outcome }) => outcome !== 'lost' && outcome !== null).length
  if (entry.delivery === 'at_most_once' && attempts.length > 1)
    found.push({ promise: 'doubled', detail: `${attempts.length} attempts, and delivery is at_most_once` })
  else if (entry.retry !== null && known > 1 + entry.retry)
    found.push({ promise: 'doubled', detail: `${known} attempts with a known outcome, and retry is ${entry.retry}` })
  return found
}

function rfc3339(ms: number): string {
  return new Date(ms).toISOString()
}
