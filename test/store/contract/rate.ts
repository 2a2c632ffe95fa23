import fc, { runs } from '../../support/fast-check.ts'
import { expect } from 'vitest'
import { reportOf } from '../../../src/domain/attempt/attempt-report.ts'
import type { Task, TaskDefinition } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, claimAll, DUE, finish, finishAll, NODE, putHandler } from './support/tasks.ts'

const CALLBACK = { callback: 'http://handler.test/run' }
/** A rate is counted by whole seconds, so a place comes back after 61 of them at the latest. */
const PLACE_MS = 61_000

export default area('rate', (test) => {
  test('lets so many attempts of a name start in a minute, the oldest first, whoever asks', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, rate: 3 })
    await putTasks(store, 8, () => ({}))
    const claimed = await claimAll(store)
    expect(claimed.map(({ dueAt }) => dueAt - DUE)).toEqual([-8, -7, -6])
    await finishAll(store, claimed, DUE)
    expect((await store.claimDue(aClaim({ node: 'node-2' }))).tasks).toEqual([])
    const opened = await reopen()
    expect(await claimAll(opened, DUE + 59_999)).toEqual([])
    expect(await claimAll(opened, DUE + PLACE_MS)).toHaveLength(3)
  })

  test('counts each attempt, a second one of the same task too', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, rate: 2, retry: 9 })
    await putTasks(store, 1)
    for (const now of [DUE, DUE + 1000]) await finishAll(store, await claimAll(store, now), now, 503)
    expect(await claimAll(store, DUE + 59_999)).toEqual([])
    expect(await claimAll(store, DUE + PLACE_MS)).toMatchObject([{ attempts: 3 }])
  })

  test('counts a call that starts later than it was claimed by its start', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, rate: 1 })
    await putTasks(store, 2)
    const [late] = (await claimAll(store)) as [Task]
    const startedAt = DUE + 10_000
    await finish(store, late, { kind: 'answered', startedAt, endedAt: startedAt, status: 200, body: '' }, startedAt)
    const { tasks, nextDue } = await store.claimDue(aClaim({ now: startedAt + PLACE_MS - 1 }))
    expect([tasks, nextDue]).toEqual([[], startedAt + PLACE_MS])
    expect(await claimAll(store, startedAt + PLACE_MS)).toHaveLength(1)
  })

  test('says when to look again: from one time to the next, all is claimed as fast as the rate allows', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, rate: 5 })
    await putTasks(store, 50)
    const { starts, times } = await walk(store, DUE)
    expect(starts).toHaveLength(50)
    expectWithinRate(starts, 5)
    expect(Math.max(...starts)).toBeLessThanOrEqual(DUE + 9 * PLACE_MS)
    // It is not asked in vain all the time.
    expect(times.length).toBeLessThanOrEqual(25)
  })

  test('says when to look again also in a store that is opened again each time', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, rate: 2 })
    await putTasks(store, 6)
    let opened = store
    const starts: number[] = []
    for (let now: number | undefined = DUE; now !== undefined && starts.length < 6; opened = await reopen()) {
      const { tasks, nextDue } = await opened.claimDue(aClaim({ now }))
      starts.push(...tasks.map(() => Number(now)))
      now = nextDue
    }
    expectWithinRate(starts, 2)
    expect([starts.length, Math.max(...starts)]).toEqual([6, expect.toSatisfy((last: number) => last <= DUE + 2 * PLACE_MS)])
  })

  test('says no later time than that of a task of another name', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, rate: 1 })
    await putTasks(store, 2)
    await claimAll(store)
    await store.put([aTask({ name: 'other', dueAt: DUE + 30_000 })], { now: DUE })
    const { nextDue } = await store.claimDue(aClaim({ now: DUE + 1 }))
    expect(nextDue).toBe(DUE + 30_000)
    expect(await claimAll(store, DUE + 30_000)).toMatchObject([{ name: 'other' }])
    expect((await store.claimDue(aClaim({ now: DUE + 30_000 }))).nextDue).toBeLessThanOrEqual(DUE + PLACE_MS)
  })

  test('holds together with concurrency: the narrower one counts', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, rate: 5, concurrency: 2 })
    await putTasks(store, 20)
    const claimed: Task[][] = []
    for (let turn = 0; turn < 4; turn += 1) {
      claimed.push(await claimAll(store, DUE + turn))
      await finishAll(store, claimed[turn] ?? [], DUE + turn)
    }
    expect(claimed.map(({ length }) => length)).toEqual([2, 2, 1, 0])
  })

  test('that is raised gives more at once, and one that is lowered waits for what has started', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, rate: 2 })
    await putTasks(store, 30)
    expect(await claimAll(store)).toHaveLength(2)
    await putHandler(store, 'a-task', { ...CALLBACK, rate: 5 })
    expect(await claimAll(store, DUE + 1000)).toHaveLength(3)
    await putHandler(store, 'a-task', { ...CALLBACK, rate: 4 })
    expect(await claimAll(store, DUE + 2000)).toEqual([])
    expect(await claimAll(store, DUE + 59_999)).toEqual([])
    const { starts } = await walk(store, DUE + 60_000, 8)
    expectWithinRate([DUE + 1000, DUE + 1000, DUE + 1000, ...starts], 4)
    await putHandler(store, 'a-task', CALLBACK)
    expect(await claimAll(store, DUE + 600_000)).toHaveLength(17)
  })

  test('is never exceeded while nodes race for the tasks', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, rate: 7 })
    await putTasks(store, 60)
    let opened = store
    const starts: number[] = []
    for (let round = 0; starts.length < 60; round += 1) {
      expect(round).toBeLessThan(200)
      const now = DUE + round * 9700
      const claims = ['a', 'b', 'c', 'd', 'e', 'f'].map((node, n) =>
        opened.claimDue(aClaim({ node, now: now + n * 100, limit: 1 + ((n + round) % 3) })),
      )
      const claimed = (await Promise.all(claims)).flatMap(({ tasks }) => tasks)
      starts.push(...claimed.map(({ updated }) => updated))
      const outcomes = claimed.map((task) => reportOf(task, { kind: 'not_called', reason: 'stopping' }, NODE, task.updated, 0))
      // Half of them are handed back: their starts count all the same, and they start again.
      await Promise.all([opened.record(outcomes.filter((_, n) => n % 2)), opened.claimDue(aClaim({ now: now + 700, limit: 0 }))])
      if (round % 8 === 7) opened = await reopen()
    }
    expectWithinRate(starts, 7)
  })

  test('is never exceeded in any minute, wherever the clock goes', async ({ store, reopen }) => {
    const steps = fc.array(fc.integer({ min: -50_000, max: 70_000 }), { minLength: 5, maxLength: 25 })
    let opened = store
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 4 }), fc.nat(24), async (moves, rate, reopenAt) => {
        await opened.rescue({ now: DUE, onlyNode: 'nobody', limit: 1000 })
        await opened.remove({}, { now: DUE, limit: 1000 })
        await opened.removeHandler('a-task', { force: false })
        await putHandler(opened, 'a-task', { ...CALLBACK, rate })
        await putTasks(opened, 40)
        const starts: number[] = []
        let now = DUE + 1e9
        for (const [turn, move] of moves.entries()) {
          if (turn === reopenAt) opened = await reopen()
          now += move
          starts.push(...(await claimAll(opened, now)).map(({ updated }) => updated))
        }
        expectWithinRate(starts, rate)
        expect(starts.length).toBeGreaterThanOrEqual(rate)
      }),
      { numRuns: runs({ gate: 10, night: 60 }) },
    )
  })

  test('that was used up while the clock was ahead does not hold for ever once it is right', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, rate: 2 })
    await putTasks(store, 6)
    expect(await claimAll(store, DUE + 3_600_000)).toHaveLength(2)
    const { starts } = await walk(store, DUE)
    expect(starts).toHaveLength(4)
    expect(Math.max(...starts)).toBeLessThanOrEqual(DUE + 2 * PLACE_MS)
  })
})

/** Claims at a time, then at the one that this claim says, and so on. */
async function walk(store: Store, from: number, most = Infinity): Promise<{ starts: number[]; times: number[] }> {
  const [starts, times]: [number[], number[]] = [[], []]
  for (let now: number | undefined = from; now !== undefined && starts.length < most;) {
    times.push(now)
    if (times.length > 500) throw new Error(`asked 500 times, claimed ${starts.length}`)
    const { tasks, nextDue } = await store.claimDue(aClaim({ now, limit: most - starts.length }))
    for (const { updated } of tasks) starts.push(updated)
    expect(nextDue ?? Infinity).toBeGreaterThan(now)
    now = nextDue
  }
  return { starts, times }
}

/** In no 60 s that include their first instant, and not their last, did more attempts start. */
function expectWithinRate(starts: readonly number[], rate: number): void {
  const sorted = [...starts].sort((a, b) => a - b)
  const tooClose = sorted.filter((start, n) => n >= rate && start - (sorted[n - rate] ?? 0) < 60_000)
  expect(tooClose).toEqual([])
}

function halfOfThem(n: number): TaskDefinition {
  return n % 2 ? { callback: 'http://host.test/' } : {}
}

/** Tasks of one name, due one after the other until `DUE - 1`, the last one first: the callback of half of them is their handler's. */
async function putTasks(store: Store, count: number, own: (n: number) => TaskDefinition = halfOfThem): Promise<void> {
  const tasks = Array.from({ length: count }, (_, n) =>
    aTaskWithoutCallback({ triggerAt: MINUTE - n * 60, dueAt: DUE - 1 - n, definition: { max_delay: 525_600, ...own(n) } }),
  )
  await store.put(tasks, { now: DUE - 99 })
}
