import fc, { runs } from '../../support/fast-check.ts'
import { expect } from 'vitest'
import type { TaskChange } from '../../../src/domain/task/task-change.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { changesSince, told } from './changes.ts'
import { area } from './support/area.ts'
import { anEntry, claimAll, DUE, expireAll, finishAll, LEASE_MS, listAll, mustGet } from './support/tasks.ts'

/** A payload that makes a task's JSON longer than what is kept of it. */
const LARGE = 'x'.repeat(17 * 1024)
/** JSON cannot hold it: the put is refused while it is written. */
const UNWRITABLE = { callback: 'http://receiver.test/', payload: 1n as never }

/** Commits of one change, of several, and of many. */
async function fill(store: Store): Promise<void> {
  for (const count of [1, 1, 7, 1, 90, 2]) {
    const tasks = Array.from({ length: count }, (_, n) => aTask({ name: `of-${count}-${n}` }))
    await store.put(tasks, { now: DUE - 9 })
  }
  await finishAll(store, await claimAll(store), DUE + 50)
}

function expectIncreasing(changes: readonly TaskChange[]): void {
  for (const [n, { id }] of changes.entries()) expect(id).toBeGreaterThan(changes[n - 1]?.id ?? 0)
}

export default area('changes', (test) => {
  test('ids grow with every change, also in a store that is opened again, and are never used twice', async ({ store, reopen }) => {
    await store.put([aTask(), aTask({ name: 'b' })], { now: DUE })
    await store.remove({}, { now: DUE, limit: 10 })
    const before = await changesSince(store)
    const opened = await reopen()
    await opened.put([aTask()], { now: DUE })
    const again = await reopen()
    expect(await claimAll(again)).toHaveLength(1)
    const changes = await changesSince(again)
    expect(changes.slice(0, before.length)).toEqual(before)
    expect(changes.map(({ kind }) => kind)).toEqual(['created', 'created', 'deleted', 'deleted', 'created', 'processing'])
    expectIncreasing(changes)
  })

  test('are read from any position on, in pages of any size, each of them once', async ({ store }) => {
    await fill(store)
    const all = await changesSince(store)
    // Three of the 102 puts are of one entry.
    expect(all).toHaveLength(102 + 100 + 100)
    expectIncreasing(all)
    const [first, last] = [all[0]?.id ?? 0, all.at(-1)?.id ?? 0]
    for (let n = 0; n <= all.length; n += 1) {
      const after = n === 0 ? 0 : (all[n - 1]?.id ?? 0)
      const page = await store.changes({ after, limit: 3 })
      expect(page).toMatchObject({ first, last })
      expect(page.changes.length).toBeGreaterThanOrEqual(Math.min(3, all.length - n))
      expect(page.changes).toEqual(all.slice(n, n + page.changes.length))
    }
    expect(await store.changes({ after: last + 1000, limit: 3 })).toEqual({ changes: [], first, last })
  })

  test('come in pages of about the size that is asked for', async ({ store }) => {
    for (let n = 0; n < 300; n += 1) await store.put([aTask({ triggerAt: MINUTE + n * 60 })], { now: DUE })
    for (const limit of [1, 10, 64, 100, 299]) expect((await store.changes({ after: 0, limit })).changes).toHaveLength(limit)
    expect((await store.changes({ after: 0, limit: 301 })).changes).toHaveLength(300)
  })

  test('the last ten thousand are kept at least, in a file that does not keep all', async ({ store, reopen }) => {
    const names = Array.from({ length: 1000 }, (_, n) => `n${n}`)
    for (let round = 0; round < 60; round += 1) {
      await store.put(
        names.map((name) => aTask({ name })),
        { now: DUE + round },
      )
    }
    const opened = await reopen()
    const { first, last } = await opened.changes({ after: 0, limit: 1 })
    const kept = await changesSince(opened)
    expect(kept.length).toBeGreaterThanOrEqual(10_000)
    expect(kept.length).toBeLessThan(60_000)
    expect([kept[0]?.id, kept.at(-1)?.id]).toEqual([first, last])
    expectIncreasing(kept)
    expect(kept.slice(-1000).map(({ kind, at, task }) => `${kind} ${at} ${task.name}`)).toEqual(
      names.map((name) => `updated ${DUE + 59} ${name}`),
    )
  })

  test('a payload that makes a task large is left out, and the rest is told', async ({ store }) => {
    const definition = { payload: LARGE, headers: { 'X-One': '1' } }
    const [created, processing] = await told(store, async () => {
      await store.put([aTask({ definition })], { now: DUE - 9 })
      await claimAll(store)
    })
    const task = await mustGet(store, aTask())
    const { payload: _payload, ...small } = task.definition
    expect(processing).toEqual({
      id: processing?.id,
      kind: 'processing',
      at: DUE,
      task: { ...task, definition: small },
      withoutPayload: true,
    })
    expect(created?.task.definition).not.toHaveProperty('payload')
    expect(task.definition.payload).toBe(LARGE)
  })

  test('a payload of four thousand characters is told', async ({ store }) => {
    const payload = { text: 'x'.repeat(4000) }
    const [created] = await told(store, () => store.put([aTask({ definition: { payload } })], { now: DUE }))
    expect(created?.task.definition.payload).toEqual(payload)
    expect(created).not.toHaveProperty('withoutPayload')
  })

  test('writes that are made at once are told in the order in which they count', async ({ store }) => {
    const writes = Array.from({ length: 200 }, (_, n) => store.put([aTask({ definition: { payload: n } })], { now: DUE + n }))
    const results = (await Promise.all(writes)).flat()
    expect(results.map(({ status }) => status)).toEqual(['created', ...Array<string>(199).fill('replaced')])
    const changes = await changesSince(store)
    expect(changes.map(({ kind }) => kind)).toEqual(['created', ...Array<string>(199).fill('updated')])
    expect(changes.map(({ task }) => task.definition.payload)).toEqual(Array.from({ length: 200 }, (_, n) => n))
    expect(changes.at(-1)?.task).toEqual(await mustGet(store, aTask()))
  })

  test('a write that is refused is not told, while those beside it are', async ({ store, reopen }) => {
    const before = await anEntry(store, 'failed')
    const changes = await told(store, async () => {
      const results = await Promise.allSettled([
        store.put([aTask({ name: 'one' })], { now: DUE }),
        store.put([aTask({ name: 'half' }), aTask(), { ...aTask({ name: 'bad' }), definition: UNWRITABLE }], { now: DUE }),
        store.put([aTask({ name: 'other' })], { now: DUE }),
      ])
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    })
    expect(changes.map(({ kind, task }) => `${kind} ${task.name}`)).toEqual(['created one', 'created other'])
    expect(await mustGet(store, before)).toEqual(before)
    const opened = await reopen()
    await opened.put([aTask({ name: 'later' })], { now: DUE })
    expectIncreasing(await changesSince(opened))
  })

  test('a refused write alone is not told, and the next write is', async ({ store }) => {
    await expect(store.put([aTask(), { ...aTask({ name: 'bad' }), definition: UNWRITABLE }], { now: DUE })).rejects.toThrow()
    expect(await changesSince(store)).toEqual([])
    await store.put([aTask()], { now: DUE })
    expect(await changesSince(store)).toMatchObject([{ kind: 'created', task: { name: 'a-task' } }])
  })

  test('what is told, put together, is what is stored', async ({ store }) => {
    const step = fc.constantFrom('put', 'claim', 'succeed', 'fail', 'rescue', 'expire', 'remove', 'reschedule')
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        let now = DUE
        for (const what of steps) {
          now += 700
          await take(store, what, now)
        }
        const rebuilt = new Map<string, unknown>()
        for (const { kind, task } of await changesSince(store)) {
          const key = `${task.name}@${task.triggerAt}`
          if (task.rescheduledFrom !== null && kind === 'updated' && task.state === 'pending')
            rebuilt.delete(`${task.name}@${task.rescheduledFrom}`)
          if (kind === 'deleted') rebuilt.delete(key)
          else rebuilt.set(key, task)
        }
        const stored = await listAll(store)
        expect([...rebuilt.values()]).toHaveLength(stored.length)
        for (const task of stored) expect(rebuilt.get(`${task.name}@${task.triggerAt}`)).toEqual(task)
      }),
      { numRuns: runs({ gate: 7, night: 40 }) },
    )
  })
})

type What = 'put' | 'claim' | 'succeed' | 'fail' | 'rescue' | 'expire' | 'remove' | 'reschedule'

async function take(store: Store, what: What, now: number): Promise<void> {
  const running = await listAll(store, { states: ['running'] })
  const name = `n${now % 5}`
  switch (what) {
    case 'put':
      await store.put([aTask({ name }), aTask({ name: 'twin' })], { now })
      return
    case 'claim':
      await claimAll(store, now)
      return
    case 'succeed':
      return finishAll(store, running.slice(0, 2), now)
    case 'fail':
      return finishAll(store, running.slice(0, 2), now, 503)
    case 'rescue':
      await store.rescue({ now: now + LEASE_MS, limit: 2 })
      return
    case 'expire':
      await expireAll(store, now)
      return
    case 'remove':
      await store.remove({ name }, { now, limit: 1 })
      return
    case 'reschedule': {
      const minute = Math.floor(now / 60_000) * 60 + 60
      await store.reschedule({ selection: {}, all: true, triggerAt: minute, now, dryRun: false, limit: 3 })
      return
    }
  }
}
