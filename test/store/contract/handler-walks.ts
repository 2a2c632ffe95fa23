/** What becomes of waiting tasks when the store is closed while they are gone through for a handler that has changed. */
import { setImmediate } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Store } from '../../../src/store/store.ts'
import { aTask } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import type { OpenStore } from './support/area.ts'
import { claimAll, DUE, expireAll, putHandler } from './support/tasks.ts'

const COUNT = 3001
const CHANGE = { now: DUE, force: false }
const MINUTE_MS = 60_000

/** A store that was closed while thousands of tasks were freed of a paused handler by a narrower one. */
async function reopenedOnTheWay({ store, reopen }: OpenStore): Promise<Store> {
  await putHandler(store, 'a*', { paused: true })
  await store.put(
    Array.from({ length: COUNT }, (_, n) => aTask({ name: `ab${n}` })),
    { now: DUE - 9 },
  )
  const putting = store.putHandler('ab*', {}, CHANGE)
  // A few stretches are done, most are not.
  for (let turn = 0; turn < 6; turn += 1) await setImmediate()
  const [opened] = await Promise.all([reopen(), Promise.allSettled([putting])])
  expect(await opened.getHandler('ab*')).toMatchObject({ definition: {} })
  return opened
}

export default area('tasks that a store was closed over', (test) => {
  test('all of them are handed out once another handler has changed', async (opened) => {
    const store = await reopenedOnTheWay(opened)
    await putHandler(store, 'other', {})
    expect(await claimAll(store)).toHaveLength(COUNT)
  })

  test('all of them are handed out once the very same handler is stored again', async (opened) => {
    const store = await reopenedOnTheWay(opened)
    expect(await store.putHandler('ab*', {}, CHANGE)).toMatchObject({ status: 'replaced' })
    expect(await claimAll(store)).toHaveLength(COUNT)
  })

  test('all of them wait again once the handler that freed them is gone', async (opened) => {
    const store = await reopenedOnTheWay(opened)
    expect(await store.removeHandler('ab*', { force: false })).toBe('removed')
    expect(await claimAll(store)).toEqual([])
    await putHandler(store, 'a*', {})
    expect(await claimAll(store)).toHaveLength(COUNT)
  })

  test('what is told after two closings in a row still holds for all of them', async (opened) => {
    await reopenedOnTheWay(opened)
    const store = await opened.reopen()
    await putHandler(store, 'other', {})
    expect(await claimAll(store)).toHaveLength(COUNT)
  })

  test('windows of several handlers that changed at once are gone through, each of them', async ({ store, reopen }) => {
    const names = ['x', 'y', 'z']
    await store.put(
      names.flatMap((name) => Array.from({ length: 500 }, (_, n) => aTask({ name: `${name}${n}` }))),
      { now: DUE - 9 },
    )
    const putting = names.map((name) => store.putHandler(`${name}*`, { max_delay: 1 }, CHANGE))
    const [opened] = await Promise.all([reopen(), Promise.allSettled(putting)])
    const { handlers } = await opened.listHandlers({ limit: 10 })
    await putHandler(opened, 'other', {})
    expect(handlers.length).toBeGreaterThan(0)
    expect(await expireAll(opened, DUE + MINUTE_MS)).toHaveLength(handlers.length * 500)
  })
})
