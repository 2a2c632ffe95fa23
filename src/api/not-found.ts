/** The answer for a key or a name that nothing has. */
import { CallmeError } from '../domain/errors.ts'
import type { Store } from '../store/store.ts'
import { selectionOf } from './read-query.ts'
import { describeTarget } from './read-target.ts'
import type { Target } from './read-target.ts'

export function notFound(target: Target): CallmeError {
  return new CallmeError('not_found', `there is no ${describeTarget(target)}; GET /task/ lists what there is`)
}

/** @throws CallmeError `not_found` where nothing has this key or name */
export async function refuseUnknown(store: Store, target: Target): Promise<void> {
  if (target.name === undefined) return
  const { tasks } = await store.list(selectionOf(target, {}, 0), { limit: 1 })
  if (tasks.length === 0) throw notFound(target)
}
