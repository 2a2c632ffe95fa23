/** `DELETE /task/<key>` removes one entry, `DELETE /task/<name>` those of a name that are not final, or with `all` every one. */
import type { RequestHandler } from 'express'
import deleteQuery from '../../schema/api/delete-query.json' with { type: 'json' }
import { CallmeError } from '../domain/errors.ts'
import { WAITING_STATES } from '../domain/task.ts'
import type { DeleteQuery } from '../schema-types.ts'
import type { Store } from '../store/store.ts'
import type { AppOptions } from './app-options.ts'
import { refuseUnknown } from './not-found.ts'
import { refuseBody } from './read-body.ts'
import { isOn, readQuery, selectionOf } from './read-query.ts'
import { describeTarget, readTarget } from './read-target.ts'
import type { Target } from './read-target.ts'
import { sendJson } from './respond.ts'
import { compileCheck } from './validate.ts'

const BATCH = 1000

const checkDeleteQuery = compileCheck<DeleteQuery>(deleteQuery, 'query')

export function deleteTask({ store }: AppOptions): RequestHandler {
  return async (req, res) => {
    refuseBody(req)
    const { all } = readQuery(req, checkDeleteQuery)
    const target = readTarget(req)
    const deleted = target.triggerAt === undefined ? await removeName(store, target, isOn(all)) : await removeEntry(store, target)
    sendJson(req, res, 200, { deleted })
  }
}

async function removeEntry(store: Store, target: Target): Promise<number> {
  const deleted = await store.remove(selectionOf(target, {}, 0), { limit: 1 })
  if (deleted > 0) return deleted
  await refuseUnknown(store, target)
  throw isRunning(target)
}

/** In batches, because one large removal would hold up everything else. */
async function removeName(store: Store, target: Target, all: boolean): Promise<number> {
  await refuseUnknown(store, target)
  const selection = selectionOf(target, {}, 0)
  const running = await store.list({ ...selection, states: ['running'] }, { limit: 1 })
  if (running.tasks.length > 0) throw isRunning(target)
  let deleted = 0
  for (;;) {
    const removed = await store.remove(all ? selection : { ...selection, states: WAITING_STATES }, { limit: BATCH })
    deleted += removed
    if (removed < BATCH) return deleted
  }
}

function isRunning(target: Target): CallmeError {
  return new CallmeError('conflict', `the ${describeTarget(target)} is running and nothing was deleted; wait until it has ended`)
}
