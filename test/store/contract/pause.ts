/** A pause of a handler: nothing of it starts, and what waited goes on when it is over. */
import { expect } from 'vitest'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, claimAll, DUE, finishAll, putHandler } from './support/tasks.ts'

const CALLBACK = { callback: 'http://receiver.test/run' }
const MINUTE_MS = 60_000

export default area('a pause', (test) => {
  test('starts nothing, of whatever host and state, and asks for no look at the clock', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', CALLBACK)
    await store.put([aTaskWithoutCallback()], { now: DUE - 9 })
    await finishAll(store, await claimAll(store), DUE, 503)
    await store.put([aTask({ triggerAt: MINUTE - 60 }), aTaskWithoutCallback({ triggerAt: MINUTE + 60 })], { now: DUE - 9 })
    await putHandler(store, 'a-task', { ...CALLBACK, paused: true })
    expect(await store.claimDue(aClaim({ now: DUE + MINUTE_MS }))).toEqual({ tasks: [], nextDue: undefined })
    const opened = await reopen()
    expect(await opened.claimDue(aClaim({ now: DUE + MINUTE_MS }))).toEqual({ tasks: [], nextDue: undefined })
    await opened.put([aTask({ triggerAt: MINUTE - 120 })], { now: DUE })
    await opened.run(aTask(), { now: DUE })
    expect(await claimAll(opened, DUE + MINUTE_MS)).toEqual([])
    expect(await opened.counts()).toMatchObject({ pending: 3, retrying: 1, running: 0 })
  })

  test('over, what is still in its window starts at once, and the rest at its time', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, paused: true })
    const tasks = [-9, -1, 0, 1].map((minute) => aTaskWithoutCallback({ triggerAt: MINUTE + minute * 60 }))
    await store.put(tasks, { now: DUE - 999_999 })
    expect(await claimAll(store, DUE + 30_000)).toEqual([])
    const opened = await reopen()
    await putHandler(opened, 'a-task', { ...CALLBACK, paused: false })
    expect(await opened.claimDue(aClaim({ now: DUE + MINUTE_MS - 1 }))).toMatchObject({
      tasks: [{ triggerAt: MINUTE - 9 * 60 }, { triggerAt: MINUTE - 60 }, { triggerAt: MINUTE }],
      nextDue: DUE + MINUTE_MS,
    })
    expect(await claimAll(opened, DUE + MINUTE_MS)).toMatchObject([{ triggerAt: MINUTE + 60 }])
  })

  test('over because its handler is gone, what has a callback of its own starts at once', async ({ store }) => {
    await putHandler(store, 'a-task', { paused: true })
    await store.put([aTask()], { now: DUE - 9 })
    expect(await claimAll(store)).toEqual([])
    await store.removeHandler('a-task', { force: false })
    expect(await claimAll(store)).toHaveLength(1)
  })

  test('leaves alone what is running, which ends as ever', async ({ store }) => {
    await putHandler(store, 'a-task', CALLBACK)
    await store.put([aTaskWithoutCallback(), aTaskWithoutCallback({ triggerAt: MINUTE - 60 })], { now: DUE - 9 })
    const claimed = await claimAll(store)
    await putHandler(store, 'a-task', { ...CALLBACK, paused: true })
    await finishAll(store, claimed, DUE)
    expect(await store.counts()).toMatchObject({ successful: 2 })
  })
})
