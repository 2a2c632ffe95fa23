/** The tasks that a request means, and the refusal where there is none. */
import { CallmeError } from '../../domain/errors.ts'
import { isPattern } from '../../domain/task/name-pattern.ts'
import { TASK_STATES, type TaskState } from '../../domain/task/task.ts'
import { SECONDS_PER_MINUTE } from '../../domain/time/trigger-time.ts'
import type { Selection, Store } from '../../store/store.ts'
import type { ListQuery } from '../../wire/bodies.ts'
import { isOn, readInstant, readNames, readTimeContext } from './read-query.ts'
import { describeTarget, type Target } from './read-target.ts'

/** The parameters of a filter. */
export type FilterQuery = Pick<ListQuery, 'name' | 'state' | 'from' | 'to' | 'timezone' | 'future_only'>

/** The tasks of a target that every filter lets through. @param now epoch ms, for `future_only` and relative times */
export function selectionOf(target: Target, query: FilterQuery, now: number): Selection {
  // The store looks one name up, and reads through the names of a pattern.
  const names = query.name === undefined ? undefined : readNames(query.name)
  const context = readTimeContext(query, now)
  const states = query.state?.split(',') as TaskState[] | undefined
  const from: number[] = target.triggerAt === undefined ? [] : [target.triggerAt]
  const to: number[] = target.triggerAt === undefined ? [] : [target.triggerAt + SECONDS_PER_MINUTE]
  if (query.from !== undefined) from.push(readInstant('from', query.from, context))
  if (isOn(query.future_only)) from.push(Math.floor(now / 1000) + 1)
  if (query.to !== undefined) to.push(readInstant('to', query.to, context))
  return {
    ...(target.name !== undefined && { name: target.name }),
    ...(names !== undefined && (isPattern(names) || target.name !== undefined ? { names } : { name: names })),
    ...(states && { states: TASK_STATES.filter((state) => states.includes(state)) }),
    ...(from.length > 0 && { from: Math.max(...from) }),
    ...(to.length > 0 && { to: Math.min(...to) }),
  }
}

export function notFound(target: Target): CallmeError {
  return new CallmeError('not_found', `there is no ${describeTarget(target)}; GET /task/ lists what there is`)
}

/** @throws CallmeError `not_found` where nothing has this key or name */
export async function refuseUnknown(store: Store, target: Target): Promise<void> {
  if (target.name === undefined) return
  const { tasks } = await store.list(selectionOf(target, {}, 0), { limit: 1 })
  if (tasks.length === 0) throw notFound(target)
}
