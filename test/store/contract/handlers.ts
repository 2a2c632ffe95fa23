import { expect } from 'vitest'
import type { HandlerDefinition } from '../../../src/domain/task/handler.ts'
import { reportOf } from '../../../src/domain/attempt/attempt-report.ts'
import type { Task } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { anEntry, answered, claimAll, DUE, expireAll, finish, listAll, mustGet, NODE, putHandler } from './support/tasks.ts'

/** Every field has a value of its own. */
const FULL: HandlerDefinition = {
  callback: 'https://handler.test:8443/run?q=ü',
  callback_method: 'PUT',
  headers: { 'X-One': '1', Authorization: 'Bearer secret' },
  expected_http_status: [202, '2xx'],
  retry: 3,
  max_delay: 17,
  timeout: 19,
  error_callback: 'https://handler.test/failed',
  delivery: 'at_least_once',
  ack_timeout: 23,
  concurrency: 29,
  rate: 31,
  paused: true,
  pull: false,
}
const CALLBACK = { callback: 'http://handler.test/run' }
const PULL = { pull: true }
/** Their order as UTF-8 differs from their order as UTF-16 and from any dictionary's. */
const NAMES = ['a', 'Z', 'z', 'aa', 'é', 'e\u0301', 'ß', '日本', '\uE000', '😀', '\u{10FFFD}', '0', '~', "'", '%']

export default area('a handler', (test) => {
  test('reads back as it was given, in a store opened again too', async ({ store, reopen }) => {
    const handler = { name: 'ä-“name”-😀', definition: FULL, created: DUE + 1, updated: DUE + 1 }
    expect(await store.putHandler(handler.name, FULL, { now: DUE + 1, force: false })).toEqual({ status: 'created', handler })
    expect(await store.getHandler(handler.name)).toEqual(handler)
    expect(await store.listHandlers({ limit: 10 })).toEqual({ handlers: [handler], more: false })
    expect(await (await reopen()).getHandler(handler.name)).toEqual(handler)
  })

  test('is replaced as a whole, and keeps when it was created', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', FULL, DUE + 1)
    const handler = { name: 'a-task', definition: CALLBACK, created: DUE + 1, updated: DUE + 5 }
    expect(await store.putHandler('a-task', CALLBACK, { now: DUE + 5, force: false })).toEqual({ status: 'replaced', handler })
    expect(await store.getHandler('a-task')).toEqual(handler)
    expect(await (await reopen()).getHandler('a-task')).toEqual(handler)
  })

  test('is that of one name, letter by letter', async ({ store }) => {
    await putHandler(store, 'a-task', CALLBACK)
    for (const name of ['A-task', 'a-tas', 'a-task-', 'a%', '']) {
      expect(await store.getHandler(name)).toBeUndefined()
      expect(await store.removeHandler(name, { force: true })).toBe('unknown')
    }
    expect(await store.put([aTaskWithoutCallback({ name: 'A-task' })], { now: DUE })).toEqual([{ status: 'no_callback' }])
  })

  test('is listed in the order of the bytes of its name, page by page', async ({ store }) => {
    expect(await store.listHandlers({ limit: 5 })).toEqual({ handlers: [], more: false })
    for (const name of NAMES) await putHandler(store, name, CALLBACK)
    const sorted = [...NAMES].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
    for (const limit of [1, 2, 7, NAMES.length - 1, NAMES.length, 100]) expect(await namesOfAllHandlers(store, limit)).toEqual(sorted)
    expect(await store.listHandlers({ after: 'f', limit: 1 })).toMatchObject({ handlers: [{ name: 'z' }], more: true })
    expect(await store.listHandlers({ after: '\u{10FFFF}', limit: 1 })).toEqual({ handlers: [], more: false })
  })

  test('is removed once', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', FULL)
    expect(await store.removeHandler('a-task', { force: false })).toBe('removed')
    expect(await store.getHandler('a-task')).toBeUndefined()
    expect(await store.removeHandler('a-task', { force: false })).toBe('unknown')
    const opened = await reopen()
    expect(await opened.listHandlers({ limit: 10 })).toEqual({ handlers: [], more: false })
    expect(await opened.putHandler('a-task', CALLBACK, { now: DUE + 9, force: false })).toMatchObject({
      status: 'created',
      handler: { created: DUE + 9 },
    })
  })

  for (const [what, definition] of [
    ['no handler', undefined],
    ['a handler that has none either', { retry: 3, concurrency: 1, pull: false }],
  ] as const) {
    test(`with ${what}, a task without a callback is not stored, and those beside it are`, async ({ store }) => {
      if (definition) await putHandler(store, 'a-task', definition)
      const before = await anEntry(store, 'failed')
      const tasks = [aTask({ name: 'first' }), aTaskWithoutCallback(), aTask({ name: 'last' })]
      expect(await store.put(tasks, { now: DUE + 5 })).toMatchObject([
        { status: 'created' },
        { status: 'no_callback' },
        { status: 'created' },
      ])
      expect(await mustGet(store, aTask())).toEqual(before)
      expect((await listAll(store)).map(({ name }) => name)).toEqual(['a-task', 'first', 'last'])
    })
  }

  for (const [what, handler, effective] of [
    ['has one', CALLBACK, { definition: CALLBACK, host: 'handler.test' }],
    ['says that workers pull', PULL, { definition: {}, host: '' }],
  ] as const) {
    test(`with a handler that ${what}, a task without a callback is stored, and replaced`, async ({ store, reopen }) => {
      await putHandler(store, 'a-task', handler)
      const { definition, host } = effective
      expect(await store.put([aTaskWithoutCallback()], { now: DUE })).toMatchObject([{ status: 'created', task: { host } }])
      const replaced = await store.put([aTaskWithoutCallback({ definition: { payload: 'new' } })], { now: DUE + 1 })
      const task = await mustGet(store, aTask())
      expect(task).toMatchObject({ state: 'pending', host, created: DUE, updated: DUE + 1 })
      expect(task.definition).toEqual({ ...definition, payload: 'new' })
      expect(replaced).toEqual([{ status: 'replaced', task }])
      expect(await mustGet(await reopen(), task)).toEqual(task)
    })
  }

  for (const state of ['pending', 'retrying', 'running'] as const) {
    test(`with the only callback of a ${state} task is needed, and removed or emptied only by force`, async ({ store, reopen }) => {
      const handler = await putHandler(store, 'a-task', { ...CALLBACK, max_delay: 50 })
      await anEntryWithoutCallback(store, state)
      const before = await listAll(store)
      expect(await store.removeHandler('a-task', { force: false })).toBe('needed')
      expect(await store.putHandler('a-task', { retry: 9 }, { now: DUE + 9, force: false })).toBe('needed')
      expect(await store.getHandler('a-task')).toEqual(handler)
      const opened = await reopen()
      expect([await opened.getHandler('a-task'), await listAll(opened)]).toEqual([handler, before])
      expect(await opened.putHandler('a-task', PULL, { now: DUE + 9, force: false })).toMatchObject({ status: 'replaced' })
      expect(await opened.removeHandler('a-task', { force: false })).toBe('needed')
      expect(await opened.putHandler('a-task', { retry: 9 }, { now: DUE + 9, force: true })).toMatchObject({ status: 'replaced' })
      expect(await opened.removeHandler('a-task', { force: true })).toBe('removed')
    })
  }

  test('is not needed by what has ended, has a callback of its own, or has another name', async ({ store }) => {
    for (const name of ['a-task', 'a-task2', 'a']) await putHandler(store, name, CALLBACK)
    await store.put([aTaskWithoutCallback({ triggerAt: MINUTE - 60 })], { now: DUE - 1 })
    await finish(store, (await claimAll(store))[0] as Task, answered(404, DUE), DUE)
    await store.put([aTask(), aTaskWithoutCallback({ name: 'a-task2' }), aTaskWithoutCallback({ name: 'a' })], { now: DUE })
    expect(await store.removeHandler('a-task', { force: false })).toBe('removed')
    expect(await store.removeHandler('a-task2', { force: false })).toBe('needed')
  })

  test('is not needed once its last task is gone, and is again when there is another one', async ({ store }) => {
    await putHandler(store, 'a-task', CALLBACK)
    await store.put([aTaskWithoutCallback()], { now: DUE })
    await store.put([aTask()], { now: DUE })
    expect(await store.putHandler('a-task', {}, { now: DUE, force: false })).toMatchObject({ status: 'replaced' })
    await putHandler(store, 'a-task', CALLBACK)
    await store.put([aTaskWithoutCallback()], { now: DUE })
    expect(await store.removeHandler('a-task', { force: false })).toBe('needed')
    await store.remove({}, { now: DUE, limit: 10 })
    expect(await store.removeHandler('a-task', { force: false })).toBe('removed')
  })

  test('that is removed by force leaves tasks with nothing to call: they are claimed, and fail with the reason', async ({
    store,
    reopen,
  }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, headers: { 'X-One': '1' } })
    await store.put([aTaskWithoutCallback({ definition: { payload: 7 } })], { now: DUE - 9 })
    await store.removeHandler('a-task', { force: true })
    const opened = await reopen()
    expect(await claimAll(opened, DUE - 1)).toEqual([])
    const [task] = (await claimAll(opened)) as [Task]
    expect(task).toMatchObject({ definition: { payload: 7 }, host: '', attempts: 1, state: 'running' })
    expect(Object.keys(task.definition)).toEqual(['payload'])
    expect(await opened.record([reportOf(task, { kind: 'not_called', reason: 'no_callback' }, NODE, DUE + 5, 0)])).toEqual([true])
    expect(await mustGet(opened, task)).toMatchObject({ state: 'failed', attempts: 0, error: expect.stringContaining('handler') as string })
  })

  test('that is removed by force and comes back serves what still waits', async ({ store }) => {
    await putHandler(store, 'a-task', PULL)
    await store.put([aTaskWithoutCallback()], { now: DUE - 9 })
    await store.removeHandler('a-task', { force: true })
    await putHandler(store, 'a-task', CALLBACK)
    expect(await claimAll(store)).toMatchObject([{ definition: CALLBACK, host: 'handler.test' }])
  })

  test('and a task that needs it, of the same moment: one of the two is refused', async ({ store }) => {
    const outcomes = []
    for (let turn = 0; turn < 20; turn += 1) {
      await putHandler(store, 'a-task', CALLBACK)
      const putting = () => store.put([aTaskWithoutCallback()], { now: DUE })
      const removing = () => store.removeHandler('a-task', { force: false })
      const [one, other] = await Promise.all(turn % 2 ? [putting(), removing()] : [removing(), putting()])
      outcomes.push(
        [one, other]
          .flat()
          .map((result) => (typeof result === 'string' ? result : result.status))
          .join(),
      )
      expect((await store.getHandler('a-task')) === undefined).toBe((await listAll(store)).length === 0)
      await store.remove({}, { now: DUE, limit: 1 })
    }
    expect(new Set(outcomes)).toEqual(new Set(['created,needed', 'removed,no_callback']))
  })

  test('ends no task and starts none: what is out of time with it still ends', async ({ store }) => {
    await putHandler(store, 'a-task', CALLBACK)
    await store.put([aTaskWithoutCallback()], { now: DUE })
    await store.removeHandler('a-task', { force: true })
    expect(await expireAll(store, DUE + 600_000)).toMatchObject([{ state: 'skipped', host: '' }])
  })
})

async function namesOfAllHandlers(store: Store, limit: number): Promise<string[]> {
  const names: string[] = []
  for (;;) {
    const after = names.at(-1)
    const { handlers, more } = await store.listHandlers({ limit, ...(after !== undefined && { after }) })
    names.push(...handlers.map(({ name }) => name))
    expect(handlers.length).toBeLessThanOrEqual(limit)
    if (!more) return names
    expect(handlers).toHaveLength(limit)
  }
}

async function anEntryWithoutCallback(store: Store, state: 'pending' | 'retrying' | 'running'): Promise<void> {
  await store.put([aTaskWithoutCallback()], { now: DUE - 1 })
  if (state === 'pending') return
  const [task] = (await claimAll(store)) as [Task]
  if (state === 'retrying') await finish(store, task, answered(503, DUE), DUE)
}
