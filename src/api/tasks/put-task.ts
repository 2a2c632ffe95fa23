/** `PUT /task/<name>`: stores one task, or replaces the task that has its key, or the task that waits in its series. */
import type { Request } from 'express'
import { CallmeError, badRequest, valueOrThrow } from '../../domain/errors.ts'
import { formatTaskKey, type TaskKey } from '../../domain/task/task-key.ts'
import type { Task } from '../../domain/task/task.ts'
import type { PutRefusal, StoredTask } from '../../domain/task/client-write.ts'
import { TASK_EXAMPLE, checkTask, taskOf } from '../../wire/parse-task.ts'
import { presentTask, type ServerDefaults } from '../../wire/present-task.ts'
import { show } from '../../wire/validate.ts'
import { endpoint, type Answer } from '../endpoint.ts'
import { jsonBody } from '../http/read-body.ts'
import { checkPlainQuery } from '../http/read-query.ts'
import { storedTask } from './stored-task.ts'

export const putTask = endpoint(
  { operationId: 'put', method: 'put', paths: ['/task/:target'], target: 'name', scope: 'write', answers: [200, 201, 409, 412, 503] },
  { query: checkPlainQuery, body: jsonBody(checkTask, TASK_EXAMPLE), condition: replacesNothing },
  ({ store, clock, log, wake, defaults }) =>
    async ({ target: name, body, ifAbsent }) => {
      const now = clock.now()
      const sent = body()
      const newTask = valueOrThrow(taskOf(name, sent, now, await storedTask({ store, defaults }, name, sent, now)))
      const [result] = await store.put([newTask], { now, ifAbsent })
      if (result === undefined) throw new Error('the store gave no result for a task')
      if (!('task' in result)) throw refusalOf(result, newTask)
      if (result.status === 'kept') return kept(result.task, defaults)
      wake(result.task.dueAt)
      log.debug('task.stored', { task: formatTaskKey(newTask) })
      return {
        status: statusOf(result),
        body: {
          message: 'task successfully registered',
          ...(result.replaces && { replaces: formatTaskKey(result.replaces) }),
          task: presentTask(result.task, defaults),
        },
        headers: { Location: locationOf(newTask) },
      }
    },
)

/** Whether something new was stored, or something stored was replaced or kept. */
export function statusOf({ status, replaces }: StoredTask): 200 | 201 {
  return status === 'created' && replaces === undefined ? 201 : 200
}

export function locationOf({ name, triggerAt }: TaskKey): string {
  return `/task/${encodeURIComponent(name)}@${triggerAt}`
}

function kept(task: Task, defaults: ServerDefaults): Answer {
  const message = 'nothing was stored, because this entry of the name is there'
  return { status: 200, body: { message, stored: false, task: presentTask(task, defaults) }, headers: { Location: locationOf(task) } }
}

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
export function refusalOf(result: PutRefusal, key: TaskKey): CallmeError {
  const { status } = result
  const text = JSON.stringify(formatTaskKey((status === 'exists' ? result.key : undefined) ?? key))
  if (status === 'no_callback') {
    const detail = `callback is required: the name ${JSON.stringify(key.name)} has no handler with a callback, nor one whose tasks are pulled`
    return badRequest({ pointer: '/callback', detail })
  }
  return status === 'running'
    ? new CallmeError('conflict', `the entry ${text} is running; wait until it has ended, or use another trigger_at`)
    : new CallmeError('precondition_failed', `the entry ${text} exists; leave out "If-None-Match: *" to replace it`)
}
