import { expect } from 'vitest'
import type { Task } from '../../../src/domain/task/task.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, anEntry, claimAll, claimOne, DUE, LEASE_MS, listAll, mustGet, NODE } from './support/tasks.ts'

const LEASE_END = DUE + LEASE_MS
const NOTHING_EXPIRED = { tasks: [], more: false }
const LOSS = 'the node was lost while the call was under way; it is not known whether it was made'

export default area('expire, renew and rescue', (test) => {
  test('expire ends what waits from its deadline on, with the reason, and answers it as it now is', async ({ store }) => {
    const { task } = (await store.put([aTask()], { now: DUE - 9 }))[0] as { task: Task }
    expect(await store.expire({ now: task.deadline - 1, limit: 10 })).toEqual(NOTHING_EXPIRED)
    const error = 'out of time: no call may start at or after 2027-01-15T08:10:00.000Z'
    const skipped = { ...task, state: 'skipped', error, updated: task.deadline }
    expect(await store.expire({ now: task.deadline, limit: 10 })).toEqual({ tasks: [skipped], more: false })
    expect(await store.get(task)).toEqual(skipped)
    expect(await store.expire({ now: task.deadline, limit: 10 })).toEqual(NOTHING_EXPIRED)
    expect(await store.history(task)).toEqual([])
  })

  test('expire fails what had an attempt, and keeps what came of it', async ({ store }) => {
    const before = await anEntry(store, 'retrying')
    const [failed] = (await store.expire({ now: before.deadline + 5, limit: 10 })).tasks
    expect(failed).toEqual({
      ...before,
      state: 'failed',
      error: expect.stringContaining('; before that: answered 500, expected 200') as string,
      updated: before.deadline + 5,
    })
    expect(await mustGet(store, before)).toEqual(failed)
  })

  test('expire leaves alone what is running or final', async ({ store }) => {
    for (const state of ['running', 'successful', 'failed', 'skipped'] as const) await anEntry(store, state, { name: state })
    const before = await listAll(store)
    expect(await store.expire({ now: DUE + 400 * 86_400_000, limit: 10 })).toEqual(NOTHING_EXPIRED)
    expect(await listAll(store)).toEqual(before)
  })

  test('expire takes at most as many as asked for, and the rest the next time', async ({ store }) => {
    await store.put(
      [1, 2, 3, 4, 5].map((n) => aTask({ name: `n${n}` })),
      { now: DUE },
    )
    const expired: Task[] = []
    for (const count of [2, 2, 1, 0]) {
      const { tasks, more } = await store.expire({ now: DUE + 600_000, limit: 2 })
      expect(tasks).toHaveLength(count)
      // That there is no more is certain once a batch comes back short.
      expect(more || count < 2 || expired.length + count === 5).toBe(true)
      expired.push(...tasks)
    }
    expect(new Set(expired.map(({ name }) => name)).size).toBe(5)
  })

  test('rescue takes a task from the end of its lease on: due again, no retry used up', async ({ store }) => {
    const task = await claimOne(store)
    expect(await store.rescue({ now: LEASE_END - 1, limit: 10 })).toEqual([])
    const rescued: Task = {
      ...task,
      state: 'retrying',
      dueAt: LEASE_END + 3,
      lost: 1,
      error: LOSS,
      leaseUntil: null,
      executedAt: LEASE_END + 3,
      updated: LEASE_END + 3,
    }
    expect(await store.rescue({ now: LEASE_END + 3, limit: 10 })).toEqual([rescued])
    expect(await store.get(task)).toEqual(rescued)
    expect(await store.rescue({ now: LEASE_END + 3, limit: 10 })).toEqual([])
    expect(await claimAll(store, LEASE_END + 3)).toMatchObject([{ attempts: 2, lost: 1, runId: task.runId }])
  })

  test('rescue records the attempt that was lost, with the node that had it', async ({ store }) => {
    const task = await claimOne(store)
    await store.rescue({ now: LEASE_END + 3, limit: 10 })
    expect(await store.history(task)).toEqual([
      {
        ...{ runId: task.runId, number: 1, dueAt: DUE, startedAt: DUE, durationMs: LEASE_MS + 3, deadline: null },
        ...{ status: null, error: LOSS, outcome: 'lost', attemptsLeft: 2, node: NODE },
      },
    ])
  })

  test('rescue answers a task as it now is also where an attempt before had an answer', async ({ store }) => {
    const { dueAt } = await anEntry(store, 'retrying')
    await claimAll(store, dueAt)
    const [rescued] = await store.rescue({ now: dueAt + LEASE_MS, limit: 10 })
    expect(rescued).toEqual(await mustGet(store, aTask()))
    expect(rescued).toMatchObject({ responseStatus: null, responseBody: null, leaseUntil: null, executedAt: dueAt + LEASE_MS })
  })

  test('rescue fails an at_most_once task', async ({ store }) => {
    const task = await claimOne(store, aTask({ definition: { delivery: 'at_most_once' } }))
    const [failed] = await store.rescue({ now: LEASE_END, limit: 10 })
    expect(failed).toMatchObject({ state: 'failed', error: `${LOSS}; delivery is at_most_once, so it is not called again` })
    expect(await mustGet(store, task)).toEqual(failed)
    expect(await claimAll(store, LEASE_END)).toEqual([])
    expect(await store.history(task)).toHaveLength(1)
  })

  test('rescue fails a task with the fifth loss of its run', async ({ store }) => {
    await store.put([aTask({ definition: { retry: 0 } })], { now: DUE })
    const states: string[] = []
    for (let loss = 1; loss <= 5; loss += 1) {
      const now = DUE + loss * LEASE_MS
      expect(await claimAll(store, now - LEASE_MS)).toMatchObject([{ attempts: loss, lost: loss - 1 }])
      const [task] = await store.rescue({ now, limit: 10 })
      states.push((task as Task).state)
    }
    expect(states).toEqual(['retrying', 'retrying', 'retrying', 'retrying', 'failed'])
    expect(await mustGet(store, aTask())).toMatchObject({
      state: 'failed',
      attempts: 5,
      error: `${LOSS}; given up because this run was lost 5 times`,
    })
    expect((await store.history(aTask())).map(({ number }) => number)).toEqual([1, 2, 3, 4, 5])
  })

  test('rescue with onlyNode takes what other nodes have, leases or not, and nothing of that node', async ({ store }) => {
    for (const node of ['old-1', 'mine', 'old-2']) {
      await store.put([aTask({ name: node })], { now: DUE })
      await store.claimDue(aClaim({ node, leaseUntil: DUE + 999_999 }))
    }
    const rescued = await store.rescue({ now: DUE + 7, onlyNode: 'mine', limit: 10 })
    expect(rescued.map(({ name }) => name).sort()).toEqual(['old-1', 'old-2'])
    expect(await listAll(store, { states: ['running'] })).toMatchObject([{ name: 'mine' }])
    for (const task of rescued) expect(await store.history(task)).toMatchObject([{ node: task.name, durationMs: 7 }])
    expect(await store.rescue({ now: DUE + 7, onlyNode: 'mine', limit: 10 })).toEqual([])
  })

  test('rescue takes at most as many as asked for, and the rest the next time', async ({ store }) => {
    await store.put(
      [1, 2, 3, 4, 5].map((n) => aTask({ name: `n${n}` })),
      { now: DUE },
    )
    await claimAll(store)
    const batches = []
    for (let turn = 0; turn < 4; turn += 1) batches.push((await store.rescue({ now: LEASE_END, limit: 2 })).length)
    expect(batches).toEqual([2, 2, 1, 0])
  })

  test('rescue makes the task due at once for whoever asks', async ({ store }) => {
    await claimOne(store)
    await store.rescue({ now: LEASE_END, limit: 10 })
    expect((await store.claimDue(aClaim({ now: LEASE_END - 1 }))).nextDue).toBe(LEASE_END)
  })

  test('renew prolongs the lease of a claim and nothing else', async ({ store }) => {
    const task = await claimOne(store)
    await store.renew([task], { leaseUntil: LEASE_END + 500 })
    expect(await mustGet(store, task)).toEqual({ ...task, leaseUntil: LEASE_END + 500 })
    expect(await store.rescue({ now: LEASE_END + 499, limit: 10 })).toEqual([])
    expect(await store.rescue({ now: LEASE_END + 500, limit: 10 })).toHaveLength(1)
  })

  test('renew leaves a claim alone that was lost, while the others get their time', async ({ store }) => {
    const lost = await claimOne(store)
    await store.rescue({ now: LEASE_END, limit: 10 })
    const retrying = await mustGet(store, lost)
    const kept = await claimOne(store, aTask({ name: 'kept', host: 'kept' }))
    await store.renew([lost, kept, { ...kept, name: 'unknown' }], { leaseUntil: LEASE_END + 500 })
    expect(await mustGet(store, lost)).toEqual(retrying)
    expect(await mustGet(store, kept)).toMatchObject({ leaseUntil: LEASE_END + 500 })
    const [next] = await claimAll(store, LEASE_END)
    await store.renew([lost], { leaseUntil: LEASE_END + 999_999 })
    expect(await mustGet(store, lost)).toEqual(next)
    await store.renew([], { leaseUntil: LEASE_END })
  })

  test('a lease that was renewed is judged by its new end, in a store opened again too', async ({ store, reopen }) => {
    const task = await claimOne(store)
    await store.renew([task], { leaseUntil: LEASE_END + 500 })
    const opened = await reopen()
    expect(await opened.rescue({ now: LEASE_END + 499, limit: 10 })).toEqual([])
    expect(await opened.rescue({ now: LEASE_END + 500, limit: 10 })).toMatchObject([{ name: 'a-task', triggerAt: MINUTE }])
  })
})
