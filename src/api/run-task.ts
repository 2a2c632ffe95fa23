/** `POST /run/<key>`: makes one entry due now, whatever its minute is. */
import type { RequestHandler } from 'express'
import { CallmeError } from '../domain/errors.ts'
import { formatTaskKey } from '../domain/task-key.ts'
import type { AppOptions } from './app-options.ts'
import { notFound } from './not-found.ts'
import { presentTask } from './present.ts'
import { refuseBody } from './read-body.ts'
import { refuseQuery } from './read-query.ts'
import { describeTarget, readKey } from './read-target.ts'
import { sendJson } from './respond.ts'

export function runTask({ store, clock, log, wake, defaults }: AppOptions): RequestHandler {
  return async (req, res) => {
    refuseQuery(req)
    refuseBody(req)
    const key = readKey(req)
    const result = await store.run(key, { now: clock.now() })
    if (result === 'unknown') throw notFound(key)
    if (result === 'running')
      throw new CallmeError('conflict', `the ${describeTarget(key)} is running; wait until it has ended to run it again`)
    wake(result.dueAt)
    log.debug('task.stored', { task: formatTaskKey(key) })
    sendJson(req, res, 202, { message: 'task runs now', task: presentTask(result, defaults) })
  }
}
