/** `PUT /task/<name>`: stores one task, or replaces the task that has its key. */
import type { Request } from 'express'
import { CallmeError, badRequest, valueOrThrow } from '../../domain/errors.ts'
import { formatTaskKey, type TaskKey } from '../../domain/task/task-key.ts'
import { TASK_EXAMPLE, checkTask, taskOf } from '../../wire/parse-task.ts'
import { presentTask } from '../../wire/present-task.ts'
import { show } from '../../wire/validate.ts'
import { endpoint } from '../endpoint.ts'
import { jsonBody } from '../http/read-body.ts'
import { checkPlainQuery } from '../http/read-query.ts'

export const putTask = endpoint(
  { operationId: 'put', method: 'put', paths: ['/task/:target'], target: 'name', scope: 'write', answers: [200, 201, 409, 412, 503] },
  { query: checkPlainQuery, body: jsonBody(checkTask, TASK_EXAMPLE), condition: replacesNothing },
  ({ store, clock, log, wake, defaults }) =>
    async ({ target: name, body, ifAbsent }) => {
      const now = clock.now()
      const newTask = valueOrThrow(taskOf(name, body(), now))
      const [result] = await store.put([newTask], { now, ifAbsent })
      if (result === undefined) throw new Error('the store gave no result for a task')
      if (!('task' in result)) throw refusalOf(result.status, newTask)
      wake(result.task.dueAt)
      log.debug('task.stored', { task: formatTaskKey(newTask) })
      return {
        status: result.status === 'created' ? 201 : 200,
        body: { message: 'task successfully registered', task: presentTask(result.task, defaults) },
        headers: { Location: `/task/${encodeURIComponent(newTask.name)}@${newTask.triggerAt}` },
      }
    },
)

/**
 * `If-None-Match: *` (RFC 9110 §13.1.2): create, but do not replace.
 * @throws CallmeError `bad_request` on any other condition, because a task has no entity tag to compare with
 */
export function replacesNothing(req: Request): boolean {
  const { 'if-match': match, 'if-none-match': noneMatch, 'if-unmodified-since': since } = req.headers
  if (match !== undefined) throw unknownCondition(`If-Match: ${match}`)
  if (since !== undefined) throw unknownCondition(`If-Unmodified-Since: ${since}`)
  if (noneMatch !== undefined && noneMatch !== '*') throw unknownCondition(`If-None-Match: ${noneMatch}`)
  return noneMatch === '*'
}

function unknownCondition(sent: string): CallmeError {
  const detail = `the only condition that is known is "If-None-Match: *", which creates and never replaces; got ${show(sent)}`
  return new CallmeError('bad_request', detail)
}

/** The reason why the store did not take a task. */
export function refusalOf(status: 'running' | 'exists' | 'no_callback', key: TaskKey): CallmeError {
  const text = JSON.stringify(formatTaskKey(key))
  if (status === 'no_callback') {
    const detail = `callback is required: the name ${JSON.stringify(key.name)} has no handler with a callback, nor one whose tasks are pulled`
    return badRequest({ pointer: '/callback', detail })
  }
  return status === 'running'
    ? new CallmeError('conflict', `the entry ${text} is running; wait until it has ended, or use another trigger_at`)
    : new CallmeError('precondition_failed', `the entry ${text} exists; leave out "If-None-Match: *" to replace it`)
}
