import fc, { runs } from '../../support/fast-check.ts'
import { expect } from 'vitest'
import type { Task } from '../../../src/domain/task/task.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, anEntry, answered, claimAll, DUE, finish, keysOf, listAll, seed } from './support/tasks.ts'

export default area('claimDue', (test) => {
  test('hands a task out from the millisecond on in which it is due', async ({ store }) => {
    await store.put([aTask()], { now: DUE - 9 })
    expect(await store.claimDue(aClaim({ now: DUE - 1 }))).toEqual({ tasks: [], nextDue: DUE })
    expect(await claimAll(store, DUE)).toHaveLength(1)
  })

  test('moves a task to running: one attempt more, a lease, and the node that has it', async ({ store }) => {
    const { task } = (await store.put([aTask()], { now: DUE - 9 }))[0] as { task: Task }
    const claimed = { ...task, state: 'running', attempts: 1, claimedBy: 'node-7', leaseUntil: DUE + 11, updated: DUE + 3 }
    expect((await store.claimDue(aClaim({ now: DUE + 3, node: 'node-7', leaseUntil: DUE + 11 }))).tasks).toEqual([claimed])
    expect(await store.get(task)).toEqual(claimed)
  })

  test('hands out what is retrying when its next attempt is due, with the next number', async ({ store }) => {
    const { dueAt } = await anEntry(store, 'retrying')
    expect(await claimAll(store, dueAt - 1)).toEqual([])
    expect(await claimAll(store, dueAt)).toMatchObject([
      { attempts: 2, state: 'running', error: 'answered 500, expected 200', responseStatus: 500 },
    ])
  })

  test('hands nothing out whose deadline has come', async ({ store }) => {
    const { deadline } = aTask()
    await store.put([aTask(), aTask({ name: 'later', deadline: deadline + 1 })], { now: DUE })
    expect(await claimAll(store, deadline)).toMatchObject([{ name: 'later' }])
    expect(await listAll(store, { states: ['pending'] })).toMatchObject([{ name: 'a-task' }])
  })

  test('hands a task out until the last millisecond before its deadline', async ({ store }) => {
    await store.put([aTask()], { now: DUE })
    expect(await claimAll(store, aTask().deadline - 1)).toHaveLength(1)
  })

  test('hands a task out once', async ({ store }) => {
    await store.put([aTask()], { now: DUE })
    expect(await claimAll(store)).toHaveLength(1)
    expect(await claimAll(store)).toEqual([])
    expect(await claimAll(store, DUE + 300_000)).toEqual([])
  })

  test('hands out nothing that is running or final', async ({ store }) => {
    await seed(
      store,
      ['running', 'successful', 'failed', 'skipped'].map((state) => ({ name: state, state: state as Task['state'] })),
    )
    expect(await store.claimDue(aClaim({ now: DUE }))).toEqual({ tasks: [], nextDue: undefined })
  })

  test('hands out at most as many as asked for, the oldest of a lane first', async ({ store }) => {
    await store.put(
      [4, 1, 3, 0, 2].map((n) => aTask({ name: `n${n}`, dueAt: DUE + n })),
      { now: DUE },
    )
    const claim = async (limit: number) => (await store.claimDue(aClaim({ now: DUE + 9, limit }))).tasks.map(({ name }) => name)
    expect(await claim(0)).toEqual([])
    expect(await claim(2)).toEqual(['n0', 'n1'])
    expect(await claim(1)).toEqual(['n2'])
    expect(await claim(9)).toEqual(['n3', 'n4'])
  })

  test('tells when something is due next, no matter how it came to wait', async ({ store }) => {
    const next = async (now: number) => (await store.claimDue(aClaim({ now }))).nextDue
    expect(await next(DUE)).toBeUndefined()
    await store.put([aTask({ name: 'far', dueAt: DUE + 90_000 })], { now: DUE })
    expect(await next(DUE)).toBe(DUE + 90_000)
    await store.put([aTask({ name: 'near', dueAt: DUE + 30_000, host: 'near' })], { now: DUE })
    expect(await next(DUE)).toBe(DUE + 30_000)
    await store.put([aTask({ name: 'retries' })], { now: DUE })
    const [task] = await claimAll(store)
    await finish(store, task as Task, answered(503, DUE + 100), DUE + 100)
    expect(await next(DUE + 100)).toBe(DUE + 600)
    expect(await claimAll(store, DUE + 600)).toMatchObject([{ name: 'retries' }])
    expect(await next(DUE + 600)).toBe(DUE + 30_000)
    await store.run({ name: 'far', triggerAt: MINUTE }, { now: DUE + 700 })
    expect(await next(DUE + 650)).toBe(DUE + 700)
    expect(await next(DUE + 700)).toBe(DUE + 30_000)
    expect(await next(DUE + 30_000)).toBeUndefined()
  })

  test('tells when something is due next also where tasks of its host are out of time and not yet ended', async ({ store }) => {
    await store.put([aTask({ name: 'late', deadline: DUE }), aTask({ name: 'next', dueAt: DUE + 500 })], { now: DUE - 9 })
    expect(await store.claimDue(aClaim())).toEqual({ tasks: [], nextDue: DUE + 500 })
    await store.expire({ now: DUE, limit: 10 })
    expect(await store.claimDue(aClaim())).toEqual({ tasks: [], nextDue: DUE + 500 })
  })

  test('tells of no time in a lane that has no room: the end of a call comes first', async ({ store }) => {
    await store.put(
      [0, 1, 9000].map((later) => aTask({ name: `n${later}`, dueAt: DUE + later })),
      { now: DUE },
    )
    expect(await store.claimDue(aClaim({ now: DUE + 5, limit: 1 }))).toMatchObject({ tasks: [{ name: 'n0' }], nextDue: undefined })
    expect(await store.claimDue(aClaim({ now: DUE + 5 }))).toMatchObject({ tasks: [{ name: 'n1' }], nextDue: DUE + 9000 })
  })

  test('never tells a later time than that of the next task in a lane with room', async ({ store }) => {
    const dueTimes = fc.array(fc.record({ lane: fc.constantFrom('a', 'b', 'c'), later: fc.integer({ min: -50, max: 50 }) }), {
      maxLength: 12,
    })
    const removals = fc.array(fc.nat(11), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(
        dueTimes,
        removals,
        fc.array(fc.integer({ min: -60, max: 60 }), { minLength: 1, maxLength: 4 }),
        async (tasks, gone, nows) => {
          await store.rescue({ now: DUE, onlyNode: 'nobody', limit: 100 })
          await store.remove({}, { now: DUE, limit: 100 })
          await store.put(
            tasks.map(({ lane, later }, n) => aTask({ name: `n${n}`, host: lane, dueAt: DUE + later })),
            { now: DUE - 99 },
          )
          for (const n of gone) await store.remove({ name: `n${n}` }, { now: DUE, limit: 1 })
          for (const now of nows.map((later) => DUE + later)) {
            const { nextDue } = await store.claimDue(aClaim({ now }))
            const earliest = Math.min(...(await listAll(store, { states: ['pending'] })).map(({ dueAt }) => dueAt))
            expect(earliest).toBeGreaterThan(now)
            expect(nextDue ?? Infinity).toBeLessThanOrEqual(earliest)
            expect(nextDue ?? Infinity).toBeGreaterThan(now)
          }
        },
      ),
      { numRuns: runs({ gate: 12, night: 80 }) },
    )
  })

  test('gives each of a thousand tasks to one of two nodes that race for them', async ({ store }) => {
    const tasks = Array.from({ length: 1000 }, (_, n) => aTask({ name: `n${n}`, host: `lane-${n % 7}` }))
    await store.put(tasks, { now: DUE })
    const race = async (node: string, limit: number) => {
      const mine: Task[] = []
      for (;;) {
        const { tasks: claimed } = await store.claimDue(aClaim({ node, limit }))
        if (claimed.length === 0) return mine
        mine.push(...claimed)
      }
    }
    const [one, other] = await Promise.all([race('node-1', 13), race('node-2', 11)])
    expect(keysOf([...one, ...other]).sort()).toEqual(keysOf(tasks).sort())
    expect([one.length > 0, other.length > 0]).toEqual([true, true])
    for (const task of one) expect(task.claimedBy).toBe('node-1')
    for (const task of other) expect(task.claimedBy).toBe('node-2')
    const byName = (a: Task, b: Task) => a.name.localeCompare(b.name)
    expect((await listAll(store)).sort(byName)).toEqual([...one, ...other].sort(byName))
  })
})
