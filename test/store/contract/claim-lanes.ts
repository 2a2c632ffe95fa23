import { expect } from 'vitest'
import type { Task } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, claimAll, DUE, rooms } from './support/tasks.ts'

export default area('claimDue over lanes', (test) => {
  test('gives a lane no more than its room, and one it does not know the room of a new one', async ({ store }) => {
    await putLanes(store, { known: 9, full: 9, fresh: 9 })
    const lanes = rooms({ known: 4, full: 0, idle: 5 })
    const { tasks } = await store.claimDue(aClaim({ hosts: lanes, capacityOfNewHost: 3 }))
    expect(perLane(tasks)).toEqual({ known: 4, fresh: 3 })
  })

  test('passes over lanes that are full, however many tasks wait there and for however long', async ({ store }) => {
    const waiting = [1, 2, 3].flatMap((lane) =>
      Array.from({ length: 400 }, (_, n) => aTask({ name: `full-${lane}-${n}`, host: `full-${lane}`, dueAt: DUE - 5000 })),
    )
    await store.put([...waiting, aTask({ name: 'free', host: 'free' })], { now: DUE - 9000 })
    const { tasks } = await store.claimDue(aClaim({ limit: 1, hosts: rooms({ 'full-1': 0, 'full-2': 0, 'full-3': -2 }) }))
    expect(tasks).toMatchObject([{ name: 'free' }])
  })

  test('shares the tasks evenly over the lanes, and what one leaves goes to the others', async ({ store }) => {
    await putLanes(store, { a: 100, b: 100, c: 2 })
    expect(perLane((await store.claimDue(aClaim({ limit: 30 }))).tasks)).toEqual({ a: 14, b: 14, c: 2 })
  })

  test('gives each lane one where there are as many lanes as places', async ({ store }) => {
    await putLanes(store, Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`lane-${n}`, 5])))
    expect(Object.values(perLane((await store.claimDue(aClaim({ limit: 20 }))).tasks))).toEqual(Array<number>(20).fill(1))
  })

  test('serves the lane first that has waited longest where there are more lanes than places', async ({ store }) => {
    await store.put(
      ['c', 'a', 'b'].map((lane, n) => aTask({ name: lane, host: lane, dueAt: DUE + n })),
      { now: DUE },
    )
    expect((await store.claimDue(aClaim({ now: DUE + 9, limit: 2 }))).tasks.map(({ name }) => name)).toEqual(['c', 'a'])
  })

  test('serves lanes with fewer calls under way first, however long the others have waited', async ({ store }) => {
    await store.put(
      ['busiest', 'busy', 'idle', 'new'].map((lane, n) => aTask({ name: lane, host: lane, dueAt: DUE + n })),
      { now: DUE },
    )
    const lanes = rooms({ busiest: 5, busy: 5, idle: 5 })
    for (const [n, host] of ['idle', 'busy', 'busiest'].entries()) lanes.set(host, { free: 5, state: 'answers', inflight: 3 * n })
    const claim = async () => (await store.claimDue(aClaim({ now: DUE + 9, limit: 1, hosts: lanes }))).tasks.map(({ name }) => name)
    expect([await claim(), await claim(), await claim(), await claim()]).toEqual([['idle'], ['new'], ['busy'], ['busiest']])
  })

  test('gives new and silent hosts together no more than their limit, and silent ones no more than theirs, evenly', async ({ store }) => {
    await putLanes(store, { proven: 50, silent: 50, mute: 50, fresh: 50, other: 50 })
    const lanes = rooms({ proven: 40 })
    for (const host of ['silent', 'mute']) lanes.set(host, { free: 40, state: 'silent', inflight: 0 })
    const limits = { limit: 100, hosts: lanes, capacityOfNewHost: 40, unprovenLimit: 12 }
    expect(perLane((await store.claimDue(aClaim(limits))).tasks)).toEqual({ proven: 40, silent: 3, mute: 3, fresh: 3, other: 3 })
    const claimed = perLane((await store.claimDue(aClaim({ ...limits, silentLimit: 4 }))).tasks)
    expect(claimed).toEqual({ proven: 10, silent: 2, mute: 2, fresh: 4, other: 4 })
    expect(perLane((await store.claimDue(aClaim({ limit: 100, hosts: lanes, unprovenLimit: 0 }))).tasks)).toEqual({})
    expect(await store.claimDue(aClaim({ limit: 100, hosts: lanes, unprovenLimit: -3 }))).toMatchObject({ tasks: [] })
  })

  for (const [places, limits] of Object.entries({ places: { limit: 2 }, 'places for lanes that are not proven': { unprovenLimit: 2 } })) {
    test(`gives what a lane leaves of few ${places} first to a lane that has nothing yet`, async ({ store }) => {
      await store.put([aTask({ name: 'gone', host: 'gone', dueAt: DUE - 9 })], { now: DUE - 99 })
      await putLanes(store, { a: 5, b: 5 })
      await store.remove({ name: 'gone' }, { now: DUE, limit: 1 })
      expect(perLane((await store.claimDue(aClaim(limits))).tasks)).toEqual({ a: 1, b: 1 })
    })
  }

  test('finds what is due though the tasks of many other hosts are gone', async ({ store }) => {
    const gone = Array.from({ length: 50 }, (_, n) =>
      aTask({ name: 'gone', triggerAt: MINUTE + n * 60, host: `gone-${n}`, dueAt: DUE - 50 + n }),
    )
    await store.put([...gone, aTask({ name: 'stays', host: 'stays' })], { now: DUE - 99 })
    expect(await store.remove({ name: 'gone' }, { now: DUE, limit: 100 })).toBe(50)
    expect((await store.claimDue(aClaim({ limit: 1 }))).tasks).toMatchObject([{ name: 'stays' }])
  })

  test('finds what is due behind the tasks of many other hosts that are out of time', async ({ store }) => {
    const late = Array.from({ length: 50 }, (_, n) => aTask({ name: `late-${n}`, host: `late-${n}`, dueAt: DUE - 50 + n, deadline: DUE }))
    await store.put([...late, aTask({ name: 'in-time', host: 'in-time' })], { now: DUE - 99 })
    expect((await store.claimDue(aClaim({ limit: 1 }))).tasks).toMatchObject([{ name: 'in-time' }])
  })

  test('never hands out one more of a lane because others had nothing', async ({ store }) => {
    const gone = Array.from({ length: 20 }, (_, n) =>
      aTask({ name: 'gone', triggerAt: MINUTE + n * 60, host: `gone-${n}`, dueAt: DUE - 50 + n }),
    )
    await store.put(gone, { now: DUE - 99 })
    await putLanes(store, { small: 9, large: 9 })
    await store.remove({ name: 'gone' }, { now: DUE, limit: 100 })
    const lanes = rooms({ small: 2, large: 3 })
    expect(perLane((await store.claimDue(aClaim({ limit: 8, hosts: lanes }))).tasks)).toEqual({ small: 2, large: 3 })
  })

  test('hands out what waits after the store was opened again', async ({ store, reopen }) => {
    await putLanes(store, { a: 2, b: 1 })
    expect(perLane(await claimAll(await reopen()))).toEqual({ a: 2, b: 1 })
  })
})

function putLanes(store: Store, sizes: Record<string, number>): Promise<unknown> {
  const tasks = Object.entries(sizes).flatMap(([host, size]) =>
    Array.from({ length: size }, (_, n) => aTask({ name: `${host}-${n}`, host })),
  )
  return store.put(tasks, { now: DUE - 1 })
}

function perLane(tasks: readonly Task[]): Record<string, number> {
  const sizes: Record<string, number> = {}
  for (const { host } of tasks) sizes[host] = (sizes[host] ?? 0) + 1
  return sizes
}
