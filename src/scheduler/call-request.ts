/** The HTTP request that a claimed task stands for. */
import type { CallRequest } from '../caller/caller.ts'
import { maxAttempts, withDefaults } from '../domain/task.ts'
import type { Task } from '../domain/task.ts'
import { formatTaskKey } from '../domain/task-key.ts'

export interface CallDefaults {
  /** sent as `User-Agent: callme/<version>` */
  readonly version: string
  /** of one attempt, where the task has none */
  readonly timeoutMs: number
}

/** The client's own headers win over `user-agent` and `content-type`; it cannot set `callme-*`. */
export function callRequestOf(task: Task, defaults: CallDefaults): CallRequest {
  const definition = withDefaults(task.definition)
  const { payload, callback_method: method } = definition
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const body = method === 'HEAD' || (method === 'GET' && text === '') ? undefined : text
  const headers: Record<string, string> = { 'user-agent': `callme/${defaults.version}` }
  if (typeof payload !== 'string' && body !== undefined) headers['content-type'] = 'application/json'
  for (const [name, value] of Object.entries(definition.headers)) headers[name.toLowerCase()] = value
  headers['callme-task'] = headerSafe(formatTaskKey(task))
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
    deadline: task.deadline,
    mayReuseConnection: definition.retry > 0,
  }
}

/** A name may hold any letter, a header only ASCII; `%` is encoded too, so that decoding gives the name back. */
function headerSafe(text: string): string {
  return text.replace(/[^\x21-\x7e]|%/gu, encodeURIComponent)
}
