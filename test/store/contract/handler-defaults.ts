import { expect } from 'vitest'
import { reportOf } from '../../../src/domain/attempt/attempt-report.ts'
import type { Task, TaskDefinition } from '../../../src/domain/task/task.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import {
  aClaim,
  anEntry,
  claimAll,
  DUE,
  expireAll,
  finish,
  answered,
  LEASE_MS,
  listAll,
  mustGet,
  NODE,
  putHandler,
  rooms,
} from './support/tasks.ts'

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

export default area('the defaults of a handler', (test) => {
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
    expect(claimed).toMatchObject({ definition: { ...OWN, headers }, host: 'own.test' })
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
    for (const { triggerAt, definition, deadline, host } of after.filter((task) => task.deadline > DUE))
      expect(byKey.get(triggerAt)).toMatchObject({ definition, deadline, host, state: 'running' })
  })

  test('that change reach a task between two attempts', async ({ store }) => {
    await putHandler(store, 'a-task', CALLBACK)
    await store.put([aTaskWithoutCallback()], { now: DUE })
    await finish(store, (await claimAll(store))[0] as Task, answered(503, DUE), DUE)
    await putHandler(store, 'a-task', { callback: 'http://new.test/run', headers: { 'X-New': 'new' } })
    const expected = { attempts: 2, host: 'new.test', definition: { callback: 'http://new.test/run', headers: { 'X-New': 'new' } } }
    expect(await claimAll(store, DUE + 600)).toMatchObject([expected])
  })

  test('decide about a claim as they were when it was made, and about the task from then on as they are now', async ({ store }) => {
    await putHandler(store, 'a-task', { ...CALLBACK, delivery: 'at_least_once' })
    await store.put([aTaskWithoutCallback()], { now: DUE })
    await claimAll(store)
    await putHandler(store, 'a-task', { ...CALLBACK, delivery: 'at_most_once' })
    expect(await store.rescue({ now: DUE + LEASE_MS, limit: 1 })).toMatchObject([{ state: 'retrying', lost: 1 }])
    expect(await listAll(store)).toMatchObject([{ state: 'retrying', definition: { delivery: 'at_most_once' } }])
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
      { definition: { ...before.definition, headers: { 'X-New': 'new' } }, host: 'receiver.test' },
    ])
  })

  test('reach a task that was running when they came, and that is handed back', async ({ store }) => {
    await store.put([aTask(), aTask({ triggerAt: MINUTE + 60 })], { now: DUE - 9 })
    const [task] = (await claimAll(store)) as [Task]
    for (const timeout of [98, 99]) await putHandler(store, 'a-task', { timeout })
    await store.record([reportOf(task, { kind: 'not_called', reason: 'stopping' }, NODE, DUE, 0)])
    expect(await store.claimDue(aClaim())).toMatchObject({
      tasks: [{ triggerAt: MINUTE, definition: { timeout: 99 } }],
      nextDue: DUE + 60_000,
    })
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
      tasks.map((task) => (task.name === 'plain' ? { ...task, host: 'shared.test' } : task)),
      { now: DUE - 1 },
    )
    await putHandler(store, 'b', { callback: 'http://shared.test/b' })
    const claim = (free: number) => {
      const hosts = rooms({ 'shared.test': free })
      return store.claimDue(aClaim({ hosts, capacityOfNewHost: 0 }))
    }
    expect((await claim(0)).tasks).toEqual([])
    expect((await claim(4)).tasks).toHaveLength(4)
    const { tasks: rest } = await claim(100)
    expect(rest).toHaveLength(23)
    expect(new Set(rest.map(({ host }) => host))).toEqual(new Set(['shared.test']))
  })

  test('show in an entry that has ended too, as they are now', async ({ store }) => {
    await anEntry(store, 'failed')
    await putHandler(store, 'a-task', { timeout: 99 })
    expect(await listAll(store)).toMatchObject([{ state: 'failed', definition: { timeout: 99 } }])
  })
})
