/**
 * Accounts for runs by what is recorded of them: what became of each, and whether the promises were kept. A run is one life of an entry, from
 * when it is stored, copied or run again to its end; it has a run id and attempts.
 */
import { rfc3339 } from '../time/rfc3339.ts'
import type { Attempt, Task } from '../task/task.ts'
import type { TaskKey } from '../task/task-key.ts'

/** An entry and all that is recorded of its runs. */
export interface LedgerTask extends Pick<
  Task,
  'name' | 'triggerAt' | 'state' | 'runId' | 'windowFrom' | 'deadline' | 'leaseUntil' | 'error'
> {
  /** how many attempts its present run has started */
  readonly attempts: number
  /** of all runs, in the order of run and number */
  readonly history: readonly Attempt[]
}

/**
 * What became of a run. `on_time`, `early`, `late`: successful, and called inside its window, before it was due, at or after the window's end.
 * `removed`: deleted by a person, or replaced or moved before it had ended. `waiting`: due and not ended, with time left. `missed`: its time
 * has passed, or it has ended, and no record says how.
 */
export type Standing = 'on_time' | 'early' | 'late' | 'skipped' | 'failed' | 'removed' | 'waiting' | 'missed' | 'not_due'
/** As what a run counts of which no row tells any more. */
export type PastStanding = Extract<Standing, 'removed' | 'skipped' | 'failed'>
export type BrokenPromise = 'missed' | 'doubled' | 'late' | 'early'

/** A promise that was not kept. */
export interface Breach {
  readonly promise: BrokenPromise
  /** null where it is of no run that is known */
  readonly run: { readonly key: TaskKey; readonly id: string } | null
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

/** Of every run of an entry that is recorded, the present one first. @param now epoch ms */
export function accountFor(entry: LedgerTask, now: number): RunAccount[] {
  const runs = Map.groupBy(entry.history, ({ runId }) => runId)
  const attempts = runs.get(entry.runId) ?? []
  runs.delete(entry.runId)
  const missed = missedBecause(entry, attempts, now)
  const present = missed === undefined ? presentStanding(entry, attempts, now) : standing('missed')
  const breaches: Found[] = missed === undefined ? [] : [{ promise: 'missed', detail: missed }]
  const ofRun = (id: string) => (found: Found) => ({ ...found, run: { key: entry, id } })
  return [
    { ...present, breaches: [...brokenBy(attempts), ...breaches].map(ofRun(entry.runId)) },
    ...[...runs].map(([id, earlier]) => ({ ...pastStanding(earlier), breaches: brokenBy(earlier).map(ofRun(id)) })),
  ]
}

type StandingAndReason = Pick<RunAccount, 'standing' | 'reason'>
type Found = Omit<Breach, 'run'>

function presentStanding(entry: LedgerTask, attempts: readonly Attempt[], now: number): StandingAndReason {
  switch (entry.state) {
    case 'successful':
      return standing(timing(attempts))
    case 'failed':
    case 'skipped':
      return standing(entry.state, entry.error)
    case 'running':
      return standing('waiting')
    case 'pending':
    case 'retrying':
      return standing(entry.windowFrom > now ? 'not_due' : 'waiting')
  }
}

/** A run that has another one after it tells by its last attempt how it ended, or that it did not. */
function pastStanding(attempts: readonly Attempt[]): StandingAndReason {
  const last = attempts.at(-1)
  const known = last?.outcome === 'accepted' ? null : last?.outcome
  const outcome = known ?? (last?.error === null ? 'successful' : 'failed')
  if (outcome === 'successful') return standing(timing(attempts))
  return outcome === 'failed' ? standing('failed', last?.error) : standing('removed')
}

function standing(standing: Standing, reason: string | null = null): StandingAndReason {
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
function missedBecause(entry: LedgerTask, attempts: readonly Attempt[], now: number): string | undefined {
  const { state, deadline, leaseUntil } = entry
  const unrecorded = (state === 'running' ? entry.attempts - 1 : entry.attempts) - attempts.length
  if (unrecorded > 0) return `${unrecorded} of its ${entry.attempts} attempts are not recorded`
  if (state === 'successful' && attempts.length === 0) return 'successful, but no attempt is recorded'
  const last = attempts.at(-1)?.outcome ?? null
  const isSuccess = last === 'successful'
  // A program that does not know outcomes may have ended what was accepted.
  if (last !== null && last !== 'accepted' && ((state === 'successful' && !isSuccess) || (state === 'failed' && isSuccess)))
    return `${state}, but its last attempt is recorded as ${last}`
  if ((state === 'pending' || state === 'retrying') && deadline + GRACE_MS <= now)
    return `still ${state}: its window closed at ${rfc3339(deadline)}, and nothing has ended it`
  if (state === 'running' && leaseUntil !== null && leaseUntil + GRACE_MS <= now)
    return `still running: its lease was over at ${rfc3339(leaseUntil)}, and nothing has settled it`
  return undefined
}

/** Promises that were broken by the attempts of any run. */
function brokenBy(attempts: readonly Attempt[]): Found[] {
  return attempts.flatMap((attempt, index): Found[] => {
    const { number, startedAt, dueAt, deadline } = attempt
    const said = `attempt ${number} started at ${rfc3339(startedAt)}`
    const doubled = forbiddenBy(attempts.slice(0, index))
    return [
      ...(isLate(attempt) ? [{ promise: 'late', detail: `${said}, its window closed at ${rfc3339(deadline ?? 0)}` } as const] : []),
      ...(isEarly(attempt) ? [{ promise: 'early', detail: `${said}, it was due at ${rfc3339(dueAt ?? 0)}` } as const] : []),
      ...(doubled === undefined ? [] : [{ promise: 'doubled', detail: `${said}, ${doubled}` } as const]),
    ]
  })
}

/** Why none may follow these attempts of a run; undefined where one may. */
function forbiddenBy(earlier: readonly Attempt[]): string | undefined {
  const end = earlier.find(({ outcome }) => outcome === 'successful' || outcome === 'failed')
  if (end !== undefined) return `after attempt ${end.number} had ended the run`
  const last = earlier.find(({ attemptsLeft }) => attemptsLeft !== null && attemptsLeft <= 0)
  return last && `after attempt ${last.number}, which none might follow`
}
