/**
 * `DELETE /task/…`: removes one task, the tasks of a name, or those of a filter. Without `all` and `state` it removes only tasks that
 * have not ended. With `run` it calls one task first, and removes it once that has succeeded. A running task is never removed.
 */
import deleteQuery from '../../../schema/api/delete-query.json' with { type: 'json' }
import { CallmeError, badRequest } from '../../domain/errors.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import { WAITING_STATES } from '../../domain/task/task.ts'
import type { Selection } from '../../store/store.ts'
import type { DeleteQuery } from '../../wire/bodies.ts'
import { presentTask } from '../../wire/present-task.ts'
import { compileCheck, show } from '../../wire/validate.ts'
import type { AppOptions, EndpointOptions } from '../app-options.ts'
import { endpoint } from '../endpoint.ts'
import { isOn } from '../http/read-query.ts'
import { describeTarget, isKey, type Target } from '../http/read-target.ts'
import { keyOf, refuseUnknown, selectionOf } from '../http/selection.ts'
import { runNow } from './run-task.ts'

const BATCH = 200
const FILTERS = ['name', 'state', 'from', 'to', 'future_only'] as const

const PATHS = ['/task/:target', '/task']

export const deleteTask = endpoint(
  { operationId: 'delete', method: 'delete', paths: PATHS, target: 'tasks', scope: 'write', answers: [200, 202, 404, 409, 503] },
  { query: compileCheck<DeleteQuery>(deleteQuery, 'query'), body: 'absent' },
  (options) =>
    async ({ target, query }) => {
      const key = isKey(target) ? target : undefined
      if (key) refuseFilter(query, 'a key says which entry is meant')
      if (isOn(query.run)) {
        const task = await runNow(options, await keyToRun(options, target, query), { removeAfter: true })
        const message = 'task runs now and is deleted once it has succeeded'
        return { status: 202, body: { message, task: presentTask(task, options.defaults) } }
      }
      const deleted = key ? await removeOne(options, key) : await removeMany(options, target, query)
      return { status: 200, body: { deleted } }
    },
)

function keyToRun({ store }: AppOptions, target: Target, query: DeleteQuery): Promise<TaskKey> {
  const { name } = target
  if (name === undefined) {
    const detail = `run takes one entry, by its key or its name, as in DELETE /task/<task_name>?run=true; got ${show(query.run)} without them`
    throw badRequest({ pointer: '?run', detail })
  }
  if (isOn(query.all)) throw badRequest({ pointer: '?all', detail: 'all must be absent with run, which takes an entry that has not ended' })
  refuseFilter(query, 'run takes the one entry of a key or a name')
  return keyOf(store, { ...target, name }, WAITING_STATES)
}

function refuseFilter(query: DeleteQuery, why: string): void {
  const given = FILTERS.find((filter) => query[filter] !== undefined)
  if (given === undefined) return
  const detail = `${given} must be absent where ${why}; got ${show(query[given])}`
  throw badRequest({ pointer: `?${given}`, detail })
}

/** The removal of a task in a series skips it: the next one follows. */
async function removeOne({ store, clock }: AppOptions, key: TaskKey): Promise<number> {
  const deleted = await store.remove(selectionOf(key, {}, 0), { now: clock.now(), limit: 1, continueSeries: true })
  if (deleted > 0) return deleted
  await refuseUnknown(store, key)
  throw stillRunning(key)
}

/** Removes in batches, because one large removal would hold up everything else. A series ends with its waiting task. */
async function removeMany({ store, clock, turns }: EndpointOptions, target: Target, query: DeleteQuery): Promise<number> {
  const selection = selectionToRemove(target, query, clock.now())
  await refuseUnknown(store, target)
  if (!isFiltered(query)) {
    const running = await store.list({ ...selection, states: ['running'] }, { limit: 1 })
    if (running.tasks.length > 0) throw stillRunning(target)
  }
  let deleted = 0
  for (;;) {
    const removed = await turns.take(() => store.remove(selection, { now: clock.now(), limit: BATCH }))
    deleted += removed
    if (removed < BATCH) return deleted
  }
}

function selectionToRemove(target: Target, query: DeleteQuery, now: number): Selection {
  if (target.name === undefined && !isFiltered(query)) {
    const detail = `which entries to delete must be said: by a name or a key in the path, or by a filter such as state=successful or to=2030-01-01T00:00:00Z (filters are ${FILTERS.join(', ')})`
    throw badRequest({ pointer: '?', detail })
  }
  const selection = selectionOf(target, query, now)
  if (selection.states?.includes('running')) {
    const detail = `state must not hold running: an entry is deleted before or after its call; got ${show(query.state)}`
    throw badRequest({ pointer: '?state', detail })
  }
  return isOn(query.all) ? selection : { states: WAITING_STATES, ...selection }
}

function isFiltered({ name, state, from, to, future_only }: DeleteQuery): boolean {
  return name !== undefined || state !== undefined || from !== undefined || to !== undefined || isOn(future_only)
}

function stillRunning(target: Target): CallmeError {
  const instead = target.triggerAt === undefined ? ', or delete with state=pending,retrying what waits' : ''
  return new CallmeError('conflict', `the ${describeTarget(target)} is running and nothing was deleted; wait until it has ended${instead}`)
}
