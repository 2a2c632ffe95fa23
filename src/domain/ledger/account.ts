/**
 * Accounts for runs by their records: what became of each, and whether the promises were kept. A run is one life of a task, from when it
 * is stored, copied or run again to its end. It has a run id and attempts.
 */
import { rfc3339 } from '../time/trigger-time.ts'
import type { Attempt } from '../task/attempt.ts'
import type { Task } from '../task/task.ts'
import type { TaskKey } from '../task/task-key.ts'

/** A task and all records of its runs. */
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
 * `removed`: deleted by a person, or replaced or moved before its end. `waiting`: due and not ended, with time left. `missed`: its time
 * has passed, or it has ended, and no record says how.
 */
export type Standing = 'on_time' | 'early' | 'late' | 'skipped' | 'failed' | 'removed' | 'waiting' | 'missed' | 'not_due'
/** The standing of a run that no row shows any more. */
export type PastStanding = Extract<Standing, 'removed' | 'skipped' | 'failed'>
export type BrokenPromise = 'missed' | 'doubled' | 'late' | 'early'

/** A promise that was not kept. */
export interface Breach {
  readonly promise: BrokenPromise
  /** null where the run is not known */
  readonly run: { readonly key: TaskKey; readonly id: string } | null
  readonly detail: string
}

export interface RunAccount {
  readonly standing: Standing
  /** why it failed or was skipped */
  readonly reason: string | null
  readonly breaches: readonly Breach[]
}

type StandingAndReason = Pick<RunAccount, 'standing' | 'reason'>
type BreachOfRun = Omit<Breach, 'run'>

/** How long the scheduler may take to end a task that is out of time, or to rescue the task of a lost node, in ms. */
export const GRACE_MS = 2 * 60_000

/** Accounts for every recorded run of a task, the present one first. @param now epoch ms */
export function accountFor(task: LedgerTask, now: number): RunAccount[] {
  const runs = Map.groupBy(task.history, ({ runId }) => runId)
  const attempts = runs.get(task.runId) ?? []
  runs.delete(task.runId)
  const missed = missedBecause(task, attempts, now)
  const present = missed === undefined ? presentStanding(task, attempts, now) : standing('missed')
  const breaches: BreachOfRun[] = missed === undefined ? [] : [{ promise: 'missed', detail: missed }]
  const ofRun = (id: string) => (breach: BreachOfRun) => ({ ...breach, run: { key: task, id } })
  return [
    { ...present, breaches: [...brokenBy(attempts), ...breaches].map(ofRun(task.runId)) },
    ...[...runs].map(([id, earlier]) => ({ ...pastStanding(earlier), breaches: brokenBy(earlier).map(ofRun(id)) })),
  ]
}

function presentStanding({ state, windowFrom, error }: LedgerTask, attempts: readonly Attempt[], now: number): StandingAndReason {
  if (state === 'successful') return standing(timing(attempts))
  if (state === 'failed' || state === 'skipped') return standing(state, error)
  const open: 'pending' | 'running' | 'retrying' = state
  return standing(open !== 'running' && windowFrom > now ? 'not_due' : 'waiting')
}

/** The last attempt of an earlier run shows how that run ended, or that it did not end. */
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
  if (attempts.some(whyLate)) return 'late'
  return attempts.some(whyEarly) ? 'early' : 'on_time'
}

function whyLate({ startedAt, deadline }: Attempt): string | undefined {
  return deadline !== null && startedAt >= deadline ? `its window closed at ${rfc3339(deadline)}` : undefined
}

/** A lost attempt counts from its claim, because nobody knows when it was called. */
function whyEarly({ startedAt, dueAt, outcome }: Attempt): string | undefined {
  return dueAt !== null && startedAt < dueAt && outcome !== 'lost' ? `it was due at ${rfc3339(dueAt)}` : undefined
}

/** Why no attempt may follow these attempts of a run; undefined where one may. */
function whyForbidden(earlier: readonly Attempt[]): string | undefined {
  const end = earlier.find(({ outcome }) => outcome === 'successful' || outcome === 'failed')
  if (end !== undefined) return `after attempt ${end.number} had ended the run`
  const last = earlier.find(({ attemptsLeft }) => attemptsLeft !== null && attemptsLeft <= 0)
  return last && `after attempt ${last.number}, which none might follow`
}

/** The promises that the attempts of a run have broken. */
function brokenBy(attempts: readonly Attempt[]): BreachOfRun[] {
  return attempts.flatMap((attempt, index) => {
    const started = `attempt ${attempt.number} started at ${rfc3339(attempt.startedAt)}`
    const reasons = { late: whyLate(attempt), early: whyEarly(attempt), doubled: whyForbidden(attempts.slice(0, index)) }
    return (['late', 'early', 'doubled'] as const).flatMap((promise) => {
      const reason = reasons[promise]
      return reason === undefined ? [] : [{ promise, detail: `${started}, ${reason}` }]
    })
  })
}

/** Why nobody knows how a run ended whose time has passed; undefined where its end is known, or it has time left. */
function missedBecause(task: LedgerTask, attempts: readonly Attempt[], now: number): string | undefined {
  const { state, deadline, leaseUntil } = task
  const unrecorded = (state === 'running' ? task.attempts - 1 : task.attempts) - attempts.length
  if (unrecorded > 0) return `${unrecorded} of its ${task.attempts} attempts are not recorded`
  if (state === 'successful' && attempts.length === 0) return 'successful, but no attempt is recorded'
  const last = attempts.at(-1)?.outcome ?? null
  const isSuccess = last === 'successful'
  // An older program that does not know outcomes may have ended an accepted attempt.
  if (last !== null && last !== 'accepted' && ((state === 'successful' && !isSuccess) || (state === 'failed' && isSuccess)))
    return `${state}, but its last attempt is recorded as ${last}`
  if ((state === 'pending' || state === 'retrying') && deadline + GRACE_MS <= now)
    return `still ${state}: its window closed at ${rfc3339(deadline)}, and nothing has ended it`
  if (state === 'running' && leaseUntil !== null && leaseUntil + GRACE_MS <= now)
    return `still running: its lease was over at ${rfc3339(leaseUntil)}, and nothing has settled it`
  return undefined
}
