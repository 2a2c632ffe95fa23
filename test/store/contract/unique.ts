import { expect } from 'vitest'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { answered, claimAll, DUE, finishAll, keysOf, listAll, finish } from './support/tasks.ts'

const at = (minutes: number, unique: 'waiting' | 'ever') => aTask({ triggerAt: MINUTE + minutes * 60, unique })

export default area('a unique task', (test) => {
  for (const unique of ['waiting', 'ever'] as const) {
    test(`${unique}: is stored once of many that come at once, and the one that is there does not change`, async ({ store }) => {
      const results = await Promise.all(Array.from({ length: 12 }, (_, n) => store.put([at(n, unique)], { now: DUE - 9 })))
      const [stored] = await listAll(store)
      expect(await listAll(store)).toHaveLength(1)
      expect(results.flat().filter(({ status }) => status === 'created')).toHaveLength(1)
      const { last } = await store.changes({ after: 0, limit: 1 })
      const again = await store.put([at(0, unique), aTask({ name: 'b', unique }), aTask({ name: 'b', unique })], { now: DUE - 5 })
      expect(again).toMatchObject([{ status: 'kept', task: stored }, { status: 'created' }, { status: 'kept', task: { name: 'b' } }])
      expect((await store.changes({ after: last, limit: 9 })).changes).toMatchObject([{ kind: 'created', task: { name: 'b' } }])
    })
  }

  test('waits for the end of the first, or as long as one is kept', async ({ store }) => {
    await store.put([at(0, 'waiting')], { now: DUE - 9 })
    const [running] = await claimAll(store)
    expect(await store.put([at(1, 'waiting')], { now: DUE + 1 })).toMatchObject([{ status: 'kept', task: { state: 'running' } }])
    if (running !== undefined) await finish(store, running, answered(503, DUE + 50), DUE + 50)
    expect(await store.put([at(1, 'waiting')], { now: DUE + 60 })).toMatchObject([{ status: 'kept', task: { state: 'retrying' } }])
    await finishAll(store, await claimAll(store, DUE + 9000), DUE + 9001)
    expect(await store.put([at(1, 'ever')], { now: DUE + 9002 })).toMatchObject([{ status: 'kept', task: { state: 'successful' } }])
    expect(await store.put([at(1, 'waiting')], { now: DUE + 9003 })).toMatchObject([{ status: 'created' }])
    expect(await store.put([at(2, 'ever')], { now: DUE + 9004 })).toMatchObject([{ status: 'kept', task: { state: 'pending' } }])
    await store.remove({ name: 'a-task' }, { now: DUE + 9005, limit: 9 })
    expect(await store.put([at(2, 'ever')], { now: DUE + 9006 })).toMatchObject([{ status: 'created' }])
    expect(keysOf(await listAll(store))).toEqual([`a-task@${MINUTE + 120}`])
  })
})
