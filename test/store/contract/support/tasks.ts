/** Brings entries into any state through the verbs of the store, and reads back all that a store holds. */
import { expect } from 'vitest'
import type { Handler, HandlerDefinition } from '../../../../src/domain/task/handler.ts'
import { reportOf } from '../../../../src/domain/attempt/attempt-report.ts'
import { TASK_STATES } from '../../../../src/domain/task/task.ts'
import type { NewTask, Task, TaskState } from '../../../../src/domain/task/task.ts'
import type { TaskKey } from '../../../../src/domain/task/task-key.ts'
import type { CallResult } from '../../../../src/domain/attempt/verdict.ts'
import { PAGE_BYTES } from '../../../../src/domain/task/page-size.ts'
import type { Claim, HostCapacity, RescheduleCursor, RescheduleRequest, Selection, Store } from '../../../../src/store/store.ts'
import { aTask, MINUTE } from '../../../support/a-task.ts'

/** The first instant at which a task of `MINUTE` is due. */
export const DUE = MINUTE * 1000
export const NODE = 'node-1'
export const LEASE_MS = 60_000

/** What every task has that waits and was not called in its present run, whatever its definition. */
export const NEVER_RUN = {
  state: 'pending',
  attempts: 0,
  lost: 0,
  inAdvance: false,
  removeAfter: false,
  awaiting: null,
  claimedBy: null,
  leaseUntil: null,
  executedAt: null,
  responseStatus: null,
  responseBody: null,
  error: null,
  rescheduledTo: null,
  repeatedTo: null,
  errorCallback: null,
} as const satisfies Partial<Task>

/** A claim without limits that matter. */
export function aClaim(fields: Partial<Claim> = {}): Claim {
  const now = fields.now ?? DUE
  return {
    now,
    node: NODE,
    leaseUntil: now + LEASE_MS,
    limit: 10_000,
    hosts: new Map(),
    capacityOfNewHost: 10_000,
    unprovenLimit: 10_000,
    silentLimit: 10_000,
    ...fields,
  }
}

/** Idle hosts that answer, with how many calls each may have. */
export function rooms(sizes: Readonly<Record<string, number>>): Map<string, HostCapacity> {
  return new Map(Object.entries(sizes).map(([host, free]) => [host, { free, state: 'answers', inflight: 0 }]))
}

export function answered(status: number, now: number, body = ''): CallResult {
  return { kind: 'answered', startedAt: now - 20, endedAt: now - 5, status, body }
}

/** Records the result of a call; the jitter of a retry is none. */
export async function finish(store: Store, task: Task, result: CallResult, now: number): Promise<boolean> {
  const [isWritten] = await store.record([reportOf(task, result, NODE, now, 0)])
  return isWritten === true
}

/** Records the same answer for each of the tasks. */
export async function finishAll(store: Store, tasks: readonly Task[], now: number, status = 200): Promise<void> {
  const written = await store.record(tasks.map((task) => reportOf(task, answered(status, now), NODE, now, 0)))
  expect(written).toEqual(tasks.map(() => true))
}

/** Ends everything that is out of time, in batches of `limit`. */
export async function expireAll(store: Store, now: number, limit = 100): Promise<Task[]> {
  const expired: Task[] = []
  for (let turn = 0; turn < 1000; turn += 1) {
    const { tasks, more } = await store.expire({ now, limit })
    expect(tasks.length).toBeLessThanOrEqual(limit)
    expired.push(...tasks)
    if (!more) return expired
  }
  throw new Error('expire says without end that there is more')
}

/** Stores a handler, which takes nothing away that tasks need. */
export async function putHandler(store: Store, name: string, definition: HandlerDefinition, now = DUE - 9): Promise<Handler> {
  const result = await store.putHandler(name, definition, { now, force: false })
  if (result === 'needed') throw new Error(`what the handler of ${name} said before is needed`)
  return result.handler
}

/** Claims everything that is due. */
export async function claimAll(store: Store, now = DUE): Promise<Task[]> {
  return (await store.claimDue(aClaim({ now }))).tasks
}

/** Stores a task and claims it, and no other. */
export async function claimOne(store: Store, task = aTask()): Promise<Task> {
  await store.put([task], { now: DUE - 1 })
  const lanes = rooms({ [task.host]: 1 })
  const [claimed] = (await store.claimDue(aClaim({ hosts: lanes, capacityOfNewHost: 0 }))).tasks
  if (claimed === undefined) throw new Error('nothing was claimed')
  return claimed
}

export interface Entry extends Partial<TaskKey> {
  readonly state: TaskState
  readonly definition?: Partial<NewTask['definition']>
}

/**
 * Stores entries in the given states at `DUE`. Those that were claimed had a lane of their own and were due then, so
 * that no other entry was claimed with them.
 */
export async function seed(store: Store, entries: readonly Entry[], now = DUE): Promise<void> {
  const tasks = entries.map(({ state, ...fields }, index) => {
    const task = aTask(fields)
    if (state === 'pending') return task
    return { ...task, host: `seed-${index}.test`, dueAt: now - 1, deadline: state === 'skipped' ? now : now + 365 * 86_400_000 }
  })
  const isSkipped = (_: unknown, index: number) => entries[index]?.state === 'skipped'
  await store.put(tasks.filter(isSkipped), { now: now - 2 })
  await store.expire({ now, limit: entries.length })
  await store.put(
    tasks.filter((task, index) => !isSkipped(task, index)),
    { now: now - 2 },
  )
  const isClaimed = (index: number) => !['pending', 'skipped'].includes(entries[index]?.state ?? '')
  const lanes = rooms(Object.fromEntries(tasks.filter((_, index) => isClaimed(index)).map(({ host }) => [host, 1])))
  const { tasks: claimed } = await store.claimDue(aClaim({ now, hosts: lanes, capacityOfNewHost: 0 }))
  const stateOf = new Map(tasks.map((task, index) => [keyOf(task), entries[index]?.state]))
  const status = { successful: 200, failed: 404, retrying: 500 } as Partial<Record<TaskState, number>>
  const outcomes = claimed.flatMap((task) => {
    const answer = status[stateOf.get(keyOf(task)) ?? 'running']
    return answer === undefined ? [] : [reportOf(task, answered(answer, now), NODE, now, 0)]
  })
  expect(await store.record(outcomes)).toEqual(outcomes.map(() => true))
}

/** One entry in the given state, as it is stored. */
export async function anEntry(store: Store, state: TaskState, fields: Omit<Entry, 'state'> = {}, now = DUE): Promise<Task> {
  await seed(store, [{ ...fields, state }], now)
  const task = await mustGet(store, { name: fields.name ?? 'a-task', triggerAt: fields.triggerAt ?? MINUTE })
  expect(task.state).toBe(state)
  return task
}

export async function mustGet(store: Store, key: TaskKey): Promise<Task> {
  const task = await store.get({ name: key.name, triggerAt: key.triggerAt })
  if (task === undefined) throw new Error(`${keyOf(key)} is not stored`)
  return task
}

/** Everything that a selection holds, in order, page by page. */
export async function listAll(store: Store, selection: Selection = {}, limit = 1000): Promise<Task[]> {
  const all: Task[] = []
  for (;;) {
    const last = all.at(-1)
    const page = await store.list(selection, { limit, ...(last && { after: { name: last.name, triggerAt: last.triggerAt } }) })
    expect(page.tasks.length).toBeLessThanOrEqual(limit)
    // A page of large definitions ends early.
    expect(page.more && !isLarge(page.tasks) ? page.tasks.length : limit).toBe(limit)
    all.push(...page.tasks)
    if (!page.more) return all
  }
}

function isLarge(tasks: readonly Task[]): boolean {
  return JSON.stringify(tasks).length > PAGE_BYTES
}

/** What all batches of a reschedule have made, each of at most `limit`. */
export async function rescheduleAll(store: Store, request: Omit<RescheduleRequest, 'after'>): Promise<Task[]> {
  const tasks: Task[] = []
  let after: RescheduleCursor | undefined
  do {
    const batch = await store.reschedule({ ...request, ...(after && { after }) })
    expect(batch.tasks.length).toBeLessThanOrEqual(request.limit)
    tasks.push(...batch.tasks)
    after = batch.next
  } while (after)
  return tasks
}

export async function expectCountsToAddUp(store: Store): Promise<void> {
  const counted = Object.fromEntries(TASK_STATES.map((state) => [state, 0])) as Record<TaskState, number>
  for (const { state } of await listAll(store)) counted[state] += 1
  expect(await store.counts()).toEqual(counted)
}

export function keyOf({ name, triggerAt }: TaskKey): string {
  return `${name}@${triggerAt}`
}

export function keysOf(tasks: readonly TaskKey[]): string[] {
  return tasks.map(keyOf)
}

/** The order of a list: `triggerAt`, then the bytes of the name. */
export function inOrder(one: TaskKey, other: TaskKey): number {
  return one.triggerAt - other.triggerAt || Buffer.compare(Buffer.from(one.name), Buffer.from(other.name))
}
