import { expect } from 'vitest'
import type { HandlerDefinition } from '../../../src/domain/task/handler.ts'
import { reportOf } from '../../../src/domain/attempt/attempt-report.ts'
import type { Task } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, answered, claimAll, DUE, expireAll, finish, listAll, mustGet, NODE, putHandler } from './support/tasks.ts'

const CALLBACK = { callback: 'http://handler.test/run' }
const PULL = { pull: true }

/** Handlers of which each has a host, and one field that no other has: what is merged shows. */
const HANDLERS: Readonly<Record<string, HandlerDefinition>> = {
  '*': { callback: 'http://all.test/', retry: 7 },
  'a.*': { callback: 'http://a.test/', timeout: 9 },
  'a.b.*': { callback: 'http://ab.test/', max_delay: 50, headers: { X: '1' } },
  'a.b.c': { callback: 'http://abc.test/', callback_method: 'PUT' },
  'ä*': { callback: 'http://umlaut.test/', ack_timeout: 3 },
  'e*': { callback: 'http://e.test/', error_callback: 'http://e.test/failed' },
  'm*d': { callback: 'http://middle.test/', expected_http_status: 204 },
}
/** Names, and of which handler each is. Byte order, combining marks and the last character there is are among them. */
const NAMES: readonly (readonly [name: string, handler: string])[] = [
  ...(['z', 'a', 'ab', 'A.b', 'mad', 'm*', '😀', 'é', '\u{10ffff}'] as const).map((name) => [name, '*'] as const),
  ...(['a.', 'a.x', 'a.b', 'a.*', 'a.😀', 'a.\u{10ffff}x', 'a.b*'] as const).map((name) => [name, 'a.*'] as const),
  ...(['a.b.', 'a.b.x', 'a.b.cd', 'a.b.c*', 'a.b.C', 'a.b.*', 'a.b.é'] as const).map((name) => [name, 'a.b.*'] as const),
  ['a.b.c', 'a.b.c'],
  ['ä', 'ä*'],
  ['äx', 'ä*'],
  ['a\u0308', '*'],
  ['e\u0301', 'e*'],
  ['ex', 'e*'],
  ['m*d', 'm*d'],
  ['m*de', '*'],
]

export default area('a handler of many names', (test) => {
  test('holds for the names that begin like its own, but where one of a longer beginning or the very name does', async ({
    store,
    reopen,
  }) => {
    await putHandler(store, '*', CALLBACK)
    await putAll(store)
    // From long to short and from short to long: what comes first must not matter.
    for (const name of ['a.b.c', 'a.*', 'm*d', 'a.b.*', 'ä*', 'e*', '*']) await putHandler(store, name, HANDLERS[name] ?? {})
    await expectHandlers(store, (_, handler) => handler)
    await putAll(store)
    const opened = await reopen()
    await expectHandlers(opened, (_, handler) => handler)
    await expectClaimed(opened, (_, handler) => handler)
  })

  test('that is removed leaves its names to the next shorter one', async ({ store, reopen }) => {
    for (const [name, definition] of Object.entries(HANDLERS)) await putHandler(store, name, definition)
    await putAll(store)
    expect(await store.removeHandler('a.b.*', { force: false })).toBe('removed')
    await expectHandlers(store, (_, handler) => (handler === 'a.b.*' ? 'a.*' : handler))
    for (const name of ['a.*', 'm*d', 'a.b.c']) expect(await store.removeHandler(name, { force: false })).toBe('removed')
    const left = ['ä*', 'e*']
    await expectHandlers(store, (_, handler) => (left.includes(handler) ? handler : '*'))
    const opened = await reopen()
    await expectHandlers(opened, (_, handler) => (left.includes(handler) ? handler : '*'))
    await expectClaimed(opened, (_, handler) => (left.includes(handler) ? handler : '*'))
  })

  test('is listed, read and replaced by its own name alone', async ({ store }) => {
    for (const [name, definition] of Object.entries(HANDLERS)) await putHandler(store, name, definition)
    const { handlers } = await store.listHandlers({ limit: 99 })
    expect(handlers.map(({ name }) => name)).toEqual(['*', 'a.*', 'a.b.*', 'a.b.c', 'e*', 'm*d', 'ä*'])
    for (const name of ['a.x', 'a.', 'a', 'z', '']) {
      expect(await store.getHandler(name)).toBeUndefined()
      expect(await store.removeHandler(name, { force: true })).toBe('unknown')
    }
    expect(await store.putHandler('a.x', {}, { now: DUE, force: false })).toMatchObject({ status: 'created' })
    expect(await store.getHandler('a.*')).toMatchObject({ definition: HANDLERS['a.*'] })
  })

  test('with a new callback reaches 1000 tasks of 1000 names that wait, and touches none of their rows', async ({ store, reopen }) => {
    await putHandler(store, 'n.*', { ...CALLBACK, retry: 2 })
    const tasks = Array.from({ length: 1000 }, (_, n) => aTaskWithoutCallback({ name: `n.${n}` }))
    await store.put(tasks, { now: DUE - 99 })
    const before = await listAll(store)
    const { last } = await store.changes({ after: 0, limit: 1 })
    const moved = { callback: 'http://moved.test/' }
    await putHandler(store, 'n.*', moved, DUE - 5)
    const opened = await reopen()
    const after = await listAll(opened)
    expect(after).toEqual(before.map((task) => ({ ...task, definition: moved, host: 'moved.test' })))
    expect((await opened.changes({ after: 0, limit: 1 })).last).toBe(last)
    expect(await claimAll(opened)).toHaveLength(1000)
  })

  test('with a new max_delay gives all its waiting tasks that window, but those of longer handlers', async ({ store }) => {
    await putHandler(store, 'a.*', CALLBACK)
    await putHandler(store, 'a.b.*', CALLBACK)
    await store.put(
      ['a.x', 'a.y', 'a.b.x'].map((name) => aTaskWithoutCallback({ name })),
      { now: DUE },
    )
    await store.put([aTaskWithoutCallback({ name: 'a.own', definition: { max_delay: 15 } })], { now: DUE })
    await putHandler(store, 'a.*', { ...CALLBACK, max_delay: 5 })
    expect(await expiredNames(store, 5)).toEqual(['a.x', 'a.y'])
    await store.put([aTaskWithoutCallback({ name: 'a.z' })], { now: DUE })
    await putHandler(store, 'a.*', { ...CALLBACK, max_delay: 30 })
    expect(await expiredNames(store, 10)).toEqual(['a.b.x'])
    expect(await expiredNames(store, 15)).toEqual(['a.own'])
    expect(await expiredNames(store, 30)).toEqual(['a.z'])
  })

  test('that is removed takes its window along', async ({ store }) => {
    await putHandler(store, '*', { max_delay: 60 })
    await putHandler(store, 'a.*', { max_delay: 5 })
    await store.put(
      ['a.x', 'b', 'a.y'].map((name) => aTask({ name })),
      { now: DUE },
    )
    await store.removeHandler('a.*', { force: false })
    expect(await expiredNames(store, 59)).toEqual([])
    await store.removeHandler('*', { force: false })
    expect(await expiredNames(store, 9)).toEqual([])
    expect(await expiredNames(store, 10)).toEqual(['a.x', 'a.y', 'b'])
  })

  test('holds for each entry of a series of one of its names', async ({ store, reopen }) => {
    await putHandler(store, 's.*', { ...CALLBACK, retry: 3, concurrency: 1 })
    await store.put(
      ['s.1', 's.2'].map((name) => aTaskWithoutCallback({ name, definition: { repeat: '0 * * * *' } })),
      { now: DUE - 9 },
    )
    const [first] = (await claimAll(store)) as [Task]
    const next = await mustGet(store, { name: first.name, triggerAt: MINUTE + 3600 })
    expect(next).toMatchObject({ state: 'pending', definition: { ...CALLBACK, retry: 3 }, host: 'handler.test' })
    expect(await store.removeHandler('s.*', { force: false })).toBe('needed')
    await finish(store, first, answered(200, DUE), DUE)
    const opened = await reopen()
    expect(await claimAll(opened)).toMatchObject([{ name: first.name === 's.1' ? 's.2' : 's.1' }])
    expect(await claimAll(opened, DUE + 3_600_000)).toEqual([])
  })

  test('has no say over error callbacks of its tasks: no limit, pause or default of it holds for them', async ({ store, reopen }) => {
    const errorCallback = { error_callback: 'http://told.test/failed' }
    await putHandler(store, '*', { ...CALLBACK, ...errorCallback, concurrency: 1, rate: 1, retry: 0 })
    await store.put(
      ['a', 'b'].map((name) => aTaskWithoutCallback({ name })),
      { now: DUE - 9 },
    )
    const [task] = (await claimAll(store)) as [Task]
    await finish(store, task, answered(404, DUE), DUE)
    const [callback] = (await claimAll(store)) as [Task]
    expect(callback).toMatchObject({ name: `${task.name}@${task.runId}`, host: 'told.test' })
    await finish(store, callback, answered(503, DUE), DUE)
    await putHandler(store, '*', { ...CALLBACK, paused: true, max_delay: 1, headers: { X: '1' } })
    const opened = await reopen()
    const now = DUE + 300_000
    const [again] = (await claimAll(opened, now)) as [Task]
    expect(again).toMatchObject({ name: callback.name, attempts: 2, definition: { callback: errorCallback.error_callback } })
    expect(again.definition.headers).toBeUndefined()
    // One that runs is not counted either.
    await putHandler(opened, '*', { ...CALLBACK, concurrency: 1 })
    expect(await claimAll(opened, now)).toHaveLength(1)
    expect(await finish(opened, again, answered(200, now), now)).toBe(true)
  })

  test('that is removed by force leaves tasks with nothing to call: they fail with the reason when they are due', async ({ store }) => {
    await putHandler(store, 'a.*', PULL)
    await store.put(
      ['a.x', 'a.y'].map((name) => aTaskWithoutCallback({ name })),
      { now: DUE - 9 },
    )
    await store.removeHandler('a.*', { force: true })
    const orphans = await claimAll(store)
    expect(orphans.map(({ name, host }) => [name, host])).toEqual([
      ['a.x', ''],
      ['a.y', ''],
    ])
    for (const task of orphans) {
      await store.record([reportOf(task, { kind: 'not_called', reason: 'no_callback' }, NODE, DUE, 0)])
      expect(await mustGet(store, task)).toMatchObject({ state: 'failed', error: expect.stringContaining('handler') as string })
    }
  })

  test('that comes after tasks were orphaned serves them, if it is theirs', async ({ store }) => {
    await putHandler(store, 'a.x', CALLBACK)
    await store.put([aTaskWithoutCallback({ name: 'a.x' })], { now: DUE - 9 })
    await store.removeHandler('a.x', { force: true })
    await putHandler(store, 'b.*', CALLBACK)
    expect(await mustGet(store, { name: 'a.x', triggerAt: MINUTE })).toMatchObject({ host: '' })
    await putHandler(store, '*', { callback: 'http://all.test/', concurrency: 1 })
    expect(await claimAll(store)).toMatchObject([{ name: 'a.x', host: 'all.test' }])
    expect(await store.removeHandler('*', { force: false })).toBe('needed')
  })
})

async function putAll(store: Store): Promise<void> {
  const results = await store.put(
    NAMES.map(([name]) => aTaskWithoutCallback({ name, dueAt: DUE - 9 })),
    { now: DUE - 99 },
  )
  expect(results.filter(({ status }) => status !== 'created' && status !== 'replaced')).toEqual([])
}

type HandlerOf = (name: string, handler: string) => string

async function expectHandlers(store: Store, handlerOf: HandlerOf): Promise<void> {
  const read = (await listAll(store)).map(({ name, definition }) => [name, definition])
  expect(Object.fromEntries(read)).toEqual(definitionsBy(handlerOf))
}

async function expectClaimed(store: Store, handlerOf: HandlerOf): Promise<void> {
  const { tasks, nextDue } = await store.claimDue(aClaim())
  expect(nextDue).toBeUndefined()
  expect(Object.fromEntries(tasks.map(({ name, definition }) => [name, definition]))).toEqual(definitionsBy(handlerOf))
}

function definitionsBy(handlerOf: HandlerOf): Record<string, HandlerDefinition | undefined> {
  return Object.fromEntries(NAMES.map(([name, handler]) => [name, HANDLERS[handlerOf(name, handler)]]))
}

async function expiredNames(store: Store, minutes: number): Promise<string[]> {
  expect(await expireAll(store, DUE + minutes * 60_000 - 1)).toEqual([])
  return (await expireAll(store, DUE + minutes * 60_000)).map(({ name }) => name).sort()
}
