import { expect } from 'vitest'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { answered, claimAll, DUE, finish, keysOf, listAll } from './support/tasks.ts'
import { aRepeating, minutesOf, putManySeries } from './series.ts'

const LATER = MINUTE + 3600
const HOURLY = { repeat: '@hourly' }
const KEY = { name: 'a-task', triggerAt: MINUTE }

export default area('one series of a name', (test) => {
  test('a task that repeats takes the place of the one that waits in the series, whatever its minute', async ({ store }) => {
    await store.put([aRepeating(), aTask({ triggerAt: MINUTE + 60 })], { now: DUE - 9 })
    const { last } = await store.changes({ after: 0, limit: 1 })
    const results = await store.put([aRepeating(HOURLY, LATER)], { now: DUE - 5 })
    expect(results).toMatchObject([{ status: 'created', replaces: KEY, task: { triggerAt: LATER, definition: HOURLY } }])
    const { changes } = await store.changes({ after: last, limit: 10 })
    expect(changes.map(({ kind, task }) => [kind, task.triggerAt]).sort()).toEqual([
      ['created', LATER],
      ['deleted', MINUTE],
    ])
    expect(await minutesOf(store)).toEqual([1, 60])
    expect(await store.put([aRepeating({}, LATER)], { now: DUE - 4 })).toMatchObject([
      { status: 'replaced', replaces: { triggerAt: LATER } },
    ])
    // Beside another name, and within one commit.
    const results2 = await store.put([aRepeating(HOURLY, LATER + 60), { ...aRepeating(), name: 'b' }, aRepeating()], { now: DUE - 3 })
    expect(results2).toMatchObject([
      { replaces: { triggerAt: LATER } },
      { status: 'created', task: { name: 'b' } },
      { replaces: { triggerAt: LATER + 60 } },
    ])
    expect(await minutesOf(store)).toEqual([0, 1])
  })

  test('a running task goes on, and what follows it is replaced', async ({ store }) => {
    await store.put([aRepeating({ retry: 1 })], { now: DUE - 9 })
    const [head] = await claimAll(store)
    expect(await minutesOf(store)).toEqual([0, 5])
    const next = { name: 'a-task', triggerAt: MINUTE + 300 }
    expect(await store.put([aRepeating(HOURLY, LATER)], { now: DUE + 1 })).toMatchObject([{ replaces: next }])
    if (head !== undefined) await finish(store, head, answered(503, DUE + 50), DUE + 50)
    await claimAll(store, DUE + 9000)
    expect(await minutesOf(store)).toEqual([0, 60])
    // A task that waits for its retry has a follower, and is no place in the series.
    expect(await claimAll(store, LATER * 1000)).toMatchObject([{ triggerAt: LATER, repeatedTo: LATER + 3600 }])
    expect(await minutesOf(store)).toEqual([0, 60, 120])
  })

  test('with ifAbsent, or on a running key, the series stays as it is', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    const other = aRepeating(HOURLY, LATER)
    expect(await store.put([other], { now: DUE - 5, ifAbsent: true })).toEqual([{ status: 'exists', key: KEY }])
    await claimAll(store)
    expect(await store.put([aRepeating(HOURLY)], { now: DUE + 5 })).toEqual([{ status: 'running' }])
    expect(await minutesOf(store)).toEqual([0, 5])
  })

  test('of several that an older program has stored, all give way', async (opened) => {
    await putManySeries(opened, [aRepeating(), aRepeating(HOURLY, MINUTE + 60), aTask({ triggerAt: MINUTE + 120 })])
    expect(await opened.store.put([aRepeating(HOURLY, LATER)], { now: DUE - 5 })).toMatchObject([{ replaces: KEY }])
    expect(await minutesOf(opened.store)).toEqual([2, 60])
  })

  test('of many that come at once, also beside a claim, one waits in the end', async ({ store }) => {
    await store.put([aRepeating()], { now: DUE - 9 })
    const puts = Array.from({ length: 12 }, (_, n) => store.put([aRepeating(HOURLY, LATER + n * 60)], { now: DUE + n }))
    await Promise.all([claimAll(store), ...puts])
    const waiting = (await listAll(store)).filter(({ state, repeatedTo }) => state === 'pending' && repeatedTo === null)
    expect(keysOf(waiting)).toHaveLength(1)
  })
})
