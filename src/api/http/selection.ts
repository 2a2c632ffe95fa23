/** The tasks that a request means, and the refusal where there is none. */
import { CallmeError } from '../../domain/errors.ts'
import { isPattern } from '../../domain/task/name-pattern.ts'
import { formatTaskKey, type TaskKey } from '../../domain/task/task-key.ts'
import { FINAL_STATES, TASK_STATES, isFinal, type Task, type TaskState } from '../../domain/task/task.ts'
import { SECONDS_PER_MINUTE } from '../../domain/time/trigger-time.ts'
import type { Selection, Store } from '../../store/store.ts'
import type { ListQuery } from '../../wire/bodies.ts'
import { isOn, readInstant, readNames, readTimeContext } from './read-query.ts'
import { describeTarget, isKey, type NamedTarget, type Target } from './read-target.ts'

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

/** An error lists this many keys at the most. */
const SHOWN_KEYS = 5
const OPEN_STATES = TASK_STATES.filter((state) => !isFinal(state))

/**
 * The one task that a request means. A name alone will do where exactly one task of the name is in a state that the request takes.
 * @param states those that the request takes
 * @throws CallmeError `not_found` where nothing has this name; `conflict` with the keys where several tasks might be meant
 */
export async function keyOf(store: Store, target: NamedTarget, states: readonly TaskState[]): Promise<TaskKey> {
  if (isKey(target)) return target
  const { name } = target
  const [fitting, another] = await firstTasks(store, { name, states })
  if (fitting !== undefined && another === undefined) return fitting
  const all = [...(await firstTasks(store, { name, states: OPEN_STATES })), ...(await firstTasks(store, { name, states: FINAL_STATES }))]
  const [first, second] = all
  if (first === undefined) throw notFound(target)
  // The only task of the name is meant in any state, so that the answer can say why its state is wrong.
  if (second === undefined) return first
  throw new CallmeError('conflict', `several entries are named "${name}", so the request needs the key of one: ${listKeys(all)}`)
}

/** As many tasks of a selection as an error lists, and one more where there are others. */
export async function firstTasks(store: Store, selection: Selection): Promise<readonly Task[]> {
  return (await store.list(selection, { limit: SHOWN_KEYS + 1 })).tasks
}

/** The keys of the tasks that `firstTasks` has found, for a sentence. */
export function listKeys(tasks: readonly Task[]): string {
  const shown = tasks.slice(0, SHOWN_KEYS).map((task) => `${formatTaskKey(task)} (${task.state})`)
  return tasks.length > SHOWN_KEYS ? `${shown.join(', ')} and others` : shown.join(', ')
}

/** @throws CallmeError `not_found` where nothing has this key or name */
export async function refuseUnknown(store: Store, target: Target): Promise<void> {
  if (target.name === undefined) return
  const { tasks } = await store.list(selectionOf(target, {}, 0), { limit: 1 })
  if (tasks.length === 0) throw notFound(target)
}
