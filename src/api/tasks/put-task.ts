/** `PUT /task/<name>`: stores one task, or replaces the entry that has its key. */
import type { Request, RequestHandler } from 'express'
import { CallmeError, badRequest, valueOrThrow } from '../../domain/errors.ts'
import { presentTask } from '../../wire/present-task.ts'
import { formatTaskKey } from '../../domain/task/task-key.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import type { AppOptions } from '../app-options.ts'
import { parseTask, TASK_EXAMPLE } from '../../wire/parse-task.ts'
import { bodyJson, readBody } from '../http/read-body.ts'
import { refuseQuery } from '../http/read-query.ts'
import { readName } from '../http/read-target.ts'
import { sendJson } from '../http/respond.ts'
import { show } from '../../wire/validate.ts'

export function putTask({ store, clock, log, wake, defaults }: AppOptions): RequestHandler[] {
  return [
    readBody(),
    async (req, res) => {
      refuseQuery(req)
      const ifAbsent = replacesNothing(req)
      const now = clock.now()
      const newTask = valueOrThrow(parseTask(readName(req), bodyJson(req, TASK_EXAMPLE), now))
      const [result] = await store.put([newTask], { now, ifAbsent })
      if (result === undefined) throw new Error('the store gave no result for a task')
      if (!('task' in result)) throw refusalOf(result.status, newTask)
      wake(result.task.dueAt)
      log.debug('task.stored', { task: formatTaskKey(newTask) })
      const body = { message: 'task successfully registered', task: presentTask(result.task, defaults) }
      sendJson(req, res, result.status === 'created' ? 201 : 200, body, { Location: taskPath(newTask) })
    },
  ]
}

/**
 * `If-None-Match: *` (RFC 9110 §13.1.2): create, but do not replace.
 * @throws CallmeError `bad_request` on any other condition, because an entry has no entity tag that it could be held against
 */
export function replacesNothing(req: Request): boolean {
  const { 'if-match': match, 'if-none-match': noneMatch } = req.headers
  if (match !== undefined) throw unknownCondition(`If-Match: ${match}`)
  if (noneMatch !== undefined && noneMatch !== '*') throw unknownCondition(`If-None-Match: ${noneMatch}`)
  return noneMatch === '*'
}

function unknownCondition(sent: string): CallmeError {
  const detail = `the only condition that is known is "If-None-Match: *", which creates and never replaces; got ${show(sent)}`
  return new CallmeError('bad_request', detail)
}

/** Why the store has left an entry alone. */
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

function taskPath({ name, triggerAt }: TaskKey): string {
  return `/task/${encodeURIComponent(name)}@${triggerAt}`
}
