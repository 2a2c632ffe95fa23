/** When a handler of many names, or one beside it, is needed by tasks that have no callback of their own. */
import { expect } from 'vitest'
import type { HandlerDefinition } from '../../../src/domain/task/handler.ts'
import type { Task } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'
import { aTask, aTaskWithoutCallback } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { answered, claimAll, DUE, finish, listAll, putHandler } from './support/tasks.ts'

const CALLBACK = { callback: 'http://handler.test/run' }
const PULL = { pull: true }
/** Serves nothing. */
const BARE = { retry: 2 }

interface Case {
  readonly handlers: Readonly<Record<string, HandlerDefinition>>
  /** the task that waits, and has no callback of its own */
  readonly task: string
  /** what is put or, where it is null, removed; and whether tasks need what was there before */
  readonly changes: readonly (readonly [name: string, definition: HandlerDefinition | null, isNeeded: boolean])[]
}

const CASES: Readonly<Record<string, Case>> = {
  'the only one': {
    handlers: { 'a.*': CALLBACK },
    task: 'a.x',
    changes: [
      ['a.*', null, true],
      ['a.*', BARE, true],
      ['a.x', BARE, true],
      ['a.x*', BARE, true],
      ['a.x', { paused: true }, true],
      ['a.x', CALLBACK, false],
      ['a.x*', PULL, false],
      ['a.*', { pull: true, paused: true }, false],
      ['a.y', BARE, false],
      ['a.x.*', BARE, false],
      ['a.b*', BARE, false],
      ['*', BARE, false],
      ['a*', BARE, false],
    ],
  },
  'one with a broader one that serves': {
    handlers: { '*': CALLBACK, 'a.*': PULL },
    task: 'a.x',
    changes: [
      ['a.*', null, false],
      ['*', null, false],
      ['*', BARE, false],
      ['a.*', BARE, true],
      ['a.x', BARE, true],
      ['a*', BARE, false],
    ],
  },
  'one with a broader one that does not serve': {
    handlers: { '*': CALLBACK, 'a*': BARE, 'a.*': CALLBACK },
    task: 'a.x',
    changes: [
      ['a.*', null, true],
      ['a*', null, false],
      ['*', null, false],
    ],
  },
  'one of the very name, with a pattern that serves': {
    handlers: { 'a.*': CALLBACK, 'a.x': CALLBACK },
    task: 'a.x',
    changes: [
      ['a.x', null, false],
      ['a.x', BARE, true],
      ['a.*', null, false],
      ['a.x*', BARE, false],
    ],
  },
  'one of the very name, with a pattern that does not serve': {
    handlers: { 'a.*': BARE, 'a.x': CALLBACK },
    task: 'a.x',
    changes: [
      ['a.x', null, true],
      ['a.*', null, false],
    ],
  },
  'one that longer ones lie inside of': {
    handlers: { 'a.*': CALLBACK, 'a.**': CALLBACK, 'a.b*': CALLBACK },
    task: 'a.x',
    changes: [
      ['a.*', null, true],
      ['a.**', null, false],
      ['a.b*', BARE, false],
      ['a.*', BARE, true],
    ],
  },
  'one that comes where a longer one is': {
    handlers: { '*': CALLBACK, 'a.**': BARE },
    task: 'a.x',
    changes: [
      ['a.*', BARE, true],
      ['a.*', CALLBACK, false],
      ['a.***', BARE, false],
    ],
  },
  'one for whose longer names another one serves': {
    handlers: { '*': CALLBACK, 'a.b.*': CALLBACK },
    task: 'a.b.x',
    changes: [
      ['a.*', BARE, false],
      ['*', null, false],
      ['a.b.*', null, false],
      ['a.b.x', BARE, true],
    ],
  },
  'one in another script': {
    handlers: { '*': CALLBACK, '😀*': CALLBACK },
    task: '😀\u{10ffff}',
    changes: [
      ['😀*', BARE, true],
      ['😁*', BARE, false],
      ['\u{10ffff}*', BARE, false],
      ['😀\u{10ffff}', BARE, true],
    ],
  },
}

export default area('a need of a handler of many names', (test) => {
  for (const [title, { handlers, task, changes }] of Object.entries(CASES)) {
    for (const state of ['pending', 'retrying', 'running'] as const) {
      test(`is refused to go or to change where a ${state} task needs what it says: ${title}`, async ({ store, reopen }) => {
        let opened = store
        for (const [name, definition, isNeeded] of changes) {
          for (const [name, definition] of Object.entries(handlers)) await putHandler(opened, name, definition)
          await anEntryWithoutCallback(opened, task, state)
          const before = await everything(opened)
          const what = `${definition ? 'PUT' : 'DELETE'} ${name} ${JSON.stringify(definition)}`
          expect([what, await change(opened, name, definition, false)]).toEqual([what, isNeeded])
          if (isNeeded) expect(await everything(opened)).toEqual(before)
          opened = await reopen()
          if (isNeeded) expect(await change(opened, name, definition, true)).toBe(false)
          await clear(opened)
        }
      })
    }
  }

  test('is not needed by tasks that have ended or have a callback of their own, whatever their name', async ({ store }) => {
    await putHandler(store, 'a.*', CALLBACK)
    await anEntryWithoutCallback(store, 'a.x', 'running')
    await finish(store, (await listAll(store))[0] as Task, answered(404, DUE), DUE)
    await store.put([aTask({ name: 'a.y' }), aTask({ name: 'a.z' })], { now: DUE })
    expect(await change(store, 'a.y', BARE, false)).toBe(false)
    expect(await change(store, 'a.*', BARE, false)).toBe(false)
    expect(await change(store, 'a.*', null, false)).toBe(false)
  })

  test('and a longer one that takes its tasks: a task of the same moment is stored only where it can be called', async ({ store }) => {
    const outcomes = new Set<string>()
    for (let turn = 0; turn < 20; turn += 1) {
      await putHandler(store, 'a.*', CALLBACK)
      const putting = () => store.put([aTaskWithoutCallback({ name: 'a.x' })], { now: DUE })
      const handling = () => store.putHandler('a.x', BARE, { now: DUE, force: false })
      const [one, other] = await Promise.all(turn % 2 ? [putting(), handling()] : [handling(), putting()])
      outcomes.add(
        [one, other]
          .flat()
          .map((result) => (typeof result === 'string' ? result : result.status))
          .join(),
      )
      await clear(store)
    }
    expect(outcomes).toEqual(new Set(['created,needed', 'created,no_callback']))
  })

  test('is needed again by tasks that a longer one gives back', async ({ store }) => {
    await putHandler(store, 'a.*', CALLBACK)
    await putHandler(store, 'a.b.*', CALLBACK)
    for (const state of ['pending', 'running'] as const) await anEntryWithoutCallback(store, `a.b.${state}`, state)
    expect(await change(store, 'a.*', null, false)).toBe(false)
    await putHandler(store, 'a.*', PULL)
    expect(await change(store, 'a.b.*', null, false)).toBe(false)
    expect(await change(store, 'a.*', null, false)).toBe(true)
  })
})

/** @returns whether it is needed */
async function change(store: Store, name: string, definition: HandlerDefinition | null, force: boolean): Promise<boolean> {
  const result = definition ? await store.putHandler(name, definition, { now: DUE + 5, force }) : await store.removeHandler(name, { force })
  expect(result).not.toBe('unknown')
  return result === 'needed'
}

async function everything(store: Store): Promise<unknown> {
  return [await listAll(store), await store.listHandlers({ limit: 99 })]
}

async function clear(store: Store): Promise<void> {
  for (const task of await listAll(store, { states: ['running'] })) await finish(store, task, answered(200, DUE), DUE)
  await store.remove({}, { now: DUE, limit: 99 })
  for (const { name } of (await store.listHandlers({ limit: 99 })).handlers) await store.removeHandler(name, { force: false })
}

async function anEntryWithoutCallback(store: Store, name: string, state: 'pending' | 'retrying' | 'running'): Promise<void> {
  await store.put([aTaskWithoutCallback({ name })], { now: DUE - 1 })
  if (state === 'pending') return
  const handlers = await store.listHandlers({ limit: 99 })
  const [task] = await claimOf(
    store,
    handlers.handlers.filter(({ definition }) => definition.pull === true).map(({ name }) => name),
  )
  if (task === undefined) throw new Error(`${name} was not claimed`)
  if (state === 'retrying' && task.awaiting === 'worker') await failForWorker(store, task)
  else if (state === 'retrying') await finish(store, task, answered(503, DUE), DUE)
}

async function claimOf(store: Store, pulled: readonly string[]): Promise<Task[]> {
  const tasks = await claimAll(store)
  for (const name of pulled) {
    const result = await store.pull(name, { now: DUE, node: 'node-1', leaseUntil: DUE + 60_000, limit: 9 })
    if (result !== 'not_pulled') tasks.push(...result.tasks)
  }
  return tasks
}

async function failForWorker(store: Store, task: Task): Promise<void> {
  const ack = { key: task, attempt: task.attempts, status: 'failed', retryable: true, detail: null, now: DUE, random: 0 } as const
  expect(await store.acknowledge(ack)).toMatchObject({ status: 'acknowledged', task: { state: 'retrying' } })
}
