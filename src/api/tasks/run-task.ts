/** `POST /run/<key>`: makes one entry due now, whatever its minute is. */
import type { RequestHandler } from 'express'
import { CallmeError } from '../../domain/errors.ts'
import { presentTask } from '../../wire/present-task.ts'
import type { Task } from '../../domain/task/task.ts'
import { formatTaskKey } from '../../domain/task/task-key.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import type { AppOptions } from '../app-options.ts'
import { notFound } from '../http/selection.ts'
import { refuseBody } from '../http/read-body.ts'
import { refuseQuery } from '../http/read-query.ts'
import { describeTarget, readKey } from '../http/read-target.ts'
import { sendJson } from '../http/respond.ts'

export function runTask(options: AppOptions): RequestHandler {
  return async (req, res) => {
    refuseQuery(req)
    refuseBody(req)
    const task = await runNow(options, readKey(req), { removeAfter: false })
    sendJson(req, res, 202, { message: 'task runs now', task: presentTask(task, options.defaults) })
  }
}

/**
 * Makes an entry due now and has the scheduler look; with `removeAfter` it is removed once it has succeeded.
 * @throws CallmeError `not_found`; `conflict` while it is running, and, with `removeAfter`, where it has ended
 */
export async function runNow(
  { store, clock, log, wake }: AppOptions,
  key: TaskKey,
  { removeAfter }: { removeAfter: boolean },
): Promise<Task> {
  const result = await store.run(key, { now: clock.now(), removeAfter })
  if (result === 'unknown') throw notFound(key)
  if (result === 'running')
    throw new CallmeError('conflict', `the ${describeTarget(key)} is running; wait until it has ended to run it again`)
  if (result === 'final') throw new CallmeError('conflict', `the ${describeTarget(key)} has ended already; delete it without run`)
  wake(result.dueAt)
  log.debug('task.stored', { task: formatTaskKey(key) })
  return result
}
