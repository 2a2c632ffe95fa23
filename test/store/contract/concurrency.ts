import { expect } from 'vitest'
import { reportOf } from '../../../src/domain/attempt/attempt-report.ts'
import type { Task, TaskDefinition } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, answered, claimAll, DUE, finishAll, keyOf, LEASE_MS, listAll, mustGet, NODE, putHandler } from './support/tasks.ts'

const CALLBACK = { callback: 'http://handler.test/run' }

export default area('concurrency', (test) => {
  test('lets so many tasks of a name run and no more, the oldest first, whoever asks', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, concurrency: 3 })
    await putAll(store, 8, () => ({}))
    const claimed = await claimAll(store)
    expect(claimed.map(({ dueAt }) => dueAt - DUE)).toEqual([-8, -7, -6])
    expect(await store.claimDue(aClaim({ node: 'node-2' }))).toEqual({ tasks: [], nextDue: undefined })
    const opened = await reopen()
    expect(await opened.claimDue(aClaim({ node: 'node-3' }))).toEqual({ tasks: [], nextDue: undefined })
    await finishAll(opened, claimed.slice(0, 2), DUE)
    expect((await claimAll(opened)).map(({ dueAt }) => dueAt - DUE)).toEqual([-5, -4])
    expect(await claimAll(opened)).toEqual([])
  })

  test('is shared by all hosts that tasks of the name are called at', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, concurrency: 4 })
    await putTasks(store, 30)
    const claimed: Task[] = []
    for (let turn = 0; turn < 3; turn += 1) claimed.push(...(await store.claimDue(aClaim({ capacityOfNewHost: 2 }))).tasks)
    expect(claimed).toHaveLength(4)
    expect(new Set(claimed.map(({ host }) => host)).size).toBeGreaterThan(1)
  })

  for (const [how, leave] of [
    ['ended well', (store: Store, task: Task) => finishAll(store, [task], DUE)],
    ['failed', (store: Store, task: Task) => finishAll(store, [task], DUE, 404)],
    ['waits for its next attempt', (store: Store, task: Task) => finishAll(store, [task], DUE, 503)],
    ['was handed back', (store: Store, task: Task) => record(store, task, 'stopping')],
    ['ended before its call, for it was late', (store: Store, task: Task) => record(store, task, 'late')],
  ] as const) {
    test(`gives the place of a task that ${how} to another one`, async ({ store, reopen }) => {
      await putHandler(store, 'a-task', { ...CALLBACK, concurrency: 1 })
      await putAll(store, 2, () => ({}))
      const [task] = (await claimAll(store)) as [Task]
      expect(await claimAll(store)).toEqual([])
      await leave(store, task)
      expect(await claimAll(store)).toHaveLength(1)
      expect(await claimAll(await reopen())).toEqual([])
    })
  }

  test('gives a place that comes free to what is due, whatever was stored for later in the meantime', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, concurrency: 1 })
    await putAll(store, 2, () => ({}))
    const claimed = await claimAll(store)
    expect(await claimAll(store)).toEqual([])
    await store.put([aTaskWithoutCallback({ triggerAt: MINUTE + 86_400 })], { now: DUE })
    expect(await claimAll(store)).toEqual([])
    await finishAll(store, claimed, DUE)
    expect(await claimAll(store)).toHaveLength(1)
  })

  test('gives the place of a task that is lost while another one waits for its next attempt to what is due', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, concurrency: 2 })
    await putAll(store, 3, () => ({}))
    const [one, other] = (await claimAll(store)) as [Task, Task]
    await finishAll(store, [one], DUE, 503)
    expect(await claimAll(store)).toHaveLength(1)
    await finishAll(store, [other], DUE, 503)
    expect(await store.claimDue(aClaim({ now: DUE + 1 }))).toMatchObject({ tasks: [], nextDue: DUE + 500 })
    expect(await claimAll(store, DUE + 500)).toHaveLength(1)
  })

  test('gives the place of a task whose node is lost to another one, once it is rescued', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, concurrency: 1 })
    await putTasks(store, 2)
    await claimAll(store)
    expect(await claimAll(store, DUE + LEASE_MS)).toEqual([])
    await store.rescue({ now: DUE + LEASE_MS, limit: 9 })
    expect(await claimAll(store, DUE + LEASE_MS)).toHaveLength(1)
    await store.rescue({ now: DUE + LEASE_MS, onlyNode: 'node-2', limit: 9 })
    expect(await claimAll(store, DUE + LEASE_MS)).toHaveLength(1)
    expect(await claimAll(store, DUE + LEASE_MS)).toEqual([])
  })

  test('counts a task that is accepted until it is acknowledged', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, concurrency: 1, ack_timeout: 5 })
    await putTasks(store, 2)
    const [task] = (await claimAll(store)) as [Task]
    await finishAll(store, [task], DUE)
    expect(await mustGet(store, task)).toMatchObject({ state: 'running', awaiting: 'ack' })
    expect(await claimAll(store)).toEqual([])
    await acknowledge(store, task)
    expect(await claimAll(store)).toHaveLength(1)
  })

  test('holds from when its handler says so: for tasks stored before, and with more of them running', async ({ store }) => {
    await putTasksWithCallback(store, 20)
    const claimed = (await store.claimDue(aClaim({ limit: 5 }))).tasks
    await putHandler(store, 'a-task', { ...CALLBACK, concurrency: 3 })
    expect(await claimAll(store)).toEqual([])
    await finishAll(store, claimed.slice(0, 2), DUE)
    expect(await claimAll(store)).toEqual([])
    await finishAll(store, claimed.slice(2, 3), DUE)
    expect(await claimAll(store)).toHaveLength(1)
    await putHandler(store, 'a-task', { ...CALLBACK, concurrency: 5 })
    expect(await claimAll(store)).toHaveLength(2)
    await putHandler(store, 'a-task', { ...CALLBACK, concurrency: 1 })
    expect(await claimAll(store)).toEqual([])
    await putHandler(store, 'a-task', CALLBACK)
    expect(await claimAll(store)).toHaveLength(12)
  })

  test('holds no longer once its handler is removed', async ({ store }) => {
    await putTasksWithCallback(store, 4)
    await putHandler(store, 'a-task', { concurrency: 1 })
    expect(await claimAll(store)).toHaveLength(1)
    expect(await store.removeHandler('a-task', { force: false })).toBe('removed')
    expect(await claimAll(store)).toHaveLength(3)
  })

  test('is one of its own for each name', async ({ store }) => {
    // Names beside each other in every order that a store may keep them in.
    const names = ['a', 'A', 'aA', 'a!', 'aa', 'ab', 'a\u0041b', 'b']
    for (const name of names)
      await store.put(
        [0, 1, 2].map((n) => aTask({ name, triggerAt: MINUTE - n * 60 })),
        { now: DUE - 9 },
      )
    await putHandler(store, 'a', { concurrency: 1 })
    await putHandler(store, 'ab', { concurrency: 2 })
    const counts: Record<string, number> = {}
    for (let turn = 0; turn < 3; turn += 1) for (const { name } of await claimAll(store)) counts[name] = (counts[name] ?? 0) + 1
    expect(counts).toEqual({ ...Object.fromEntries(names.map((name) => [name, 3])), a: 1, ab: 2 })
  })

  test('is never exceeded while nodes race for the tasks, lose them, and the store is opened again', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, concurrency: 3, max_delay: 525_600 })
    await putTasks(store, 90)
    let opened = store
    let now = DUE
    for (let round = 0; await hasWork(opened); round += 1) {
      expect(round).toBeLessThan(300)
      const running = await listAll(opened, { states: ['running'] })
      expect(running.length).toBeLessThanOrEqual(3)
      await Promise.all(
        ['a', 'b', 'c', 'd', 'e', 'f'].map((node, turn) => oneOfTheRace(opened, running, { node, turn: turn + round, now })),
      )
      now += round % 4 === 3 ? LEASE_MS : 1000
      if (round % 25 === 24) opened = await reopen()
    }
    await expectNeverMoreRunning(opened, 3)
  })
})

/** One node claims, and ends, hands back, loses or rescues what others have claimed, all in the same moment as the others. */
async function oneOfTheRace(store: Store, running: readonly Task[], { node, turn, now }: { node: string; turn: number; now: number }) {
  const task = running[turn % Math.max(1, running.length)]
  const claiming = store.claimDue(aClaim({ node, now, limit: 1 + (turn % 5) }))
  if (turn % 5 === 0) await store.rescue({ now, limit: 1 })
  else if (task && turn % 7 === 0) await record(store, task, 'stopping')
  else if (task) await store.record([reportOf(task, answered(200, now), node, now, 0)])
  await Promise.all([claiming, store.claimDue(aClaim({ node, now, limit: 2 }))])
}

/** Reads in the order of all changes how many tasks were running after each of them. */
async function expectNeverMoreRunning(store: Store, limit: number): Promise<void> {
  const running = new Set<string>()
  let most = 0
  for (let after = 0; ;) {
    const { changes } = await store.changes({ after, limit: 500 })
    if (changes.length === 0) break
    for (const { id, task } of changes) {
      if (task.state === 'running') running.add(keyOf(task))
      else running.delete(keyOf(task))
      most = Math.max(most, running.size)
      after = id
    }
  }
  expect(most).toBe(limit)
}

async function hasWork(store: Store): Promise<boolean> {
  const { pending, running, retrying } = await store.counts()
  return pending + running + retrying > 0
}

async function record(store: Store, task: Task, reason: 'stopping' | 'late'): Promise<void> {
  await store.record([reportOf(task, { kind: 'not_called', reason }, NODE, DUE, 0)])
}

async function acknowledge(store: Store, task: Task): Promise<void> {
  const ack = { key: task, attempt: task.attempts, status: 'successful', retryable: true, detail: null, now: DUE, random: 0 } as const
  expect(await store.acknowledge(ack)).toMatchObject({ status: 'acknowledged', task: { state: 'successful' } })
}

/** Tasks of one name, due one after the other until `DUE - 1`, the last one first: the callback of a third is their handler's. */
async function putTasks(store: Store, count: number): Promise<void> {
  await putAll(store, count, (n) => (n % 3 === 0 ? {} : { callback: `http://host-${n % 3}.test/` }))
}

async function putTasksWithCallback(store: Store, count: number): Promise<void> {
  await putAll(store, count, (n) => ({ callback: `http://host-${n % 2}.test/` }))
}

async function putAll(store: Store, count: number, callbackOf: (n: number) => Pick<TaskDefinition, 'callback'>): Promise<void> {
  const tasks = Array.from({ length: count }, (_, n) =>
    aTaskWithoutCallback({ triggerAt: MINUTE - n * 60, dueAt: DUE - 1 - n, definition: { max_delay: 525_600, ...callbackOf(n) } }),
  )
  const results = await store.put(tasks, { now: DUE - 99 })
  expect(results.map(({ status }) => status)).toEqual(Array<string>(count).fill('created'))
}
