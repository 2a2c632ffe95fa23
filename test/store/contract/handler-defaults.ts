import { expect } from 'vitest'
import { outcomeOf } from '../../../src/domain/outcome.ts'
import type { Task, TaskDefinition } from '../../../src/domain/task.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import type { DefineTest } from './define-test.ts'
import {
  aClaim,
  anEntry,
  claimAll,
  DUE,
  expireAll,
  finish,
  answered,
  keysOf,
  LEASE_MS,
  listAll,
  mustGet,
  NODE,
  putHandler,
  rescheduleAll,
} from './entries.ts'

const CALLBACK = { callback: 'http://handler.test/run' }
const MINUTE_MS = 60_000
const OWN: TaskDefinition = {
  callback: 'http://own.test/run',
  callback_method: 'PATCH',
  headers: { 'X-Own': 'own', 'x-both': 'own' },
  expected_http_status: 201,
  retry: 5,
  max_delay: 7,
  timeout: 9,
  error_callback: 'http://own.test/failed',
  delivery: 'at_least_once',
  ack_timeout: 11,
}
const DEFAULTS: TaskDefinition = {
  callback: 'http://handler.test/run',
  callback_method: 'PUT',
  headers: { 'X-Handler': 'handler', 'X-Both': 'handler' },
  expected_http_status: '2xx',
  retry: 3,
  max_delay: 13,
  timeout: 15,
  error_callback: 'http://handler.test/failed',
  delivery: 'at_most_once',
  ack_timeout: 17,
}

export function describeHandlerDefaults(test: DefineTest): void {
  test("stand behind a task's own values, one by one", async ({ store }) => {
    await putHandler(store, 'a-task', { ...DEFAULTS, concurrency: 5, rate: 5, paused: false, pull: false })
    const { headers: _headers, ...plain } = OWN
    for (const [field, value] of Object.entries(plain)) {
      await store.put([aTaskWithoutCallback({ definition: { [field]: value } })], { now: DUE - 1 })
      expect((await mustGet(store, aTask())).definition, field).toEqual({ ...DEFAULTS, [field]: value })
    }
    const headers = { 'X-Handler': 'handler', 'X-Own': 'own', 'x-both': 'own' }
    await store.put([aTask({ definition: OWN })], { now: DUE - 1 })
    const [claimed] = (await claimAll(store)) as [Task]
    expect(claimed).toMatchObject({ definition: { ...OWN, headers }, lane: 'own.test' })
    expect(Object.keys(claimed.definition.headers ?? {}).sort()).toEqual(['X-Handler', 'X-Own', 'x-both'])
  })

  test('that change reach a thousand waiting tasks, whose rows stay as they are', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, headers: { 'X-Old': 'old' }, max_delay: 30, retry: 2 })
    const tasks = Array.from({ length: 1000 }, (_, n) =>
      aTaskWithoutCallback({ triggerAt: MINUTE - n * 60, dueAt: DUE - n, definition: n % 2 ? { timeout: n, max_delay: 999 } : {} }),
    )
    await store.put(tasks, { now: DUE - 99 })
    const before = await listAll(store)
    const changed = { ...DEFAULTS, max_delay: 525_600 } as const
    await putHandler(store, 'a-task', changed, DUE - 5)
    const after = before.map((task) => {
      const isOdd = task.definition.timeout !== undefined
      const definition = { ...changed, ...(isOdd && { timeout: task.definition.timeout, max_delay: 999 }) }
      return { ...task, definition, deadline: task.triggerAt * 1000 + (isOdd ? 999 : 525_600) * MINUTE_MS }
    })
    expect(await listAll(store)).toEqual(after)
    const opened = await reopen()
    expect(await listAll(opened)).toEqual(after)
    expect(await expireAll(opened, DUE)).toHaveLength(after.filter(({ deadline }) => deadline <= DUE).length)
    // The one that is out of time has its error callback called.
    const claimed = (await claimAll(opened)).filter(({ name }) => name === 'a-task')
    const byKey = new Map(claimed.map((task) => [task.triggerAt, task]))
    expect(claimed).toHaveLength(after.filter(({ deadline }) => deadline > DUE).length)
    for (const { triggerAt, definition, deadline, lane } of after.filter((task) => task.deadline > DUE))
      expect(byKey.get(triggerAt)).toMatchObject({ definition, deadline, lane, state: 'running' })
  })

  test('that change reach a task between two attempts', async ({ store }) => {
    await putHandler(store, 'a-task', CALLBACK)
    await store.put([aTaskWithoutCallback()], { now: DUE })
    await finish(store, (await claimAll(store))[0] as Task, answered(503, DUE), DUE)
    await putHandler(store, 'a-task', { callback: 'http://new.test/run', headers: { 'X-New': 'new' } })
    const expected = { attempts: 2, lane: 'new.test', definition: { callback: 'http://new.test/run', headers: { 'X-New': 'new' } } }
    expect(await claimAll(store, DUE + 600)).toMatchObject([expected])
  })

  test('hold for what becomes of a claim that was made before they changed', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, delivery: 'at_least_once' })
    await store.put([aTaskWithoutCallback()], { now: DUE })
    await claimAll(store)
    await putHandler(store, 'a-task', { ...CALLBACK, delivery: 'at_most_once' })
    expect(await store.rescue({ now: DUE + LEASE_MS, limit: 1 })).toMatchObject([
      { state: 'failed', definition: { delivery: 'at_most_once' } },
    ])
  })

  test('reach tasks that were stored before there was a handler, and leave them with it', async ({ store, reopen }) => {
    const { task: before } = (await store.put([aTask()], { now: DUE - 9 }))[0] as { task: Task }
    await putHandler(store, 'a-task', DEFAULTS)
    const definition = { ...DEFAULTS, ...before.definition }
    const withDefaults = { ...before, definition, deadline: DUE + 13 * MINUTE_MS }
    expect(await listAll(store)).toEqual([withDefaults])
    const opened = await reopen()
    expect(await listAll(opened)).toEqual([withDefaults])
    expect(await opened.removeHandler('a-task', { force: false })).toBe('removed')
    expect(await listAll(opened)).toEqual([before])
    await putHandler(opened, 'a-task', { headers: { 'X-New': 'new' } })
    expect(await claimAll(opened)).toMatchObject([
      { definition: { ...before.definition, headers: { 'X-New': 'new' } }, lane: 'receiver.test' },
    ])
  })

  test('reach a task that was running when they came, and that is handed back', async ({ store }) => {
    await store.put([aTask(), aTask({ triggerAt: MINUTE + 60 })], { now: DUE - 9 })
    const [task] = (await claimAll(store)) as [Task]
    await putHandler(store, 'a-task', { timeout: 99 })
    await store.record([outcomeOf(task, { kind: 'not_called', reason: 'stopping' }, NODE, DUE, 0)])
    expect(await store.claimDue(aClaim())).toMatchObject({
      tasks: [{ triggerAt: MINUTE, definition: { timeout: 99 } }],
      nextDue: DUE + 60_000,
    })
  })

  for (const [when, stored] of [
    ['after the handler', [false, true]],
    ['before it', [true, false]],
  ] as const) {
    test(`of max_delay lengthen and shorten the windows of tasks that were stored ${when}`, async ({ store, reopen }) => {
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

    test(`of max_delay keep a task out of the claim that was stored ${when} and is out of time by them`, async ({ store }) => {
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

  test('of max_delay count from when a person had the task run', async ({ store }) => {
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

  test('of max_delay hold for what is rescheduled', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, max_delay: 2 })
    await store.put([aTaskWithoutCallback()], { now: DUE })
    await expireAll(store, DUE + 2 * MINUTE_MS)
    const triggerAt = MINUTE + 3600
    const [copy] = await rescheduleAll(store, { selection: {}, all: false, triggerAt, now: DUE + 5, dryRun: false, limit: 9 })
    expect(copy).toMatchObject({ definition: { ...CALLBACK, max_delay: 2 }, lane: 'handler.test', deadline: (triggerAt + 120) * 1000 })
    expect(await mustGet(store, { name: 'a-task', triggerAt })).toEqual(copy)
    await putHandler(store, 'a-task', { ...CALLBACK, max_delay: 3 })
    expect(await expireAll(store, (triggerAt + 150) * 1000)).toEqual([])
    expect(await claimAll(store, (triggerAt + 150) * 1000)).toMatchObject([{ triggerAt, deadline: (triggerAt + 180) * 1000 }])
  })

  test('of max_delay hide nothing that is out of time behind hundreds of tasks whose window is longer by them', async ({ store }) => {
    const longer = Array.from({ length: 300 }, (_, n) => aTask({ name: 'long', triggerAt: MINUTE - 6000 - n * 60 }))
    await store.put([...longer, aTask({ name: 'late' })], { now: DUE })
    await putHandler(store, 'long', { max_delay: 525_600 })
    expect(await expireAll(store, DUE + 600_000, 10)).toMatchObject([{ name: 'late', state: 'skipped' }])
    expect(await expireAll(store, DUE + 600_000, 10)).toEqual([])
    expect(await store.counts()).toMatchObject({ pending: 300, skipped: 1 })
  })

  test('of max_delay that end hundreds of windows at once are heeded for all of them', async ({ store }) => {
    const tasks = Array.from({ length: 300 }, (_, n) => aTask({ triggerAt: MINUTE - n * 60, definition: { payload: n } }))
    await putHandler(store, 'a-task', { max_delay: 525_600 })
    await store.put(tasks, { now: DUE })
    expect(await expireAll(store, DUE, 10)).toEqual([])
    await putHandler(store, 'a-task', { max_delay: 1 })
    expect(keysOf(await expireAll(store, DUE + MINUTE_MS, 10)).sort()).toEqual(keysOf(tasks).sort())
  })

  test("of callback give tasks the room of the handler's host, together with all others to it", async ({ store }) => {
    await putHandler(store, 'a', { callback: 'http://shared.test/a' })
    await putHandler(store, 'b', { callback: 'http://elsewhere.test/b' })
    const tasks = ['a', 'b', 'plain'].flatMap((name) =>
      Array.from({ length: 9 }, (_, n) =>
        (name === 'plain' ? aTask : aTaskWithoutCallback)({ name, triggerAt: MINUTE - n * 60, dueAt: DUE }),
      ),
    )
    await store.put(
      tasks.map((task) => (task.name === 'plain' ? { ...task, lane: 'shared.test' } : task)),
      { now: DUE - 1 },
    )
    await putHandler(store, 'b', { callback: 'http://shared.test/b' })
    const claim = (room: number) => {
      const lanes = new Map([['shared.test', { room, isProven: true, inflight: 0 }]])
      return store.claimDue(aClaim({ lanes, roomOfNewLane: 0 }))
    }
    expect((await claim(0)).tasks).toEqual([])
    expect((await claim(4)).tasks).toHaveLength(4)
    const { tasks: rest } = await claim(100)
    expect(rest).toHaveLength(23)
    expect(new Set(rest.map(({ lane }) => lane))).toEqual(new Set(['shared.test']))
  })

  test('hold for all tasks or for none where the store was closed while they were stored', async ({ store, reopen }) => {
    await store.put(
      Array.from({ length: 5000 }, (_, n) => aTask({ triggerAt: MINUTE - n * 60, dueAt: DUE, definition: { payload: n } })),
      { now: DUE - 9 },
    )
    await putHandler(store, 'a-task', { max_delay: 525_600 })
    const putting = store.putHandler('a-task', { max_delay: 60, paused: true }, { now: DUE, force: false })
    const [opened] = await Promise.all([reopen(), Promise.allSettled([putting])])
    expect(await opened.getHandler('a-task')).toMatchObject({ definition: { max_delay: 60, paused: true } })
    expect(await claimAll(opened)).toEqual([])
    await expireAll(opened, DUE)
    expect(await opened.counts()).toMatchObject({ pending: 60, skipped: 4940 })
  })

  test('show in an entry that has ended too, as they are now', async ({ store }) => {
    await anEntry(store, 'failed')
    await putHandler(store, 'a-task', { timeout: 99 })
    expect(await listAll(store)).toMatchObject([{ state: 'failed', definition: { timeout: 99 } }])
  })
}
