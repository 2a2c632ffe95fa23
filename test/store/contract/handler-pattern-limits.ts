/** The limits of a handler of many names hold for all of them together. */
import { expect } from 'vitest'
import type { Task } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, claimAll, DUE, expireAll, finishAll, keyOf, keysOf, LEASE_MS, listAll, putHandler } from './support/tasks.ts'

const CALLBACK = { callback: 'http://handler.test/run' }
const NAMES = ['a.1', 'a.2', 'a.*', 'a.é', 'a.\u{10ffff}']

export default area('a limit of a handler of many names', (test) => {
  test('lets so many tasks of all its names together run and no more, the oldest first, whoever asks', async ({ store, reopen }) => {
    await putHandler(store, 'a.*', { ...CALLBACK, concurrency: 3 })
    await putTasks(store, 10)
    await store.put([aTask({ name: 'a' }), aTask({ name: 'b.1' })], { now: DUE - 9 })
    const claimed = await claimAll(store)
    expect(claimed.map(({ name, dueAt }) => [name, DUE - dueAt])).toEqual([
      ['a.\u{10ffff}', 10],
      ['a.é', 9],
      ['a.*', 8],
      ['a', 0],
      ['b.1', 0],
    ])
    expect(await store.claimDue(aClaim({ node: 'node-2' }))).toEqual({ tasks: [], nextDue: undefined })
    const opened = await reopen()
    expect(await opened.claimDue(aClaim({ node: 'node-3' }))).toEqual({ tasks: [], nextDue: undefined })
    await finishAll(opened, claimed.slice(0, 2), DUE)
    expect((await claimAll(opened)).map(({ name }) => name)).toEqual(['a.2', 'a.1'])
    expect(await claimAll(opened)).toEqual([])
  })

  test('is not exceeded by nodes that race for tasks of all its names', async ({ store, reopen }) => {
    await putHandler(store, '*', { ...CALLBACK, concurrency: 4, max_delay: 525_600 })
    await putTasks(store, 60)
    let opened = store
    for (let left = 60, turn = 0; left > 0; turn += 1) {
      const claims = Array.from({ length: 6 }, (_, n) => opened.claimDue(aClaim({ node: `node-${n}`, limit: 1 + (n % 3) })))
      const tasks = (await Promise.all(claims)).flatMap(({ tasks }) => tasks)
      expect(tasks).toHaveLength(Math.min(left, 4))
      expect(new Set(keysOf(tasks)).size).toBe(tasks.length)
      if (turn % 5 === 4) opened = await reopen()
      await finishAll(opened, tasks, DUE)
      left -= tasks.length
    }
    expect(await opened.counts()).toMatchObject({ successful: 60 })
  })

  test('lets so many attempts of all its names together start in a minute, and says when the next one may', async ({ store, reopen }) => {
    await putHandler(store, 'a.*', { ...CALLBACK, rate: 2, max_delay: 525_600 })
    await putTasks(store, 5)
    let opened = store
    const starts: number[] = []
    for (let now: number | undefined = DUE; now !== undefined && starts.length < 5; opened = await reopen()) {
      const claims = [1, 2, 3].map((limit) => opened.claimDue(aClaim({ now: Number(now), limit })))
      const tasks: Task[] = (await Promise.all(claims)).flatMap(({ tasks }) => tasks)
      starts.push(...tasks.map(({ updated }) => updated))
      await finishAll(opened, tasks, now)
      const { tasks: none, nextDue }: { tasks: Task[]; nextDue: number | undefined } = await opened.claimDue(aClaim({ now }))
      expect(none).toEqual([])
      now = nextDue
    }
    expect(starts.slice(0, 2)).toEqual([DUE, DUE])
    for (const n of [2, 4]) expect((starts[n] ?? 0) - (starts[n - 1] ?? 0)).toSatisfy((wait: number) => wait >= 60_000 && wait <= 61_000)
  })

  test('holds back all its names while it is paused, and nothing else', async ({ store, reopen }) => {
    await putHandler(store, 'a.*', { ...CALLBACK, paused: true })
    await putHandler(store, 'a.1', CALLBACK)
    await putTasks(store, 5)
    await store.put([aTask({ name: 'a' }), aTask({ name: 'b' })], { now: DUE - 9 })
    expect(namesOf(await claimAll(store))).toEqual(['a', 'a.1', 'b'])
    const opened = await reopen()
    expect(await opened.claimDue(aClaim())).toEqual({ tasks: [], nextDue: undefined })
    expect(namesOf(await expireAll(opened, DUE + 360_000))).toEqual(['a.\u{10ffff}'])
    await putHandler(opened, 'a.*', { ...CALLBACK, paused: false })
    expect(namesOf(await claimAll(opened, DUE + 360_000))).toEqual(['a.*', 'a.2', 'a.é'])
  })

  test('hands the tasks of all its names to workers that claim by its own name: each once, the oldest first', async ({ store, reopen }) => {
    await putHandler(store, 'a.*', { pull: true })
    await putHandler(store, 'a.1', { pull: true })
    await putTasks(store, 10)
    expect((await store.claimDue(aClaim())).tasks).toEqual([])
    expect(await pulledNames(store, 'a.1', 99)).toEqual(['a.1', 'a.1'])
    for (const name of ['a.2', 'a.', 'a', '*', 'a.**']) expect(await store.pull(name, aWorker(1))).toBe('not_pulled')
    expect(await pulledNames(store, 'a.*', 3)).toEqual(['a.\u{10ffff}', 'a.é', 'a.*'])
    const opened = await reopen()
    const races = await Promise.all(Array.from({ length: 8 }, () => pulledNames(opened, 'a.*', 1)))
    expect(races.flat()).toEqual(['a.2', 'a.\u{10ffff}', 'a.é', 'a.*', 'a.2'])
    expect(await opened.pull('a.*', aWorker(1))).toEqual({ tasks: [], nextDue: undefined })
    await opened.put([aTaskWithoutCallback({ name: 'a.new', triggerAt: MINUTE + 60 })], { now: DUE })
    expect(await opened.pull('a.*', aWorker(1))).toEqual({ tasks: [], nextDue: DUE + 60_000 })
  })

  test('limits what workers pull over all its names', async ({ store, reopen }) => {
    await putHandler(store, '*', { pull: true, concurrency: 2 })
    await putTasks(store, 5)
    expect((await Promise.all([pulledNames(store, '*', 1), pulledNames(store, '*', 9), pulledNames(store, '*', 9)])).flat()).toHaveLength(2)
    const opened = await reopen()
    expect(await pulledNames(opened, '*', 9)).toEqual([])
    await opened.rescue({ now: DUE + LEASE_MS, limit: 1 })
    expect(await pulledNames(opened, '*', 9)).toHaveLength(1)
    await putHandler(opened, '*', { pull: true, concurrency: 3, paused: true })
    expect(await pulledNames(opened, '*', 9)).toEqual([])
    await putHandler(opened, '*', { pull: true, rate: 1 })
    expect(await pulledNames(opened, '*', 9)).toHaveLength(1)
    expect(await pulledNames(opened, '*', 9)).toEqual([])
  })

  test('holds from when its handler says so: for tasks stored before it, and with what runs of them', async ({ store, reopen }) => {
    await putTasksOfHosts(store, 12)
    const claimed = (await store.claimDue(aClaim({ limit: 5 }))).tasks
    expect(claimed).toHaveLength(5)
    await putHandler(store, 'a.*', { ...CALLBACK, concurrency: 3 })
    expect(await claimAll(store)).toEqual([])
    await finishAll(store, claimed.slice(0, 2), DUE)
    const opened = await reopen()
    expect(await claimAll(opened)).toEqual([])
    await finishAll(opened, claimed.slice(2, 3), DUE)
    expect(await claimAll(opened)).toHaveLength(1)
    await putHandler(opened, 'a.*', { ...CALLBACK, concurrency: 5 })
    expect(await claimAll(opened)).toHaveLength(2)
    await putHandler(opened, 'a.*', { pull: true, concurrency: 6 })
    expect(await claimAll(opened)).toEqual([])
    expect(await pulledNames(opened, 'a.*', 9)).toHaveLength(1)
    await putHandler(opened, 'a.*', {})
    expect(await claimAll(opened)).toHaveLength(3)
  })

  test('that is removed leaves its tasks to their hosts: with the room of each, evenly, in their windows', async ({ store, reopen }) => {
    await putHandler(store, '*', { concurrency: 1, max_delay: 60 })
    await putTasksOfHosts(store, 12)
    const [task] = (await claimAll(store)) as [Task]
    expect(await claimAll(store)).toEqual([])
    expect(await store.removeHandler('*', { force: false })).toBe('removed')
    const opened = await reopen()
    const hosts = async (claim: { limit?: number; capacityOfNewHost?: number }) =>
      (await opened.claimDue(aClaim(claim))).tasks.map(({ host }) => host).sort()
    expect(await hosts({ limit: 4 })).toEqual(['host-0.test', 'host-0.test', 'host-1.test', 'host-1.test'])
    expect(await hosts({ capacityOfNewHost: 1 })).toEqual(['host-0.test', 'host-1.test'])
    await finishAll(opened, [task], DUE)
    expect((await expireAll(opened, DUE + 600_000)).map(({ deadline }) => deadline)).toEqual(Array(5).fill(DUE + 600_000))
  })

  test('holds for 3000 waiting tasks of 3000 names and 30 hosts as soon as it is there, and no longer once it is gone', async ({
    store,
    reopen,
  }) => {
    const tasks = Array.from({ length: 3000 }, (_, n) =>
      aTask({ name: `a.${n}`, dueAt: DUE - 1 - n, definition: { callback: `http://host-${n % 30}.test/` } }),
    )
    await store.put(tasks, { now: DUE - 9999 })
    const claims: Promise<{ tasks: Task[] }>[] = []
    const handling = store.putHandler('a.*', { concurrency: 7 }, { now: DUE, force: false })
    // While rows are gone through, claims come again and again.
    for (let turn = 0; turn < 20; turn += 1) claims.push(store.claimDue(aClaim({ limit: 50 })))
    await handling
    const claimed = (await Promise.all(claims)).flatMap(({ tasks }) => tasks)
    expect(claimed).toHaveLength(7)
    const opened = await reopen()
    expect(await claimAll(opened)).toEqual([])
    await finishAll(opened, claimed, DUE)
    expect((await claimAll(opened)).map(keyOf)).toHaveLength(7)
    await opened.removeHandler('a.*', { force: false })
    for (let turn = 0; turn < 30 && (await claimAll(opened)).length > 0; turn += 1);
    expect(await listAll(opened, { states: ['pending'] })).toEqual([])
  })
})

function namesOf(tasks: readonly Task[]): string[] {
  return tasks.map(({ name }) => name).sort()
}

function aWorker(limit: number) {
  return { now: DUE, node: 'node-1', leaseUntil: DUE + LEASE_MS, limit }
}

async function pulledNames(store: Store, handler: string, limit: number): Promise<string[]> {
  const result = await store.pull(handler, aWorker(limit))
  if (result === 'not_pulled') throw new Error(`${handler} is not pulled`)
  return result.tasks.map(({ name }) => name)
}

/** Tasks of all names in turn without a callback of their own, due one after the other until `DUE - 1`, the last one first. */
async function putTasks(store: Store, count: number): Promise<void> {
  const name = (n: number) => NAMES[n % NAMES.length] ?? ''
  await store.put(
    Array.from({ length: count }, (_, n) => aTaskWithoutCallback({ name: name(n), triggerAt: MINUTE - n * 60, dueAt: DUE - 1 - n })),
    { now: DUE - 99 },
  )
}

/** Tasks of as many names at two hosts. */
async function putTasksOfHosts(store: Store, count: number): Promise<void> {
  await store.put(
    Array.from({ length: count }, (_, n) => aTask({ name: `a.${n}`, definition: { callback: `http://host-${n % 2}.test/` } })),
    { now: DUE - 99 },
  )
}
