import { expect } from 'vitest'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { claimAll, DUE, expireAll, keysOf, listAll, mustGet, putHandler, rescheduleAll } from './support/tasks.ts'

const CALLBACK = { callback: 'http://handler.test/run' }
const MINUTE_MS = 60_000

export default area('max_delay of a handler', (test) => {
  for (const [when, stored] of [
    ['after the handler', [false, true]],
    ['before it', [true, false]],
  ] as const) {
    test(`lengthens and shortens the windows of tasks that were stored ${when}`, async ({ store, reopen }) => {
      const names = ['short', 'long', 'own']
      const putTasks = () =>
        store.put(
          names.map((name) => aTask({ name, definition: name === 'own' ? { max_delay: 5 } : {} })),
          { now: DUE },
        )
      if (stored[0]) await putTasks()
      await putHandler(store, 'short', { max_delay: 2 })
      await putHandler(store, 'long', { max_delay: 60 })
      await putHandler(store, 'own', { max_delay: 60 })
      if (stored[1]) await putTasks()
      const minutes = (await listAll(store)).map(({ name, deadline }) => [name, (deadline - DUE) / MINUTE_MS])
      expect(Object.fromEntries(minutes)).toEqual({ short: 2, long: 60, own: 5 })
      const opened = await reopen()
      const skipped = async (now: number) => {
        await expireAll(opened, now)
        return (await listAll(opened, { states: ['skipped'] })).map(({ name }) => name)
      }
      expect(await skipped(DUE + 2 * MINUTE_MS - 1)).toEqual([])
      expect(await skipped(DUE + 2 * MINUTE_MS)).toEqual(['short'])
      expect(await skipped(DUE + 11 * MINUTE_MS)).toEqual(['own', 'short'])
      expect(await mustGet(opened, { name: 'short', triggerAt: MINUTE })).toMatchObject({
        error: 'out of time: no call may start at or after 2027-01-15T08:02:00.000Z',
      })
      expect(await claimAll(opened, DUE + 60 * MINUTE_MS)).toEqual([])
      expect(await claimAll(opened, DUE + 60 * MINUTE_MS - 1)).toMatchObject([{ name: 'long', deadline: DUE + 60 * MINUTE_MS }])
    })

    test(`keeps a task out of the claim that was stored ${when} and is out of time by it`, async ({ store }) => {
      const putTasks = () => store.put([aTask(), aTask({ name: 'other' })], { now: DUE })
      if (stored[0]) await putTasks()
      await putHandler(store, 'a-task', { max_delay: 2 })
      if (stored[1]) await putTasks()
      expect(await claimAll(store, DUE + 2 * MINUTE_MS)).toMatchObject([{ name: 'other' }])
      await expireAll(store, DUE + 2 * MINUTE_MS)
      expect(await mustGet(store, aTask())).toMatchObject({
        state: 'skipped',
        attempts: 0,
        error: expect.stringContaining('08:02') as string,
      })
    })
  }

  test('counts from when a person had the task run', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, max_delay: 2 })
    await store.put([aTaskWithoutCallback({ triggerAt: MINUTE + 86_400 })], { now: DUE })
    const now = DUE + 777
    expect(await store.run(aTask({ triggerAt: MINUTE + 86_400 }), { now })).toMatchObject({
      windowFrom: now,
      deadline: now + 2 * MINUTE_MS,
    })
    await putHandler(store, 'a-task', { ...CALLBACK, max_delay: 60 })
    expect(await expireAll(store, now + 59 * MINUTE_MS)).toEqual([])
    expect(await claimAll(store, now + 59 * MINUTE_MS)).toMatchObject([{ deadline: now + 60 * MINUTE_MS, inAdvance: true }])
  })

  test('holds for what is rescheduled', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, max_delay: 2 })
    await store.put([aTaskWithoutCallback()], { now: DUE })
    await expireAll(store, DUE + 2 * MINUTE_MS)
    const triggerAt = MINUTE + 3600
    const [copy] = await rescheduleAll(store, { selection: {}, all: false, triggerAt, now: DUE + 5, dryRun: false, limit: 9 })
    expect(copy).toMatchObject({ definition: { ...CALLBACK, max_delay: 2 }, host: 'handler.test', deadline: (triggerAt + 120) * 1000 })
    expect(await mustGet(store, { name: 'a-task', triggerAt })).toEqual(copy)
    await putHandler(store, 'a-task', { ...CALLBACK, max_delay: 3 })
    expect(await expireAll(store, (triggerAt + 150) * 1000)).toEqual([])
    expect(await claimAll(store, (triggerAt + 150) * 1000)).toMatchObject([{ triggerAt, deadline: (triggerAt + 180) * 1000 }])
  })

  test('hides nothing that is out of time behind hundreds of tasks whose window is longer by it', async ({ store }) => {
    const longer = Array.from({ length: 300 }, (_, n) => aTask({ name: 'long', triggerAt: MINUTE - 6000 - n * 60 }))
    await store.put([...longer, aTask({ name: 'late' })], { now: DUE })
    await putHandler(store, 'long', { max_delay: 525_600 })
    expect(await expireAll(store, DUE + 600_000, 10)).toMatchObject([{ name: 'late', state: 'skipped' }])
    expect(await expireAll(store, DUE + 600_000, 10)).toEqual([])
    expect(await store.counts()).toMatchObject({ pending: 300, skipped: 1 })
  })

  test('that ends hundreds of windows at once is heeded for all of them', async ({ store }) => {
    const tasks = Array.from({ length: 300 }, (_, n) => aTask({ triggerAt: MINUTE - n * 60, definition: { payload: n } }))
    await putHandler(store, 'a-task', { max_delay: 525_600 })
    await store.put(tasks, { now: DUE })
    expect(await expireAll(store, DUE, 10)).toEqual([])
    await putHandler(store, 'a-task', { max_delay: 1 })
    expect(keysOf(await expireAll(store, DUE + MINUTE_MS, 10)).sort()).toEqual(keysOf(tasks).sort())
  })

  test('holds for thousands of tasks also where the store was closed while it was stored', async ({ store, reopen }) => {
    await store.put(
      Array.from({ length: 5000 }, (_, n) => aTask({ triggerAt: MINUTE - n * 60, dueAt: DUE, definition: { payload: n } })),
      { now: DUE - 9 },
    )
    await putHandler(store, 'a-task', { max_delay: 525_600 })
    const putting = store.putHandler('a-task', { max_delay: 60, paused: true }, { now: DUE, force: false })
    const [opened] = await Promise.all([reopen(), Promise.allSettled([putting])])
    expect(await opened.getHandler('a-task')).toMatchObject({ definition: { max_delay: 60, paused: true } })
    expect(await claimAll(opened)).toEqual([])
    // What the last process did not get to is done when a change of another handler is.
    await putHandler(opened, 'other', {})
    await expireAll(opened, DUE)
    expect(await opened.counts()).toMatchObject({ pending: 60, skipped: 4940 })
  })
})
