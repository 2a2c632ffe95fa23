import { expect } from 'vitest'
import { TASK_STATES } from '../../../src/domain/task/task.ts'
import type { Task } from '../../../src/domain/task/task.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, anEntry, claimAll, DUE, listAll, mustGet, seed } from './support/tasks.ts'

const WINDOW_MS = 11 * 60_000
const DEFINITION = { max_delay: 11 }

export default area('run', (test) => {
  test('makes a pending entry due now, in advance, with a window of its own', async ({ store }) => {
    const before = await anEntry(store, 'pending', { triggerAt: MINUTE + 86_400, definition: DEFINITION })
    const now = DUE + 777
    const expected = { ...before, dueAt: now, windowFrom: now, deadline: now + WINDOW_MS, inAdvance: true, updated: now }
    expect(await store.run(before, { now })).toEqual(expected)
    expect(await listAll(store)).toEqual([expected])
    expect((await store.claimDue(aClaim({ now: now - 1 }))).nextDue).toBe(now)
    expect(await claimAll(store, now)).toMatchObject([{ runId: before.runId, attempts: 1, inAdvance: true }])
  })

  test('is in advance until the minute begins, and not from then on', async ({ store }) => {
    await store.put([aTask()], { now: DUE - 9 })
    expect(await store.run(aTask(), { now: DUE - 1 })).toMatchObject({ inAdvance: true, dueAt: DUE - 1 })
    expect(await store.run(aTask(), { now: DUE })).toMatchObject({ inAdvance: false, dueAt: DUE })
  })

  test('makes a retrying entry due now and leaves the run and its attempts as they are', async ({ store }) => {
    const before = await anEntry(store, 'retrying', { definition: DEFINITION })
    const now = DUE + 100
    const expected = { ...before, dueAt: now, windowFrom: now, deadline: now + WINDOW_MS, inAdvance: false, updated: now }
    expect(await store.run(before, { now })).toEqual(expected)
    expect(await mustGet(store, before)).toEqual(expected)
    expect(await claimAll(store, now)).toMatchObject([{ runId: before.runId, attempts: 2 }])
  })

  for (const state of ['successful', 'failed', 'skipped'] as const) {
    test(`starts a ${state} entry again as a new run under its key`, async ({ store }) => {
      const before = await anEntry(store, state, { definition: DEFINITION })
      const history = await store.history(before)
      const now = DUE + 99_000
      const after = await store.run(before, { now })
      const { runId } = after as Task
      const fresh = {
        state: 'pending',
        dueAt: now,
        windowFrom: now,
        deadline: now + WINDOW_MS,
        attempts: 0,
        lost: 0,
        executedAt: null,
        responseStatus: null,
        responseBody: null,
        error: null,
      }
      expect(after).toEqual({ ...before, ...fresh, runId, updated: now })
      expect(runId).not.toBe(before.runId)
      expect(await listAll(store)).toEqual([after])
      expect(await store.history(before)).toEqual(history)
      expect(await claimAll(store, now)).toMatchObject([{ runId, attempts: 1, lost: 0 }])
    })
  }

  test('gives a new window to what was out of time', async ({ store }) => {
    const before = await anEntry(store, 'pending')
    const now = before.deadline + 5000
    expect(await claimAll(store, now)).toEqual([])
    await store.run(before, { now })
    expect(await store.expire({ now, limit: 10 })).toEqual({ tasks: [], more: false })
    expect(await claimAll(store, now)).toHaveLength(1)
  })

  test('leaves a running entry as it is', async ({ store }) => {
    const before = await anEntry(store, 'running')
    expect(await store.run(before, { now: DUE + 5 })).toBe('running')
    expect(await listAll(store)).toEqual([before])
  })

  test('knows nothing of an entry that is not there', async ({ store }) => {
    await anEntry(store, 'pending')
    expect(await store.run({ name: 'a-task', triggerAt: MINUTE + 60 }, { now: DUE })).toBe('unknown')
    expect(await store.run({ name: 'A-TASK', triggerAt: MINUTE }, { now: DUE })).toBe('unknown')
  })

  test('changes no other entry', async ({ store }) => {
    await seed(
      store,
      TASK_STATES.map((state) => ({ name: state, state })),
    )
    const others = (await listAll(store)).filter(({ name }) => name !== 'failed')
    await store.run({ name: 'failed', triggerAt: MINUTE }, { now: DUE + 5 })
    expect((await listAll(store)).filter(({ name }) => name !== 'failed')).toEqual(others)
  })
})
