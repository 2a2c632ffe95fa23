/** The attempts that the store has recorded, by run and number. */
import type { WireAttempt, WireTask } from '../../src/wire/present-task.ts'
import { keyOfTask } from './evidence.ts'

export interface RecordedAttempt {
  /** of the entry that has it now; a run that was under way may have been moved since */
  readonly key: string
  readonly runId: string
  readonly attempt: number
  /** whether it is of the run that its entry is in now */
  readonly isOfPresentRun: boolean
  readonly from: number
  readonly to: number
  readonly durationMs: number
  readonly status: number | null
  readonly error: string | null
  readonly node: string
  /** whether it is not known what became of it, so that it uses up no retry */
  readonly isLost: boolean
  /** whether its answer was as expected; something may have been wrong after its status */
  readonly isGood: boolean
}

export class AttemptBook {
  readonly #attempts: ReadonlyMap<string, RecordedAttempt>
  readonly #runs: ReadonlySet<string>

  constructor(entries: readonly WireTask[]) {
    const all = entries.flatMap((entry) => (entry.history ?? []).map((attempt) => read(entry, attempt)))
    this.#attempts = new Map(all.map((attempt) => [attemptName(attempt), attempt]))
    this.#runs = new Set([...entries.map(({ run_id: runId }) => runId), ...all.map(({ runId }) => runId)])
  }

  get all(): RecordedAttempt[] {
    return [...this.#attempts.values()]
  }

  get(attempt: { readonly runId: string; readonly attempt: number }): RecordedAttempt | undefined {
    return this.#attempts.get(attemptName(attempt))
  }

  knowsRun(runId: string): boolean {
    return this.#runs.has(runId)
  }
}

export function attemptName({ runId, attempt }: { readonly runId: string; readonly attempt: number }): string {
  return `${runId}/${attempt}`
}

function read(
  entry: WireTask,
  { run_id: runId, number, start, duration_ms: durationMs, status, error, outcome, node }: WireAttempt,
): RecordedAttempt {
  const from = Date.parse(start)
  const isLost = error !== null && /it is not known|^the worker that pulled it did not/.test(error)
  const isGood = outcome === 'successful' || outcome === 'accepted'
  const isOfPresentRun = runId === entry.run_id
  return {
    ...{ key: keyOfTask(entry), runId, attempt: number, isOfPresentRun },
    ...{ from, to: from + durationMs, durationMs, status, error, node, isLost, isGood },
  }
}
