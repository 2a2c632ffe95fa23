/** `PATCH /task/<key>` or `/task/<name>`: changes a task that waits. With `run` it also changes one that has ended, and runs it again. */
import patchQuery from '../../../schema/api/patch-query.json' with { type: 'json' }
import { CallmeError, badRequest } from '../../domain/errors.ts'
import type { EditResult, Revise } from '../../domain/task/client-write.ts'
import { formatTaskKey, type TaskKey } from '../../domain/task/task-key.ts'
import { WAITING_STATES } from '../../domain/task/task.ts'
import type { PatchQuery } from '../../wire/bodies.ts'
import { PATCH_EXAMPLE, checkPatch, patchedTask } from '../../wire/merge-patch.ts'
import { presentTask } from '../../wire/present-task.ts'
import { compileCheck } from '../../wire/validate.ts'
import { endpoint } from '../endpoint.ts'
import { jsonBody } from '../http/read-body.ts'
import { isOn } from '../http/read-query.ts'
import { describeTarget } from '../http/read-target.ts'
import { keyOf, notFound } from '../http/selection.ts'
import { locationOf, refusalOf } from './put-task.ts'
import { NOT_RUNNING } from './run-task.ts'

export const patchTask = endpoint(
  { operationId: 'patch', method: 'patch', paths: ['/task/:target'], target: 'entry', scope: 'write', answers: [200, 202, 404, 409, 503] },
  { query: compileCheck<PatchQuery>(patchQuery, 'query'), body: jsonBody(checkPatch, PATCH_EXAMPLE) },
  ({ store, clock, log, wake, defaults }) =>
    async ({ target, query, body }) => {
      const [patch, run, now] = [body(), isOn(query.run), clock.now()]
      const key = await keyOf(store, target, run ? NOT_RUNNING : WAITING_STATES)
      const history = Object.hasOwn(patch, 'history') ? await store.history(key) : undefined
      const revise: Revise = (task, own) => patchedTask(task, { own, shown: presentTask(task, defaults, history) }, patch, { now, run })
      const result = await store.edit(key, revise, { now, run })
      if (result.status !== 'edited' && result.status !== 'same') throw whyNot(result, key)
      const { task } = result
      if (result.status === 'edited') {
        wake(task.dueAt)
        log.debug('task.stored', { task: formatTaskKey(task) })
      }
      const message = result.status === 'same' ? 'the task is so already' : run ? 'task is changed, and runs now' : 'task is changed'
      return { status: run ? 202 : 200, body: { message, task: presentTask(task, defaults) }, headers: { Location: locationOf(task) } }
    },
)

/** The reason why the store did not change a task. */
function whyNot(result: Exclude<EditResult, { status: 'edited' | 'same' }>, key: TaskKey): CallmeError {
  const described = describeTarget(key)
  switch (result.status) {
    case 'unknown':
      return notFound(key)
    case 'no_callback':
      return refusalOf({ status: 'no_callback' }, key)
    case 'refused':
      return badRequest(result.problem, result.others)
    case 'running':
      return conflict(
        `the ${described} is running and cannot be changed; wait until it has ended, then add run=true to run it again with the change`,
      )
    case 'ended':
      return conflict(`the ${described} has ended, and is ${result.task.state}; add run=true to run it again with the change`)
    case 'minute_taken':
      return conflict(`the ${describeTarget(result.key)} has this minute; use another trigger_at, or delete that entry first`)
    case 'in_series':
      return conflict(`the ${describeTarget(result.key)} waits in the series of the name, which has only one; change that entry`)
  }
}

function conflict(detail: string): CallmeError {
  return new CallmeError('conflict', detail)
}
