import { expect } from 'vitest'
import { newTask } from '../../../src/domain/task/task.ts'
import type { TaskDefinition } from '../../../src/domain/task/task.ts'
import type { EditResult, Revise } from '../../../src/domain/task/client-write.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aRepeating, minutesOf } from './series.ts'
import { anEntry, answered, claimAll, claimOne, DUE, finish, listAll, mustGet, NEVER_RUN, putHandler } from './support/tasks.ts'

const KEY = { name: 'a-task', triggerAt: MINUTE }
const NOW = DUE - 600_000
const LATER = MINUTE + 3600

/** Puts values over the task's own, and moves it. An undefined value goes. */
function over(values: { readonly [F in keyof TaskDefinition]?: TaskDefinition[F] | undefined }, triggerAt?: number, now = NOW): Revise {
  return ({ name, triggerAt: before }, own) => {
    const definition = JSON.parse(JSON.stringify({ ...own, ...values })) as TaskDefinition
    return { ok: true, value: newTask({ name, triggerAt: triggerAt ?? before }, definition, now, now > before * 1000) }
  }
}

function edit(store: Store, revise: Revise, { run = false, now = NOW, key = KEY } = {}): Promise<EditResult> {
  return store.edit(key, revise, { now, run })
}

export default area('edit', (test) => {
  test('changes a waiting task in its place, with a fresh run, and tells of it', async ({ store, reopen }) => {
    await putHandler(store, 'a-task', { headers: { a: '1' }, max_delay: 30 }, NOW)
    const before = await anEntry(store, 'pending', { definition: { payload: { a: 1 } } }, NOW)
    const { last } = await store.changes({ after: 0, limit: 9 })
    const owns: TaskDefinition[] = []
    const result = await edit(store, (task, own) => {
      owns.push(own)
      return over({ retry: 7, callback: 'http://other.test/' })(task, own)
    })
    expect(owns).toEqual([{ callback: 'http://receiver.test/run', payload: { a: 1 } }])
    expect(result.status === 'edited' && result.task).toEqual({
      ...{ ...before, ...NEVER_RUN, host: 'other.test', updated: NOW, runId: expect.any(String) as string },
      definition: { callback: 'http://other.test/', payload: { a: 1 }, retry: 7, headers: { a: '1' }, max_delay: 30 },
    })
    expect(result).not.toHaveProperty('task.runId', before.runId)
    const { changes } = await store.changes({ after: last, limit: 9 })
    expect(changes).toMatchObject([{ kind: 'updated', task: result.status === 'edited' && { runId: result.task.runId } }])
    const own = await store.get(KEY, { own: true })
    expect(own?.definition).toEqual({ callback: 'http://other.test/', payload: { a: 1 }, retry: 7 })
    expect(await claimAll(await reopen(), DUE)).toMatchObject([{ host: 'other.test', attempts: 1, definition: { retry: 7 } }])
  })

  test('moves a task that waits, with its history, and keeps what its last attempt went by', async ({ store }) => {
    const before = await anEntry(store, 'retrying', { definition: { max_delay: 3 } })
    const result = await edit(store, over({ max_delay: 5 }, LATER), { now: DUE + 9 })
    const window = { triggerAt: LATER, dueAt: LATER * 1000, windowFrom: LATER * 1000, deadline: LATER * 1000 + 300_000 }
    expect(result).toMatchObject({ status: 'edited', task: { ...NEVER_RUN, ...window, rescheduledFrom: MINUTE, created: before.created } })
    expect(await listAll(store)).toMatchObject([{ triggerAt: LATER }])
    const history = await store.history({ ...KEY, triggerAt: LATER })
    expect(history).toMatchObject([{ runId: before.runId, outcome: 'retrying', definition: { max_delay: 3 } }])
    // Back again, with nothing else changed.
    const back = await edit(store, over({}, MINUTE), { key: { ...KEY, triggerAt: LATER }, now: NOW })
    expect(back).toMatchObject({ status: 'edited', task: { triggerAt: MINUTE, rescheduledFrom: LATER } })
    expect(await store.history(KEY)).toEqual(history)
    expect(await claimAll(store, DUE)).toHaveLength(1)
  })

  for (const state of ['failed', 'skipped', 'successful'] as const) {
    test(`runs a ${state} task again with what was changed, and keeps its history`, async ({ store }) => {
      const before = await anEntry(store, state, { definition: { payload: 'old' } })
      expect(await edit(store, over({}), { now: DUE + 9 })).toEqual({ status: 'ended', task: before })
      const window = { windowFrom: DUE + 9, dueAt: DUE + 9, deadline: DUE + 600_009, created: before.created }
      const result = await edit(store, over({ payload: 'new' }, MINUTE, DUE + 9), { now: DUE + 9, run: true })
      expect(result).toMatchObject({ status: 'edited', task: { ...NEVER_RUN, ...window, definition: { payload: 'new' } } })
      const tried =
        state === 'skipped' ? [] : [{ runId: before.runId, definition: { callback: before.definition.callback, payload: 'old' } }]
      expect(await store.history(KEY)).toMatchObject(tried)
      const [again] = await claimAll(store, DUE + 9)
      if (again !== undefined) await finish(store, again, answered(200, DUE + 50), DUE + 50)
      expect((await store.history(KEY)).map(({ definition }) => definition?.payload)).toEqual([...tried.map(() => 'old'), undefined])
    })
  }

  test('leaves alone what runs, what is unknown, and what it is told to', async ({ store }) => {
    expect(await edit(store, over({}))).toEqual({ status: 'unknown' })
    const task = await claimOne(store)
    for (const run of [false, true]) expect(await edit(store, over({}), { run })).toMatchObject({ status: 'running' })
    await store.put([{ ...aTask(), name: 'b' }], { now: NOW })
    const [key, problem] = [
      { ...KEY, name: 'b' },
      { pointer: '/retry', detail: 'no' },
    ]
    const before = await listAll(store)
    expect(await edit(store, () => ({ ok: false, problem }), { key })).toEqual({ status: 'refused', problem })
    expect(await edit(store, () => ({ ok: true, value: undefined }), { key })).toMatchObject({ status: 'same', task: { name: 'b' } })
    expect(await edit(store, over({ callback: undefined }), { key })).toEqual({ status: 'no_callback' })
    expect(await listAll(store)).toEqual(before)
    expect(await mustGet(store, task)).toEqual(task)
    await putHandler(store, 'b', { pull: true })
    expect(await edit(store, over({ callback: undefined }), { key })).toMatchObject({ status: 'edited', task: { host: '' } })
    expect(await edit(store, over({ callback: 'http://own.test/' }), { key })).toMatchObject({ task: { host: 'own.test' } })
  })

  test('takes no minute of another task of the name', async ({ store }) => {
    await anEntry(store, 'pending', { triggerAt: LATER }, NOW)
    for (const state of ['successful', 'running'] as const) {
      const other = await anEntry(store, state, { triggerAt: LATER + (state === 'running' ? 60 : 120) })
      const { name, triggerAt } = other
      const result = await edit(store, over({}, triggerAt), { key: { name, triggerAt: LATER } })
      expect(result).toEqual({ status: 'minute_taken', key: { name, triggerAt } })
      expect(await mustGet(store, other)).toEqual(other)
    }
    expect(await minutesOf(store)).toEqual([60, 61, 62])
  })

  test('keeps one series of a name', async ({ store }) => {
    await store.put([aRepeating(), aTask({ triggerAt: LATER })], { now: NOW })
    const plain = { key: { ...KEY, triggerAt: LATER } }
    expect(await edit(store, over({ repeat: '@hourly' }), plain)).toEqual({ status: 'in_series', key: KEY })
    expect(await edit(store, over({ repeat: '@hourly' }, MINUTE + 60))).toMatchObject({ status: 'edited' })
    const [head] = await claimAll(store, DUE + 60_000)
    expect(head).toMatchObject({ triggerAt: MINUTE + 60, repeatedTo: LATER + 3600 - (LATER % 3600) })
    if (head !== undefined) await finish(store, head, answered(503, DUE + 60_050), DUE + 60_050)
    // A task that was followed already changes alone, and the series goes on once.
    const at = { key: { ...KEY, triggerAt: MINUTE + 60 }, now: DUE + 60_060 }
    expect(await edit(store, over({ retry: 5 }, undefined, at.now), at)).toMatchObject({ task: { repeatedTo: head?.repeatedTo } })
    expect(await edit(store, over({ repeat: '@daily' }), at)).toEqual({
      status: 'in_series',
      key: { name: 'a-task', triggerAt: head?.repeatedTo },
    })
    const before = await minutesOf(store)
    expect(await claimAll(store, DUE + 60_060)).toMatchObject([{ triggerAt: MINUTE + 60 }])
    expect(await minutesOf(store)).toEqual(before)
  })

  test('loses no edit of many that come at once, also beside a claim', async ({ store }) => {
    await store.put([aTask({ definition: { headers: {} } })], { now: NOW })
    const add = (name: string): Revise => {
      return (task, own) => over({ headers: { ...own.headers, [name]: '1' } })(task, own)
    }
    const names = Array.from({ length: 12 }, (_, n) => `h${n}`)
    const results = await Promise.all(names.map((name) => edit(store, add(name))))
    expect(results.map(({ status }) => status)).toEqual(names.map(() => 'edited'))
    expect(Object.keys((await mustGet(store, KEY)).definition.headers ?? {}).sort()).toEqual([...names].sort())
    const moves = [1, 2, 3, 4].map((minute) => edit(store, over({ retry: minute }, MINUTE + minute * 60)))
    const [claimed, ...moved] = await Promise.all([claimAll(store, DUE), ...moves])
    const tasks = await listAll(store)
    expect(tasks).toHaveLength(1)
    expect(moved.filter(({ status }) => status === 'edited')).toHaveLength(claimed.length === 1 ? 0 : 1)
    for (const task of claimed) expect(tasks).toEqual([task])
  })
})
