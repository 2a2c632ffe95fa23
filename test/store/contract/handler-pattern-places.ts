/** Tasks and places that go from one handler to another, because one beside it comes or goes. */
import { expect } from 'vitest'
import type { Task } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, claimAll, DUE, finishAll, LEASE_MS, listAll, mustGet, putHandler, rooms } from './support/tasks.ts'

const CALLBACK = { callback: 'http://handler.test/run' }
const ONE = { ...CALLBACK, concurrency: 1 }

export default area('a place of a handler of many names', (test) => {
  for (const inner of ['a.b.*', 'a.b.1']) {
    test(`are left to the others when ${inner} takes what runs along: at once`, async ({ store, reopen }) => {
      await putHandler(store, 'a.*', ONE)
      await put(store, ['a.b.1', 'a.b.1', 'a.x', 'a.x'])
      expect(namesOf(await claimAll(store))).toEqual(['a.b.1'])
      expect(await claimAll(store)).toEqual([])
      await putHandler(store, inner, ONE)
      // What runs is one of the new handler now, which has no place for a second one.
      expect(namesOf(await claimAll(store))).toEqual(['a.x'])
      const opened = await reopen()
      expect(await opened.claimDue(aClaim())).toEqual({ tasks: [], nextDue: undefined })
      await putHandler(opened, inner, { ...CALLBACK, concurrency: 2 })
      expect(namesOf(await claimAll(opened))).toEqual(['a.b.1'])
    })

    test(`are those of the pattern again when ${inner} goes`, async ({ store, reopen }) => {
      await putHandler(store, 'a.*', { ...CALLBACK, concurrency: 2 })
      await putHandler(store, inner, ONE)
      await put(store, ['a.b.1', 'a.b.1', 'a.x', 'a.x', 'a.x'])
      const claimed = await claimAll(store)
      expect(namesOf(claimed)).toEqual(['a.b.1', 'a.x', 'a.x'])
      expect(await store.removeHandler(inner, { force: false })).toBe('removed')
      expect(await claimAll(store)).toEqual([])
      await finishAll(store, claimed.slice(0, 1), DUE)
      const opened = await reopen()
      expect(await claimAll(opened)).toEqual([])
      await finishAll(opened, claimed.slice(1, 2), DUE)
      expect(await claimAll(opened)).toHaveLength(1)
      await finishAll(opened, claimed.slice(2), DUE)
      expect(await claimAll(opened)).toHaveLength(1)
    })
  }

  test('that come free in a longer handler are used by its own tasks, and by no other', async ({ store }) => {
    await putHandler(store, 'a.*', ONE)
    await putHandler(store, 'a.b.*', ONE)
    await put(store, ['a.b.1', 'a.x', 'a.b.2', 'a.y', 'a.b.3'])
    const [outer, inner] = (await claimAll(store)).sort((one, other) => Number(one.name > other.name) * -2 + 1) as [Task, Task]
    expect([outer.name, inner.name]).toEqual(['a.x', 'a.b.1'])
    await finishAll(store, [inner], DUE)
    expect(namesOf(await claimAll(store))).toEqual(['a.b.2'])
    await finishAll(store, [outer], DUE, 503)
    expect(namesOf(await claimAll(store))).toEqual(['a.y'])
  })

  test('that come free belong to the handler that the task has by then, when it is lost or tried again too', async ({ store, reopen }) => {
    await put(store, ['a.1', 'a.2', 'a.3'], { callback: 'http://host.test/' })
    await store.claimDue(aClaim({ limit: 2 }))
    await putHandler(store, 'a.*', { concurrency: 2 })
    await putHandler(store, '*', { concurrency: 1 })
    expect(await claimAll(store)).toEqual([])
    await store.rescue({ now: DUE + LEASE_MS, limit: 1 })
    const opened = await reopen()
    expect(await claimAll(opened, DUE + LEASE_MS)).toHaveLength(1)
    expect(await opened.removeHandler('a.*', { force: false })).toBe('removed')
    expect(await claimAll(opened, DUE + LEASE_MS)).toEqual([])
    const running = await listAll(opened, { states: ['running'] })
    await finishAll(opened, running.slice(1), DUE + LEASE_MS, 503)
    expect(await claimAll(opened, DUE + 2 * LEASE_MS)).toEqual([])
    await finishAll(opened, running.slice(0, 1), DUE + LEASE_MS)
    expect(await claimAll(opened, DUE + 2 * LEASE_MS)).toHaveLength(1)
  })

  test('are paused and opened by the handler that a task has, whichever was paused before', async ({ store }) => {
    await putHandler(store, 'a.*', { ...CALLBACK, paused: true })
    await put(store, ['a.b.1', 'a.x'])
    expect(await claimAll(store)).toEqual([])
    await putHandler(store, 'a.b.*', CALLBACK)
    expect(namesOf(await claimAll(store))).toEqual(['a.b.1'])
    await putHandler(store, 'a.x', { ...CALLBACK, paused: true })
    await putHandler(store, 'a.*', CALLBACK)
    expect(await claimAll(store)).toEqual([])
    await store.removeHandler('a.x', { force: false })
    expect(namesOf(await claimAll(store))).toEqual(['a.x'])
  })

  test('go from calls to workers and back with the handler', async ({ store, reopen }) => {
    await putHandler(store, '*', { pull: true })
    await put(store, ['a.1', 'a.2', 'b'])
    await putHandler(store, 'a.*', ONE)
    expect(namesOf(await pull(store, '*'))).toEqual(['b'])
    expect(namesOf(await claimAll(store))).toEqual(['a.1'])
    const opened = await reopen()
    await opened.removeHandler('a.*', { force: false })
    expect(await claimAll(opened)).toEqual([])
    expect(namesOf(await pull(opened, '*'))).toEqual(['a.2'])
    await putHandler(opened, '*', { ...CALLBACK, concurrency: 4 })
    await put(opened, ['c', 'd'])
    expect(await claimAll(opened)).toHaveLength(1)
  })

  test('of a rate are counted where the attempt started', async ({ store }) => {
    await putHandler(store, 'a.*', { ...CALLBACK, rate: 2 })
    await put(store, ['a.b.1', 'a.b.1', 'a.b.1', 'a.x'])
    expect(namesOf(await claimAll(store))).toEqual(['a.b.1', 'a.b.1'])
    await putHandler(store, 'a.b.*', { ...CALLBACK, rate: 1 })
    expect(namesOf(await claimAll(store))).toEqual(['a.b.1'])
    expect(namesOf(await claimAll(store, DUE + 61_000))).toEqual(['a.x'])
  })

  test('are those of the new handler for a claim of the same moment, whatever waited where', async ({ store }) => {
    await putHandler(store, 'a.*', { ...CALLBACK, concurrency: 9 })
    await put(store, ['a.b.2', 'a.x', 'a.b.3', 'a.b.4', 'a.y'])
    const handling = store.putHandler('a.b.*', { ...CALLBACK, concurrency: 3 }, { now: DUE, force: false })
    const putting = put(store, ['a.b.1'], {}, DUE - 500)
    const claims = await Promise.all([store.claimDue(aClaim()), store.claimDue(aClaim())])
    await Promise.all([handling, putting])
    expect(claims.flatMap(({ tasks }) => namesOf(tasks))).toEqual(['a.b.1', 'a.b.2', 'a.b.3', 'a.x', 'a.y'])
    expect(claims[0].tasks).toHaveLength(5)
  })

  test('are found by a claim of the same moment that has looked for the new handler already', async ({ store }) => {
    await putHandler(store, 'a.*', { callback: 'http://busy.test/' })
    await put(store, ['a.b.2', 'a.b.3'])
    const handling = store.putHandler('a.b.*', CALLBACK, { now: DUE, force: false })
    const putting = put(store, ['a.b.1'])
    const lanes = rooms({ 'busy.test': 9 })
    const { tasks } = await store.claimDue(aClaim({ hosts: lanes }))
    await Promise.all([handling, putting])
    expect(namesOf(tasks)).toEqual(['a.b.1', 'a.b.2', 'a.b.3'])
  })
})

function namesOf(tasks: readonly Task[]): string[] {
  return tasks.map(({ name }) => name).sort()
}

/** Tasks that are due one after the other, in the order of `names`. */
async function put(store: Store, names: readonly string[], definition = {}, from = DUE - 99): Promise<void> {
  const tasks = names.map((name, n) => {
    const fields = { name, triggerAt: MINUTE - n * 60, dueAt: from + n, definition: { max_delay: 60, ...definition } }
    return 'callback' in definition ? aTask(fields) : aTaskWithoutCallback(fields)
  })
  const results = await store.put(tasks, { now: from })
  expect(results.filter(({ status }) => status !== 'created' && status !== 'replaced')).toEqual([])
}

async function pull(store: Store, handler: string): Promise<Task[]> {
  const result = await store.pull(handler, { now: DUE, node: 'node-1', leaseUntil: DUE + LEASE_MS, limit: 9 })
  if (result === 'not_pulled') throw new Error(`${handler} is not pulled`)
  for (const task of result.tasks) expect(await mustGet(store, task)).toMatchObject({ state: 'running', awaiting: 'worker' })
  return result.tasks
}
