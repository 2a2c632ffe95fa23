/** Names whose tasks are held back by the thousand: they hold up no other name, whatever waits of them. */
import { expect, inject } from 'vitest'
import { errorCallbackKey } from '../../../src/domain/task/error-callback.ts'
import type { HandlerDefinition } from '../../../src/domain/task/handler.ts'
import type { NewTask, Task } from '../../../src/domain/task/task.ts'
import { MOST_LANES } from '../../../src/store/rules/claim-shares.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, claimAll, DUE, expireAll, listAll, mustGet, putHandler } from './support/tasks.ts'

const CALLBACK = { callback: 'http://receiver.test/run' }
const MINUTE_MS = 60_000
/** More than a claim moves to another lane at once. The night has time for more. */
const MANY = inject('isNightly') ? 20_000 : 4000
/** More than a claim looks at. */
const PAUSED = MOST_LANES + 100
/** Each keeps tasks waiting that are due. */
const HELD: Readonly<Record<string, HandlerDefinition>> = {
  paused: { ...CALLBACK, paused: true },
  'at its concurrency': { ...CALLBACK, concurrency: 1 },
  'at its rate': { ...CALLBACK, rate: 1 },
  pulled: { pull: true },
}

export default area('a name', (test) => {
  for (const [what, handler] of Object.entries(HELD)) {
    for (const [when, isStoredBefore] of [
      ['before its handler', true],
      ['after it', false],
    ] as const) {
      test(`that is ${what}, with ${MANY} due tasks stored ${when}, holds up no other task, of its host or of others`, async ({
        store,
        reopen,
      }) => {
        if (!isStoredBefore) await putHandler(store, 'crowded', handler)
        await putMany(store, 'crowded')
        if (isStoredBefore) await putHandler(store, 'crowded', handler)
        await store.put([...some('same', 'http://receiver.test/'), ...some('other', 'http://other.test/')], { now: DUE - 9 })
        const first = await claimSome(store)
        expect(first).toMatchObject({ other: 10 })
        // Rows that were stored before are sorted out by claims that follow each other at once, so that none takes long.
        const turns = isStoredBefore ? 30 : 0
        for (let turn = 0; turn < turns && first['same'] !== 10; turn += 1)
          for (const [name, count] of Object.entries(await claimSome(store))) first[name] = (first[name] ?? 0) + count
        expect(first).toMatchObject({ same: 10, other: 10 })
        await store.put([...some('same-again', 'http://receiver.test/'), ...some('other-again', 'http://other.test/')], { now: DUE - 9 })
        expect(await claimSome(await reopen())).toEqual({ 'same-again': 10, 'other-again': 10 })
      })
    }
  }

  for (const [what, handler] of Object.entries(HELD)) {
    test(`that is ${what} keeps nothing beyond its window`, async ({ store }) => {
      await putHandler(store, 'a-task', handler)
      await store.put([aTask(), aTask({ triggerAt: MINUTE + 60 }), aTask({ triggerAt: MINUTE + 120 })], { now: DUE - 9 })
      await claimAll(store, DUE + 2 * MINUTE_MS)
      const waiting = await listAll(store, { states: ['pending'] })
      expect(waiting.length).toBeGreaterThanOrEqual(2)
      const now = waiting[1]?.deadline ?? 0
      expect(await expireAll(store, now)).toMatchObject(waiting.slice(0, 2).map(({ triggerAt }) => ({ triggerAt, state: 'skipped' })))
    })

    test(`that is ${what} heeds a shorter max_delay for what waits`, async ({ store }) => {
      await store.put([aTask(), aTask({ triggerAt: MINUTE + 60 })], { now: DUE - 9 })
      await putHandler(store, 'a-task', handler)
      await claimAll(store)
      await putHandler(store, 'a-task', { ...handler, max_delay: 3 })
      const now = DUE + 4 * MINUTE_MS
      await expireAll(store, now)
      expect(await mustGet(store, { name: 'a-task', triggerAt: MINUTE + 60 })).toMatchObject({ state: 'skipped' })
    })

    test(`that is ${what} has its error callbacks called`, async ({ store }) => {
      await putHandler(store, 'a-task', { ...handler, error_callback: 'http://told.test/' })
      await store.put([aTask(), aTask({ triggerAt: MINUTE - 60 })], { now: DUE - 9 })
      await claimAll(store)
      const expired = await expireAll(store, DUE + 600_000)
      const told = (await claimAll(store, DUE + 600_000)).filter(({ host }) => host === 'told.test')
      expect(told.length).toBeGreaterThanOrEqual(1)
      expect(told.map(({ name }) => name).sort()).toEqual(expired.map((task) => errorCallbackKey(task).name).sort())
    })
  }

  test('that are at a limit leave the room of their host to others', async ({ store }) => {
    for (const [name, handler] of Object.entries(HELD)) {
      await putHandler(store, name.replaceAll(' ', '-'), handler)
      await store.put(some(name.replaceAll(' ', '-'), CALLBACK.callback, 30), { now: DUE - 9 })
    }
    await claimAll(store)
    await store.put(some('free', CALLBACK.callback, 30), { now: DUE - 9 })
    const { tasks } = await store.claimDue(aClaim({ capacityOfNewHost: 8, limit: 20, unprovenLimit: 9, silentLimit: 9 }))
    expect(tasks.map(({ name }) => name)).toEqual(Array<string>(8).fill('free'))
  })

  test('that are paused by the thousand are passed over by a claim that is asked again at once', async ({ store }) => {
    const names = Array.from({ length: PAUSED }, (_, n) => `paused-${n}`)
    await Promise.all(names.map((name) => putHandler(store, name, { paused: true })))
    await store.put([...names.map((name) => aTask({ name, dueAt: DUE - 5 })), aTask({ name: 'free' })], { now: DUE - 9 })
    const claimed: Task[] = []
    let turns = 0
    for (let next: number | undefined = DUE; next !== undefined && next <= DUE; turns += 1) {
      const { tasks, nextDue } = await store.claimDue(aClaim({ limit: 3 }))
      claimed.push(...tasks)
      next = nextDue
      expect(turns).toBeLessThan(5)
    }
    expect(claimed).toMatchObject([{ name: 'free' }])
    await store.put([aTask({ name: 'free', triggerAt: MINUTE - 60 })], { now: DUE })
    expect(await store.claimDue(aClaim({ limit: 1 }))).toMatchObject({ tasks: [{ name: 'free' }], nextDue: undefined })
  })
})

function some(name: string, callback: string, count = 10): NewTask[] {
  return Array.from({ length: count }, (_, n) => aTask({ name, triggerAt: MINUTE - n * 60, dueAt: DUE - 1, definition: { callback } }))
}

/** All are due before every other task. */
async function putMany(store: Store, name: string): Promise<void> {
  const tasks = Array.from({ length: MANY }, (_, n) =>
    aTask({ name, triggerAt: MINUTE - 60_000 - n * 60, dueAt: DUE - MANY + n - 10, definition: { max_delay: 525_600 } }),
  )
  for (let n = 0; n < MANY; n += 2000) await store.put(tasks.slice(n, n + 2000), { now: DUE - 99_999 })
}

/** How many tasks of each name one claim hands out that has more places than the others need. */
async function claimSome(store: Store): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { name } of (await store.claimDue(aClaim({ limit: 64 }))).tasks) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
