/** `POST /run/<key>` or `/run/<name>`: makes one task due now, whatever its minute is. */
import { CallmeError } from '../../domain/errors.ts'
import { formatTaskKey, type TaskKey } from '../../domain/task/task-key.ts'
import { TASK_STATES, type Task } from '../../domain/task/task.ts'
import { presentTask } from '../../wire/present-task.ts'
import type { AppOptions } from '../app-options.ts'
import { endpoint } from '../endpoint.ts'
import { checkPlainQuery } from '../http/read-query.ts'
import { describeTarget } from '../http/read-target.ts'
import { keyOf, notFound } from '../http/selection.ts'

export const NOT_RUNNING = TASK_STATES.filter((state) => state !== 'running')

export const runTask = endpoint(
  { operationId: 'run', method: 'post', paths: ['/run/:target'], target: 'entry', scope: 'write', answers: [202, 404, 409, 503] },
  { query: checkPlainQuery, body: 'absent', first: 'query' },
  (options) =>
    async ({ target }) => {
      const key = await keyOf(options.store, target, NOT_RUNNING)
      const task = await runNow(options, key, { removeAfter: false })
      return { status: 202, body: { message: 'task runs now', task: presentTask(task, options.defaults) } }
    },
)

/**
 * Makes a task due now and wakes the scheduler. With `removeAfter` it is removed once it has succeeded.
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
