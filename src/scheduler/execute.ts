/** One claimed task: request -> call -> report -> record. The save is retried until the store takes it, the call never is. */
import type { Caller, CallRequest } from '../caller/caller.ts'
import type { Clock } from '../clock.ts'
import { reportOf, type AttemptReport } from '../domain/attempt/attempt-report.ts'
import type { Task } from '../domain/task/task.ts'
import { formatTaskKey } from '../domain/task/task-key.ts'
import { leadsElsewhere } from '../domain/task/template.ts'
import type { CallResult } from '../domain/attempt/verdict.ts'
import type { Log, LogEvent } from '../telemetry/log.ts'
import type { Store } from '../store/store.ts'
import { callRequestOf, type CallDefaults } from './call-request.ts'
import type { ShortageWatch } from './shortage-watch.ts'

export interface Execution {
  readonly store: Store
  readonly caller: Caller
  readonly clock: Clock
  readonly log: Log
  readonly node: string
  readonly defaults: CallDefaults
  readonly shortages: ShortageWatch
  /** @returns a number in [0, 1), for the jitter of a retry */
  readonly random: () => number
}

const SAVE_AGAIN_AFTER_MS = 1000
/** A call that could not be begun for want of a resource is handed back after so long, so that it is not tried again at once. */
const SHORTAGE_PAUSE_MS = 1000
const EVENT_OF_STATE = {
  successful: 'task.successful',
  retrying: 'task.retry',
  failed: 'task.failed',
  skipped: 'task.skipped',
  pending: 'claim.released',
  running: 'task.accepted',
} as const satisfies Record<Task['state'], LogEvent>

interface Listeners {
  /** gets the request just before the call */
  readonly onRequest: (request: CallRequest) => void
  /** gets the result of the call before the save */
  readonly onResult: (result: CallResult) => void
}

/** Resolves when the report of the call is durable. */
export async function execute(claimed: Task, execution: Execution, { onRequest, onResult }: Listeners): Promise<void> {
  const { caller, clock, node, defaults, random, shortages } = execution
  // The report, its event and its error callback all show the status that the answer was measured against.
  const task: Task = { ...claimed, definition: { expected_http_status: defaults.expectedStatus, ...claimed.definition } }
  const request = requestOf(task, defaults)
  if (typeof request !== 'string') onRequest(request)
  const result: CallResult = typeof request === 'string' ? { kind: 'not_called', reason: request } : await caller.call(request)
  if (result.kind === 'not_called' && result.reason === 'shortage') {
    shortages.note(result.error)
    // The slot is held meanwhile: other calls would hardly fare better.
    await pause(clock, SHORTAGE_PAUSE_MS)
  }
  onResult(result)
  const report = reportOf(task, result, node, clock.now(), random())
  logReport(report, await save(report, execution), execution)
}

/** @returns why there is no request, where there is none. A damaged payload of an error callback may make any error. */
function requestOf(task: Task, defaults: CallDefaults): CallRequest | 'no_callback' | 'unreadable' | 'leads_elsewhere' {
  try {
    const request = callRequestOf(task, defaults)
    if (request === undefined) return 'no_callback'
    return leadsElsewhere(task, request.url) ? 'leads_elsewhere' : request
  } catch {
    return 'unreadable'
  }
}

/** @returns whether the claim still stood, so that the report was written */
async function save(report: AttemptReport, { store, clock, log }: Execution): Promise<boolean> {
  for (let tries = 1; ; tries += 1) {
    try {
      const [isWritten] = await store.record([report])
      return isWritten === true
    } catch (error) {
      // Once for each task: a full disk should not be filled with lines about it.
      if (tries === 1) log.error('record.failed', { task: formatTaskKey(report.task), attempt: report.task.attempts, err: error })
      await pause(clock, SAVE_AGAIN_AFTER_MS)
    }
  }
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(ms, resolve))
}

function logReport({ task, update, attempt }: AttemptReport, isWritten: boolean, { node, log }: Execution): void {
  const measured = { status: attempt?.status, duration_ms: attempt?.durationMs }
  const fields = { task: formatTaskKey(task), run_id: task.runId, attempt: task.attempts, node, ...measured }
  const hasEndedBadly = update.state === 'failed' || update.state === 'skipped'
  if (!isWritten) log.warn('claim.lost', fields)
  else log[hasEndedBadly ? 'warn' : 'debug'](EVENT_OF_STATE[update.state], { ...fields, error: update.error })
}
