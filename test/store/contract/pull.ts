import { expect } from 'vitest'
import type { Task } from '../../../src/domain/task/task.ts'
import type { ClaimResult, Store } from '../../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, claimAll, DUE, expireAll, finishAll, keyOf, keysOf, LEASE_MS, listAll, mustGet, putHandler } from './support/tasks.ts'

const PULL = { pull: true }
const CALLBACK = { callback: 'http://handler.test/run' }
const LEASE_END = DUE + LEASE_MS
const LOSS = 'the worker that pulled it did not acknowledge it before its lease was over'

export default area('pull', (test) => {
  for (const [what, handler] of [
    ['no handler', undefined],
    ['a handler that calls', CALLBACK],
    ['a handler that says so no more', { ...CALLBACK, pull: false }],
  ] as const) {
    test(`hands out nothing of a name with ${what}`, async ({ store }) => {
      await putHandler(store, 'a-task', PULL)
      await store.put([aTask()], { now: DUE - 9 })
      if (handler) await putHandler(store, 'a-task', handler)
      else await store.removeHandler('a-task', { force: true })
      expect(await store.pull('a-task', worker())).toBe('not_pulled')
      expect(await claimAll(store)).toMatchObject([{ name: 'a-task', awaiting: null }])
    })
  }

  test('hands out a task from the millisecond on in which it is due: running, with the lease of its worker', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { ...PULL, retry: 4 })
    await store.put([aTaskWithoutCallback({ definition: { payload: 'work' } })], { now: DUE - 9 })
    const before = await mustGet(store, aTask())
    expect(await store.pull('a-task', worker({ now: DUE - 1 }))).toEqual({ tasks: [], nextDue: DUE })
    const { tasks } = await pulled(store, { now: DUE + 3, node: 'node-7', leaseUntil: DUE + 11 })
    const running = { state: 'running', attempts: 1, awaiting: 'worker', claimedBy: 'node-7', leaseUntil: DUE + 11, updated: DUE + 3 }
    expect(tasks).toEqual([{ ...before, ...running }])
    expect(tasks[0]?.definition).toEqual({ retry: 4, payload: 'work' })
    expect(await store.pull('a-task', worker({ now: DUE + 3 }))).toEqual({ tasks: [], nextDue: undefined })
    expect(await listAll(await reopen())).toEqual(tasks)
  })

  test('hands out the oldest first, whatever their own callbacks, at most as many as asked for', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', PULL)
    await store.put(
      Array.from({ length: 9 }, (_, n) => mixedTask(n)),
      { now: DUE - 9 },
    )
    const minutes = ({ tasks }: ClaimResult) => tasks.map(({ triggerAt }) => (triggerAt - MINUTE) / 60)
    expect(minutes(await pulled(store, { limit: 4 }))).toEqual([-8, -7, -6, -5])
    const opened = await reopen()
    expect(minutes(await pulled(opened, { limit: 3 }))).toEqual([-4, -3, -2])
    expect(minutes(await pulled(opened))).toEqual([-1, 0])
  })

  test('hands out tasks that were stored before their handler said so, and no call is made of them', async ({ store }) => {
    await store.put([aTask(), aTask({ triggerAt: MINUTE + 60, definition: { callback: 'http://other.test/' } })], { now: DUE - 9 })
    await putHandler(store, 'a-task', PULL)
    expect(await pulled(store, { now: DUE - 1 })).toEqual({ tasks: [], nextDue: DUE })
    expect(await pulled(store)).toMatchObject({ tasks: [{ triggerAt: MINUTE, definition: { callback: 'http://receiver.test/run' } }] })
    expect((await store.claimDue(aClaim({ now: DUE + 60_000 }))).tasks).toEqual([])
    expect(await pulled(store, { now: DUE + 60_000 })).toMatchObject({ tasks: [{ triggerAt: MINUTE + 60 }] })
  })

  test('tasks are never claimed by a node, whatever became of them, and it is told of no time', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { ...PULL, retry: 9 })
    await store.put([mixedTask(0), mixedTask(1), aTaskWithoutCallback({ triggerAt: MINUTE + 60 })], { now: DUE - 9 })
    expect(await store.claimDue(aClaim())).toMatchObject({ tasks: [] })
    const { tasks } = await pulled(store)
    await store.acknowledge({ ...ackOf(tasks[0] as Task), status: 'failed' })
    await store.rescue({ now: LEASE_END, limit: 9 })
    await store.run({ name: 'a-task', triggerAt: MINUTE + 60 }, { now: DUE })
    expect(await store.counts()).toMatchObject({ retrying: 2, pending: 1 })
    const opened = await reopen()
    expect((await opened.claimDue(aClaim({ now: LEASE_END }))).tasks).toEqual([])
    expect(await opened.claimDue(aClaim({ now: LEASE_END }))).toEqual({ tasks: [], nextDue: undefined })
    expect((await pulled(opened, { now: LEASE_END })).tasks).toHaveLength(3)
  })

  test('gives each of 500 tasks to one of 50 workers that race for them', async ({ store }) => {
    await putHandler(store, 'a-task', { ...PULL, max_delay: 525_600 })
    const tasks = Array.from({ length: 500 }, (_, n) => mixedTask(n))
    await store.put(tasks, { now: DUE - 9 })
    const race = async (_: unknown, n: number) => {
      const mine: Task[] = []
      for (;;) {
        const [{ tasks: more }] = await Promise.all([
          pulled(store, { node: `node-${n}`, limit: 1 + (n % 4) }),
          n % 9 ? undefined : claimAll(store),
        ])
        if (more.length === 0) return mine
        for (const task of more) expect(task.claimedBy).toBe(`node-${n}`)
        mine.push(...more)
      }
    }
    const shares = await Promise.all(Array.from({ length: 50 }, race))
    expect(keysOf(shares.flat()).sort()).toEqual(keysOf(tasks).sort())
    expect(shares.filter(({ length }) => length > 0).length).toBeGreaterThan(40)
  })

  test('hands a task out again once its lease is over, which uses up no retry', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { ...PULL, retry: 0 })
    await store.put([aTaskWithoutCallback()], { now: DUE - 9 })
    const [task] = (await pulled(store)).tasks as [Task]
    expect(await store.rescue({ now: LEASE_END - 1, limit: 9 })).toEqual([])
    expect(await store.rescue({ now: LEASE_END - 1, onlyNode: 'another', limit: 9 })).toEqual([])
    const opened = await reopen()
    expect(await opened.rescue({ now: LEASE_END - 1, onlyNode: 'another', limit: 9 })).toEqual([])
    expect(await mustGet(opened, task)).toEqual(task)
    const lost = { state: 'retrying', lost: 1, attempts: 1, error: LOSS, awaiting: null, leaseUntil: null, dueAt: LEASE_END }
    expect(await opened.rescue({ now: LEASE_END, limit: 9 })).toMatchObject([lost])
    expect(await opened.history(task)).toMatchObject([{ number: 1, status: null, error: LOSS, node: 'node-1' }])
    expect(await pulled(opened, { now: LEASE_END })).toMatchObject({ tasks: [{ attempts: 2, lost: 1, runId: task.runId }] })
  })

  test('hands a task out five times at the most, where each worker is lost', async ({ store }) => {
    await putHandler(store, 'a-task', { ...PULL, max_delay: 60 })
    await store.put([aTaskWithoutCallback()], { now: DUE - 9 })
    const states: string[] = []
    for (let loss = 1; loss <= 5; loss += 1) {
      const now = DUE + loss * LEASE_MS
      expect((await pulled(store, { now: now - LEASE_MS })).tasks).toMatchObject([{ attempts: loss, lost: loss - 1 }])
      states.push(...(await store.rescue({ now, limit: 9 })).map(({ state }) => state))
    }
    expect(states).toEqual(['retrying', 'retrying', 'retrying', 'retrying', 'failed'])
    expect(await mustGet(store, aTask())).toMatchObject({ error: `${LOSS}; given up because this run was lost 5 times` })
  })

  test('hands an at_most_once task out once, and it fails where its worker is lost', async ({ store }) => {
    await putHandler(store, 'a-task', { ...PULL, delivery: 'at_most_once' })
    await store.put([aTaskWithoutCallback()], { now: DUE - 9 })
    await pulled(store)
    expect(await store.rescue({ now: LEASE_END, limit: 9 })).toMatchObject([
      { state: 'failed', error: `${LOSS}; delivery is at_most_once, so it is not called again` },
    ])
    expect((await pulled(store, { now: LEASE_END })).tasks).toEqual([])
  })

  test('leaves what a node has claimed before to that node, and what a worker has to that worker', async ({ store }) => {
    await putHandler(store, 'a-task', CALLBACK)
    await store.put([aTaskWithoutCallback()], { now: DUE - 9 })
    const claimed = await claimAll(store)
    await putHandler(store, 'a-task', PULL)
    expect((await pulled(store)).tasks).toEqual([])
    await finishAll(store, claimed, DUE)
    await store.put([aTaskWithoutCallback({ triggerAt: MINUTE - 60 })], { now: DUE - 9 })
    const [task] = (await pulled(store)).tasks as [Task]
    await putHandler(store, 'a-task', CALLBACK)
    expect(await claimAll(store)).toEqual([])
    expect(await store.acknowledge(ackOf(task))).toMatchObject({ status: 'acknowledged', task: { state: 'successful' } })
  })

  test('hands out nothing that is out of time, which ends as every task does', async ({ store }) => {
    await putHandler(store, 'a-task', { ...PULL, max_delay: 3 })
    await store.put([aTaskWithoutCallback(), aTaskWithoutCallback({ triggerAt: MINUTE + 60 })], { now: DUE - 9 })
    const now = DUE + 180_000
    expect(keysOf((await pulled(store, { now })).tasks)).toEqual([keyOf(aTask({ triggerAt: MINUTE + 60 }))])
    await expireAll(store, now)
    expect(await mustGet(store, aTask())).toMatchObject({ state: 'skipped', attempts: 0 })
  })

  test('hands out nothing of a name that is paused, and what is in its window as soon as it is not', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { ...PULL, paused: true })
    await store.put([mixedTask(0), mixedTask(1)], { now: DUE - 9 })
    expect(await pulled(store)).toEqual({ tasks: [], nextDue: undefined })
    const opened = await reopen()
    expect(await expireAll(opened, DUE + 540_000)).toMatchObject([{ state: 'skipped', triggerAt: MINUTE - 60 }])
    await putHandler(opened, 'a-task', PULL)
    expect((await pulled(opened, { now: DUE + 540_000 })).tasks).toMatchObject([{ triggerAt: MINUTE }])
  })

  test('hands out no more than the concurrency of the name, over all workers that race', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { ...PULL, concurrency: 5 })
    await store.put(
      Array.from({ length: 9 }, (_, n) => mixedTask(n)),
      { now: DUE - 9 },
    )
    const race = async (opened: Store) =>
      (await Promise.all(Array.from({ length: 20 }, () => pulled(opened, { limit: 2 })))).flatMap(({ tasks }) => tasks)
    const first = await race(store)
    expect(first).toHaveLength(5)
    expect(await pulled(await reopen())).toEqual({ tasks: [], nextDue: undefined })
    const opened = await reopen()
    for (const task of first.slice(0, 3)) await opened.acknowledge(ackOf(task))
    expect(await race(opened)).toHaveLength(3)
    await opened.rescue({ now: LEASE_END, limit: 1 })
    expect(await race(opened)).toHaveLength(1)
  })

  test('hands out no more than the rate of the name, and says when to ask again', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { ...PULL, rate: 2 })
    await store.put(
      Array.from({ length: 5 }, (_, n) => mixedTask(n)),
      { now: DUE - 9 },
    )
    const starts: number[] = []
    let opened = store
    for (let now: number | undefined = DUE; now !== undefined && starts.length < 5; opened = await reopen()) {
      const results: ClaimResult[] = await Promise.all([1, 2, 3].map((limit) => pulled(opened, { now: Number(now), limit })))
      starts.push(...results.flatMap(({ tasks }) => tasks.map(({ updated }) => updated)))
      const { nextDue }: ClaimResult = await pulled(opened, { now })
      if (starts.length < 5) expect(nextDue).toBeGreaterThan(now)
      now = nextDue
    }
    expect(starts.slice(0, 2)).toEqual([DUE, DUE])
    expect((starts[2] ?? 0) - DUE).toSatisfy((wait: number) => wait >= 60_000 && wait <= 61_000)
    expect((starts[4] ?? 0) - (starts[3] ?? 0)).toSatisfy((wait: number) => wait >= 60_000 && wait <= 61_000)
  })

  test('says when the next task of the name is due, and of no other', async ({ store }) => {
    await putHandler(store, 'a-task', PULL)
    await putHandler(store, 'a', PULL)
    expect(await pulled(store)).toEqual({ tasks: [], nextDue: undefined })
    await store.put([aTaskWithoutCallback({ name: 'a', triggerAt: MINUTE + 60 }), aTask({ name: 'b', triggerAt: MINUTE + 60 })], {
      now: DUE,
    })
    expect(await pulled(store)).toEqual({ tasks: [], nextDue: undefined })
    await store.put([aTaskWithoutCallback({ triggerAt: MINUTE + 600 }), aTask({ triggerAt: MINUTE + 540 })], { now: DUE })
    expect(await pulled(store)).toEqual({ tasks: [], nextDue: DUE + 540_000 })
    expect((await pulled(store, { now: DUE + 600_000 })).tasks).toHaveLength(2)
  })
})

interface Worker {
  readonly now: number
  readonly node: string
  readonly leaseUntil: number
  readonly limit: number
}

function worker({ now = DUE, ...fields }: Partial<Worker> = {}): Worker {
  return { now, node: 'node-1', leaseUntil: now + LEASE_MS, limit: 1000, ...fields }
}

async function pulled(store: Store, fields: Partial<Worker> = {}): Promise<ClaimResult> {
  const result = await store.pull('a-task', worker(fields))
  if (result === 'not_pulled') throw new Error('a-task is not pulled')
  return result
}

/** Due `n` minutes before `DUE`: of three, one has no callback, and two have one at a host of their own. */
function mixedTask(n: number) {
  const triggerAt = MINUTE - n * 60
  return n % 3 === 0 ? aTaskWithoutCallback({ triggerAt }) : aTask({ triggerAt, definition: { callback: `http://host-${n % 3}.test/` } })
}

function ackOf(task: Task) {
  return { key: task, attempt: task.attempts, status: 'successful', retryable: true, detail: null, now: DUE + 5, random: 0 } as const
}
