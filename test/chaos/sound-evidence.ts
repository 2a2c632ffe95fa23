/** Testimony of a small run in which every promise was kept, for tests to tamper with. */
import type { WireAttempt, WireTask } from '../../src/wire/present-task.ts'
import type { Evidence, Operation, ReceivedCall, Wanted } from './evidence.ts'
import { keyOfTask } from './evidence.ts'

/** Evidence whose parts may be changed. */
export interface Tampered {
  journal: Evidence['journal'] & { operations: Operation[]; given: Evidence['journal']['given'][number][] }
  calls: ReceivedCall[]
  entries: (WireTask & { history: WireAttempt[] })[]
  troubles: Evidence['troubles'][number][]
}

/** Unix seconds of the minute on which all is due. */
export const MINUTE = 1_800_000_000
const MS = MINUTE * 1000
const WANTED: Wanted = {
  ...{ delivery: 'at_least_once', retry: 1, maxDelay: 1, timeout: 5, isPulled: false, isAccepted: false, hasErrorCallback: false },
}

/**
 * `good` succeeds at once, `again` after a 500, `once` at most once, `refused` fails and tells so, `killed` loses an attempt with its node,
 * `limited.*` are called one after the other, `pulled` is done by a worker, `series` comes three times.
 */
export function soundEvidence(): Tampered {
  const entries = [
    entry('good', [attempt(1, 200)]),
    entry('again', [attempt(1, 500, 'answered 500, expected 200'), attempt(2, 200, null, 2000)]),
    entry('once', [attempt(1, 200)]),
    entry('refused', [attempt(1, 404, 'answered 404, expected 200')], { task_state: 'failed', error: 'answered 404, expected 200' }),
    entry('killed', [attempt(1, null, 'the node was lost; it is not known whether it was made'), attempt(2, 200, null, 5000)]),
    entry('limited.a', [attempt(1, 200)]),
    entry('limited.b', [attempt(1, 200, null, 1000)]),
    entry('pulled', [attempt(1, null)]),
    ...[0, 1, 2].map((n) => seriesEntry(n)),
  ]
  const operations = ['good', 'again', 'once', 'refused', 'killed', 'limited.a', 'limited.b', 'pulled', 'series'].map((name) => put(name))
  return {
    journal: {
      wanted: {
        ...Object.fromEntries(['good', 'again', 'killed', 'series'].map((name) => [name, WANTED])),
        once: { ...WANTED, delivery: 'at_most_once' },
        refused: { ...WANTED, hasErrorCallback: true },
        'limited.a': { ...WANTED, concurrency: 1 },
        'limited.b': { ...WANTED, concurrency: 1 },
        pulled: { ...WANTED, isPulled: true },
      },
      operations,
      series: { series: MS + 170_000 },
      given: [{ key: `pulled@${MINUTE}`, runId: 'run of pulled', attempt: 1, at: MS }],
      acknowledged: ['run of pulled/1'],
      wrongAnswers: [],
    },
    calls: [...entries.filter(({ task_name: name }) => name !== 'pulled').flatMap(callsOf), errorCall()],
    entries,
    troubles: [{ what: 'node', node: 'node', from: MS + 50, to: MS + 60 }],
  }
}

function put(name: string): Operation {
  const times = { sentAt: MS - 9000, answeredAt: MS - 8990 }
  return { does: 'put', name, key: `${name}@${MINUTE}`, runId: `run of ${name}`, ...times, outcome: 'accepted' }
}

/** @param after ms after the minute */
export function attempt(number: number, status: number | null, error: string | null = null, after = 5): WireAttempt {
  const start = new Date(MS + after).toISOString()
  const times = { due: new Date(MS).toISOString(), start, lateness_ms: after, duration_ms: 100 }
  const outcome = error === null ? 'successful' : error.includes('not known') ? 'lost' : 'retrying'
  return { run_id: '', number, ...times, status, error, outcome, node: 'node' }
}

export function entry(name: string, history: WireAttempt[], fields: Partial<WireTask> = {}): WireTask & { history: WireAttempt[] } {
  const runId = fields.run_id ?? `run of ${name}`
  return {
    ...{ task_name: name, trigger_at: String(MINUTE), task_state: 'successful', run_id: runId, error: null, repeated_to: null },
    error_callback_result: fields.task_state === 'failed' ? { state: 'successful' } : null,
    updated: new Date(MS + 10_000).toISOString(),
    ...fields,
    history: history.map((one) => ({ ...one, run_id: runId })),
  } as WireTask & { history: WireAttempt[] }
}

function seriesEntry(n: number): WireTask & { history: WireAttempt[] } {
  const fields = { trigger_at: String(MINUTE + n * 60), repeated_to: `series@${MINUTE + (n + 1) * 60}`, run_id: `run ${n} of series` }
  return entry('series', [attempt(1, 200, null, n * 60_000 + 5)], fields)
}

function callsOf(task: WireTask & { history: WireAttempt[] }): ReceivedCall[] {
  return task.history.map(({ run_id: runId, number, start, status }) => {
    const at = Date.parse(start) + 3
    const answer = status === null ? {} : { status, answeredAt: at + 50 }
    return { key: keyOfTask(task), runId, attempt: number, path: '/run', at, ...answer }
  })
}

function errorCall(): ReceivedCall {
  const at = MS + 200
  return { key: `refused@${MINUTE}`, runId: 'its own', attempt: 1, path: '/errors', at, status: 200, answeredAt: at }
}
