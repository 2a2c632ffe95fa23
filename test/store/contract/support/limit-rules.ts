/** What must hold in a random history of handlers and claims: no limit is exceeded, and a claim leaves nothing that it may take. */
import { expect } from 'vitest'
import type { HandlerDefinition } from '../../../../src/domain/task/handler.ts'
import type { Task } from '../../../../src/domain/task/task.ts'
import type { ClaimResult, Store } from '../../../../src/store/store.ts'
import { listAll } from './tasks.ts'

/** A rate is counted by whole seconds, so a place comes back after 61 of them at the latest. */
const PLACE_MS = 61_000

export interface Setting {
  /** of tasks */
  readonly names: readonly string[]
  /** names of handlers, in the order in which they are asked whether they apply */
  readonly handlers: readonly string[]
}

export interface Run {
  readonly store: Store
  readonly setting: Setting
  /** epoch ms, on a whole minute: each run is at a time of its own, for the store remembers starts */
  readonly from: number
  now: number
  readonly handlers: Map<string, HandlerDefinition>
  /** when attempts under a handler started; only those while it had a rate, which are the ones that it counts, are `counted` */
  readonly starts: Map<string, { at: number; counted: boolean }[]>
}

/** @returns the name of the handler that applies to a task */
export function handlerOf({ handlers, setting }: Run, { name }: Pick<Task, 'name'>): string | undefined {
  const applies = (handler: string) => (handler.endsWith('*') ? name.startsWith(handler.slice(0, -1)) : name === handler)
  return setting.handlers.find((handler) => handlers.has(handler) && applies(handler))
}

export async function waiting(store: Store): Promise<Task[]> {
  return listAll(store, { states: ['pending', 'retrying'] })
}

export function forgetStarts({ starts }: Run, handler: string): void {
  for (const start of starts.get(handler) ?? []) start.counted = false
}

/** What has just been handed out under a handler is within its limits; notes when it started. */
export async function expectWithinLimits(run: Run, handler: string, tasks: readonly Task[], isPull: boolean): Promise<void> {
  const count = tasks.filter((task) => handlerOf(run, task) === handler).length
  if (count === 0) return
  const { now, handlers, starts } = run
  const { paused, pull, concurrency = Infinity, rate } = handlers.get(handler) ?? {}
  expect([paused ?? false, pull ?? false]).toEqual([false, isPull])
  const running = (await listAll(run.store, { states: ['running'] })).filter((task) => handlerOf(run, task) === handler)
  expect(running.length).toBeLessThanOrEqual(concurrency)
  const all = starts.get(handler) ?? []
  all.push(...Array.from({ length: count }, () => ({ at: now, counted: rate !== undefined })))
  starts.set(handler, all)
  const times = all.filter(({ counted }) => counted).map(({ at }) => at)
  for (const from of times.filter((at) => at > now - 60_000 && at <= now))
    expect(times.filter((at) => at >= from && at < from + 60_000).length).toBeLessThanOrEqual(rate ?? Infinity)
}

interface Claimed {
  readonly before: readonly Task[]
  readonly running: readonly Task[]
  readonly result: ClaimResult
  readonly limit: number
}

/** A claim with places left has taken all that the limits of a handler allow, and says when there is more. */
export function expectNothingLeft(run: Run, handler: string | undefined, { before, running, result, limit }: Claimed): void {
  const { paused, pull, concurrency = Infinity, rate = Infinity } = run.handlers.get(handler ?? '') ?? {}
  if (paused === true || pull === true || result.tasks.length >= limit) return
  const isIts = (task: Task) => handlerOf(run, task) === handler
  const { now } = run
  const started = (run.starts.get(handler ?? '') ?? []).map(({ at }) => at).filter((at) => at > now - PLACE_MS)
  const due = before.filter((task) => isIts(task) && task.dueAt <= now).length
  const free = Math.max(0, Math.min(concurrency - running.filter(isIts).length, rate - started.length))
  const claimed = result.tasks.filter(isIts).length
  expect(claimed, `${handler ?? 'no handler'} may start ${free}, and ${due} are due`).toBeGreaterThanOrEqual(Math.min(due, free))
  const later = before.filter((task) => isIts(task) && task.dueAt > now).map(({ dueAt }) => dueAt)
  if (claimed < free) expect(result.nextDue ?? Infinity).toBeLessThanOrEqual(Math.min(...later, Infinity))
  else if (running.filter(isIts).length + claimed < concurrency && due > claimed)
    expect(result.nextDue ?? Infinity).toBeLessThanOrEqual(Math.max(now, ...started) + PLACE_MS)
}
