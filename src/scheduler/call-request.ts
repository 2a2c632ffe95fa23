/** Makes the HTTP request of a claimed task. */
import type { CallRequest } from '../caller/caller.ts'
import { isErrorCallback, reportedKey, type ErrorReport } from '../domain/task/error-callback.ts'
import { filledDefinition, filledErrorPayload } from '../domain/task/template.ts'
import { writeJson } from '../wire/json-text.ts'
import { presentAttempt, presentTask } from '../wire/present-task.ts'
import { LEASE_LEFT_MS } from './leases.ts'
import { maxAttempts, withDefaults, type ExpectedStatuses, type Task, type TaskDefinition } from '../domain/task/task.ts'

export interface CallDefaults {
  /** sent as `User-Agent: callme/<version>` */
  readonly version: string
  /** of one attempt, where the task has none */
  readonly timeoutMs: number
  /** where neither task nor handler says which statuses count as success */
  readonly expectedStatus: ExpectedStatuses
}

/**
 * The client's headers win over `user-agent` and `content-type`, never over `callme-*`.
 * @param task as it was claimed
 * @returns undefined where there is no URL
 */
export function callRequestOf(task: Task, defaults: CallDefaults): CallRequest | undefined {
  const definition = withDefaults(filledDefinition(task))
  if (definition.callback === undefined) return undefined
  const { callback_method: method } = definition
  const { payload, payload_is_json: isJson = typeof payload !== 'string' } = isErrorCallback(task) ? reportOf(task, defaults) : definition
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const body = method === 'HEAD' || (method === 'GET' && text === '') ? undefined : text
  const headers: Record<string, string> = { 'user-agent': `callme/${defaults.version}` }
  if (isJson && body !== undefined) headers['content-type'] = 'application/json'
  for (const [name, value] of Object.entries(definition.headers)) headers[name.toLowerCase()] = value
  headers['callme-task'] = headerSafe(reportedKey(task))
  headers['callme-run-id'] = task.runId
  headers['callme-attempt'] = String(task.attempts)
  headers['callme-max-attempts'] = String(maxAttempts(task))
  headers['callme-trigger-at'] = String(task.triggerAt)
  if (task.inAdvance) headers['callme-in-advance'] = 'true'
  return {
    url: definition.callback,
    method,
    headers,
    body,
    timeoutMs: definition.timeout === undefined ? defaults.timeoutMs : definition.timeout * 1000,
    dueAt: task.dueAt,
    deadline: task.deadline,
    claimedAt: task.updated,
    leaseUntil: (task.leaseUntil ?? 0) - LEASE_LEFT_MS,
    mayReuseConnection: definition.retry > 0,
  }
}

/** The body of an error callback: the one that its task or handler asks for, or the task as the API shows it, with its payload beside it. */
function reportOf(callback: Task, { timeoutMs, expectedStatus }: CallDefaults): Pick<TaskDefinition, 'payload' | 'payload_is_json'> {
  const report = callback.definition.payload as unknown as ErrorReport
  const wanted = filledErrorPayload(report.task)
  if (wanted !== undefined) return wanted
  const called = { ...report.task, definition: filledDefinition(report.task) }
  const { payload, ...task } = presentTask(called, { timeout: timeoutMs / 1000, expectedStatus })
  const attempts = report.attempts.map(presentAttempt)
  return { payload: writeJson({ task, attempts, last_attempt: attempts.at(-1) ?? null, payload }), payload_is_json: true }
}

/** A name may hold any letter, a header only ASCII. `%` is encoded as well, so that decoding gives the name back. */
function headerSafe(text: string): string {
  return text.replace(/[^\x21-\x7e]|%/gu, encodeURIComponent)
}
