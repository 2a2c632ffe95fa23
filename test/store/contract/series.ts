import { expect } from 'vitest'
import { firstDueAt } from '../../../src/domain/task/task.ts'
import type { NewTask, Task, TaskDefinition } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area, type OpenStore } from './support/area.ts'
import { runSql } from './support/raw-sql.ts'
import { aClaim, answered, claimAll, DUE, expireAll, finish, LEASE_MS, listAll, mustGet, putHandler } from './support/tasks.ts'

const EVERY_5_MIN = { repeat: '*/5 * * * *' }
const NEXT = MINUTE + 300
const HOUR_MS = 3_600_000

/** An entry that repeats every five minutes, `MINUTE` being one of its times. */
export function aRepeating(definition: Partial<TaskDefinition> = {}, triggerAt = MINUTE): NewTask {
  return aTask({ triggerAt, definition: { ...EVERY_5_MIN, ...definition } })
}

/** Stores tasks of one name that each begin a series, as an older program did. */
export async function putManySeries(opened: OpenStore, tasks: readonly NewTask[]): Promise<void> {
  await opened.store.put(
    tasks.map((task, n) => ({ ...task, name: `${task.name}-${n}` })),
    { now: DUE - 9 },
  )
  await runSql(opened, `UPDATE tasks SET name = 'a-task' WHERE name LIKE 'a-task-%'`)
}

/** The minutes after `MINUTE` of all entries of the name. */
export async function minutesOf(store: Store, name = 'a-task'): Promise<number[]> {
  return (await listAll(store, { name })).map(({ triggerAt }) => (triggerAt - MINUTE) / 60)
}

/** The entry of the series' next time, which must not be the first. */
function nextOf(store: Store, triggerAt = NEXT): Promise<Task> {
  return mustGet(store, { name: 'a-task', triggerAt })
}

async function claimFirst(store: Store, now = DUE): Promise<Task> {
  const [task] = await claimAll(store, now)
  if (task === undefined) throw new Error('nothing was claimed')
  return task
}

async function kindsSince(store: Store, after: number): Promise<string[]> {
  const { changes } = await store.changes({ after, limit: 100 })
  return changes.map(({ kind, task }) => `${kind} ${(task.triggerAt - MINUTE) / 60}`).sort()
}

async function lastChange(store: Store): Promise<number> {
  return (await store.changes({ after: 0, limit: 1 })).last
}

export default area('a series', (test) => {
  test('a claim stores the next entry with it: the same definition, a run of its own', async ({ store, reopen }) => {
    const definition = { max_delay: 3, retry: 7, payload: { ä: [1, null] }, headers: { 'X-One': '1' }, timezone: 'Europe/Berlin' }
    await store.put([aRepeating(definition)], { now: DUE - 9 })
    const last = await lastChange(store)
    const head = await claimFirst(store, DUE + 5)
    expect(head).toMatchObject({ triggerAt: MINUTE, state: 'running', repeatedTo: NEXT })
    const next = await nextOf(store)
    const fields = { triggerAt: NEXT, definition: head.definition, dueAt: NEXT * 1000, deadline: NEXT * 1000 + 180_000, created: DUE + 5 }
    expect(next).toMatchObject({ ...fields, state: 'pending', attempts: 0, updated: DUE + 5, repeatedTo: null, rescheduledFrom: null })
    expect(next).toMatchObject({
      claimedBy: null,
      leaseUntil: null,
      windowFrom: NEXT * 1000,
      executedAt: null,
      error: null,
      host: head.host,
    })
    expect(next.runId).not.toBe(head.runId)
    expect(next.runId).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
    expect(await kindsSince(store, last)).toEqual(['created 5', 'processing 0'])
    expect(await listAll(await reopen())).toEqual([head, next])
  })

  test('the next entry is told as due to whoever waits', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    expect((await store.claimDue(aClaim())).nextDue).toBe(NEXT * 1000)
    expect(await claimAll(store, NEXT * 1000 - 1)).toEqual([])
    expect(await claimAll(store, NEXT * 1000)).toMatchObject([{ triggerAt: NEXT, attempts: 1, repeatedTo: NEXT + 300 }])
    expect(await minutesOf(store)).toEqual([0, 5, 10])
  })

  test('a hundred series that are claimed at once go on, each for itself', async ({ store }) => {
    const names = Array.from({ length: 100 }, (_, n) => `n${n}`)
    await store.put(
      names.map((name) => ({ ...aRepeating(), name })),
      { now: DUE - 9 },
    )
    expect(await claimAll(store)).toHaveLength(100)
    for (const name of names) expect(await minutesOf(store, name)).toEqual([0, 5])
  })

  test('two nodes that race for an entry store one next entry', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    const claims = await Promise.all(Array.from({ length: 10 }, (_, n) => store.claimDue(aClaim({ node: `node-${n}` }))))
    expect(claims.flatMap(({ tasks }) => tasks)).toHaveLength(1)
    expect(await minutesOf(store)).toEqual([0, 5])
  })

  test('the next entry says itself only what its series says, and the handler the rest', async ({ store }) => {
    await putHandler(store, 'a-task', { callback: 'http://old.test/', retry: 3 })
    await store.put([aTaskWithoutCallback({ definition: { ...EVERY_5_MIN, timeout: 9 } })], { now: DUE - 9 })
    await claimFirst(store)
    await putHandler(store, 'a-task', { callback: 'http://new.test/', max_delay: 4 })
    const next = await nextOf(store)
    expect(next.definition).toEqual({ ...EVERY_5_MIN, timeout: 9, callback: 'http://new.test/', max_delay: 4 })
    expect(next).toMatchObject({ host: 'new.test', deadline: NEXT * 1000 + 240_000 })
    expect(await claimAll(store, NEXT * 1000)).toMatchObject([{ triggerAt: NEXT, definition: { callback: 'http://new.test/' } }])
  })

  test('spread gives each entry the second of its own key', async ({ store }) => {
    await store.put([aRepeating({ spread: 59 })], { now: DUE - 9 })
    const seconds = new Set<number>()
    for (let n = 0; n < 12; n += 1) {
      const head = (await listAll(store)).at(-1) as Task
      expect(head.dueAt).toBe(firstDueAt(head, head.definition))
      seconds.add(head.dueAt - head.triggerAt * 1000)
      expect(await claimAll(store, head.dueAt - 1)).toEqual([])
      expect(await claimAll(store, head.dueAt)).toHaveLength(1)
    }
    expect(seconds.size).toBeGreaterThan(4)
    expect(await minutesOf(store)).toEqual([0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60])
  })

  test('times are those of its zone, across a change of the clocks', async ({ store }) => {
    const nineOClock = Date.UTC(2027, 2, 13, 14) / 1000
    await store.put([aRepeating({ repeat: '0 9 * * *', timezone: 'America/New_York' }, nineOClock)], { now: DUE })
    expect(await claimFirst(store, nineOClock * 1000)).toMatchObject({ repeatedTo: Date.UTC(2027, 2, 14, 13) / 1000 })
    expect(await nextOf(store, Date.UTC(2027, 2, 14, 13) / 1000)).toMatchObject({ state: 'pending' })
  })

  test('an entry that is out of time is followed too, when it ends', async ({ store, reopen }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    const last = await lastChange(store)
    const now = DUE + 600_000
    expect(await expireAll(store, now)).toMatchObject([{ triggerAt: MINUTE, state: 'skipped', repeatedTo: MINUTE + 900 }])
    expect(await kindsSince(store, last)).toEqual(['created 15', 'skipped 0'])
    const opened = await reopen()
    expect(await nextOf(opened, MINUTE + 900)).toMatchObject({ state: 'pending', created: now, repeatedTo: null })
    expect(await expireAll(opened, now)).toEqual([])
    expect(await minutesOf(opened)).toEqual([0, 15])
  })

  test('an entry that is claimed too late for its call is followed once', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    const head = await claimFirst(store)
    await finish(store, head, { kind: 'not_called', reason: 'late' }, head.deadline)
    expect(await mustGet(store, head)).toMatchObject({ state: 'skipped', repeatedTo: NEXT })
    expect(await minutesOf(store)).toEqual([0, 5])
  })

  for (const [what, max_delay, ends] of [
    ['one late call where its window is still open', 3000, 'running'],
    ['none where its window has closed', 10, 'skipped'],
  ] as const) {
    test(`after two days of silence there is ${what}, and then the first future one`, async ({ store, reopen }) => {
      await store.put([aRepeating({ max_delay })], { now: DUE - 9 })
      const opened = await reopen()
      const now = DUE + 48 * HOUR_MS + 61_000
      await expireAll(opened, now)
      await claimAll(opened, now)
      expect(await claimAll(opened, now)).toEqual([])
      expect(await mustGet(opened, aTask())).toMatchObject({ state: ends, repeatedTo: MINUTE + 48 * 3600 + 300 })
      expect(await minutesOf(opened)).toEqual([0, 48 * 60 + 5])
    })
  }

  test('at the very instant of a time the next one is the one after it', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    expect(await claimFirst(store, NEXT * 1000)).toMatchObject({ repeatedTo: NEXT + 300 })
    expect(await minutesOf(store)).toEqual([0, 10])
  })

  test('an entry that is run early is followed by the first time after its own', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - HOUR_MS })
    const now = DUE - HOUR_MS / 2
    await store.run(aTask(), { now })
    expect(await minutesOf(store)).toEqual([0])
    expect(await claimFirst(store, now)).toMatchObject({ inAdvance: true, repeatedTo: NEXT })
    expect(await minutesOf(store)).toEqual([0, 5])
  })

  test('workers that pull continue the series as well, also after a lost lease once', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { pull: true })
    await store.put([aTaskWithoutCallback({ definition: EVERY_5_MIN })], { now: DUE - 9 })
    const worker = { now: DUE, node: 'worker-1', leaseUntil: DUE + LEASE_MS, limit: 10 }
    expect(await store.pull('a-task', worker)).toMatchObject({ tasks: [{ triggerAt: MINUTE, state: 'running', repeatedTo: NEXT }] })
    expect(await store.pull('a-task', worker)).toEqual({ tasks: [], nextDue: NEXT * 1000 })
    const opened = await reopen()
    expect(await nextOf(opened)).toMatchObject({ state: 'pending', definition: EVERY_5_MIN })
    await opened.rescue({ now: DUE + LEASE_MS, limit: 10 })
    const again = await opened.pull('a-task', { ...worker, now: DUE + LEASE_MS, leaseUntil: DUE + 2 * LEASE_MS })
    expect(again).toMatchObject({ tasks: [{ triggerAt: MINUTE, attempts: 2 }] })
    expect(await minutesOf(opened)).toEqual([0, 5])
  })

  test('a task that repeats nothing is followed by nothing', async ({ store }) => {
    // The word alone, where only a value holds it, is not the field.
    await store.put([aTask({ definition: { payload: { repeat: '*/5 * * * *' } } })], { now: DUE - 9 })
    expect(await claimAll(store)).toMatchObject([{ repeatedTo: null }])
    await store.put([aTask({ name: 'other' })], { now: DUE - 9 })
    expect(await expireAll(store, DUE + HOUR_MS)).toMatchObject([{ name: 'other', repeatedTo: null }])
    expect(await listAll(store)).toHaveLength(2)
  })

  test('a next time that another task of the name has is passed over', async (opened) => {
    const { store } = opened
    const foreign = [aTask({ triggerAt: NEXT }), aRepeating({ repeat: '10 * * * *' }, MINUTE + 600)]
    const elsewhere = aRepeating({ timezone: 'Asia/Tokyo' }, MINUTE + 900)
    await putManySeries(opened, [aRepeating(), ...foreign, elsewhere])
    const others = (await listAll(store)).slice(1)
    expect(await claimFirst(store)).toMatchObject({ repeatedTo: MINUTE + 1200 })
    expect(await minutesOf(store)).toEqual([0, 5, 10, 15, 20])
    expect((await listAll(store)).slice(1, 4)).toEqual(others)
  })

  for (const [what, timezone] of [
    ['has already', {}],
    ['has already, its zone written out', { timezone: 'UTC' }],
  ] as const) {
    test(`the series goes on with the entry that its next time ${what}`, async (opened) => {
      const { store } = opened
      await putManySeries(opened, [aRepeating(), aRepeating({ payload: 'newer', ...timezone }, NEXT)])
      const there = await nextOf(store)
      expect(await claimFirst(store)).toMatchObject({ repeatedTo: NEXT })
      expect(await listAll(store)).toEqual([await mustGet(store, aTask()), there])
      expect(await claimFirst(store, NEXT * 1000)).toMatchObject({ triggerAt: NEXT, repeatedTo: NEXT + 300 })
      expect(await minutesOf(store)).toEqual([0, 5, 10])
      expect((await nextOf(store, NEXT + 300)).definition.payload).toBe('newer')
    })
  }

  test('an answer, and what follows from it, leaves the series as it is', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    const head = await claimFirst(store)
    const next = await nextOf(store)
    await finish(store, head, answered(200, DUE + 50), DUE + 50)
    expect(await mustGet(store, head)).toMatchObject({ state: 'successful', repeatedTo: NEXT })
    expect(await nextOf(store)).toEqual(next)
    expect(await minutesOf(store)).toEqual([0, 5])
  })
})
