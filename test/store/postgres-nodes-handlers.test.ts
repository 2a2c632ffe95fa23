/** Handlers over several nodes: what one node is told holds for the others, and no task loses the callback that it needs. */
import { expect, test } from 'vitest'
import type { HandlerDefinition } from '../../src/domain/task/handler.ts'
import type { Store } from '../../src/store/store.ts'
import { aTask, aTaskWithoutCallback } from '../support/a-task.ts'
import { claimAll, DUE, expectCountsToAddUp, keysOf, LEASE_MS, mustGet, putHandler } from './contract/support/tasks.ts'
import { emptyDatabase, openNode, openNodes } from './support/postgres-nodes.ts'
import { openTransaction, untilBlocked } from './support/postgres-sessions.ts'

const CHANGE = { now: DUE - 9, force: false }
const WORKER = { now: DUE, node: 'node-1', leaseUntil: DUE + LEASE_MS, limit: 10 }
const SERVING: HandlerDefinition = { callback: 'http://handler.test/' }

test('a handler that one node stores, changes or removes holds for the next claim of another', async () => {
  const { nodes } = await openNodes()
  const [one, other, third] = nodes
  await one.put([aTask(), aTask({ name: 'b' })], { now: DUE - 9 })
  for (const round of [1, 2]) {
    await putHandler(one, 'a-*', { paused: true })
    await other.put([aTask({ name: `b-${round}` })], { now: DUE - 9 })
    expect((await claimAll(other)).map(({ name }) => name)).toEqual(round === 1 ? ['b', 'b-1'] : ['b-2'])
    await putHandler(third, 'a-task', { concurrency: 1, paused: true })
    expect(await claimAll(one)).toEqual([])
    expect(await third.removeHandler('a-task', { force: false })).toBe('removed')
    expect(await claimAll(other)).toEqual([])
    if (round === 1) expect(await other.removeHandler('a-*', { force: false })).toBe('removed')
    else await putHandler(other, 'a-*', {})
    const again = round === 1 ? one : third
    expect((await claimAll(again)).map(({ name }) => name)).toEqual(['a-task'])
    await again.rescue({ now: DUE + LEASE_MS, limit: 10 })
    await one.put([aTask()], { now: DUE - 9 })
  }
})

test('a handler that one node stores, changes or removes holds for the next pull, put and get of another', async () => {
  const { nodes } = await openNodes()
  const [one, other, third] = nodes
  const put = (store: Store) => store.put([aTaskWithoutCallback()], { now: DUE - 9 })
  expect(await put(other)).toEqual([{ status: 'no_callback' }])
  await putHandler(one, 'a-*', SERVING)
  expect(await put(other)).toMatchObject([{ status: 'created', task: { definition: SERVING } }])
  const moved = { callback: 'http://moved.test/' }
  await putHandler(one, 'a-*', moved)
  expect(await mustGet(other, aTask())).toMatchObject({ definition: moved })
  expect(await other.pull('a-*', WORKER)).toBe('not_pulled')
  await putHandler(third, 'a-*', { pull: true })
  expect(await claimAll(one)).toEqual([])
  expect(await other.pull('a-*', WORKER)).toMatchObject({ tasks: [{ name: 'a-task' }] })
  expect(await one.removeHandler('a-*', { force: true })).toBe('removed')
  expect(await other.pull('a-*', WORKER)).toBe('not_pulled')
  expect(await put(third)).toEqual([{ status: 'no_callback' }])
})

/** What takes the callback away from tasks named `a-…`, and what was there before and is put back. */
const TAKING_AWAY: [string, Record<string, HandlerDefinition>, (store: Store) => Promise<unknown>][] = [
  ['is removed', { 'a-task': SERVING }, (store) => store.removeHandler('a-task', { force: false })],
  ['of many names is removed', { 'a-*': SERVING }, (store) => store.removeHandler('a-*', { force: false })],
  ['loses its callback', { 'a-task': SERVING }, (store) => store.putHandler('a-task', {}, CHANGE)],
  ['is hidden by one of its very name', { 'a-*': SERVING }, (store) => store.putHandler('a-task', {}, CHANGE)],
  ['is hidden by one of fewer names', { 'a-*': SERVING }, (store) => store.putHandler('a-t*', { concurrency: 1 }, CHANGE)],
  [
    'is removed and uncovers one without a callback',
    { 'a-*': {}, 'a-t*': SERVING },
    (store) => store.removeHandler('a-t*', { force: false }),
  ],
]

test.each(TAKING_AWAY)(
  'a handler that %s while other nodes store tasks that need it leaves none without a callback',
  async (_, handlers, takeAway) => {
    const { nodes, database } = await openNodes()
    const [changer, ...writers] = nodes
    for (let round = 0; round < 25; round += 1) {
      for (const [name, definition] of Object.entries(handlers)) await changer.putHandler(name, definition, CHANGE)
      const tasks = ['a-task', `a-task-${round}`].map((name) => aTaskWithoutCallback({ name }))
      const [change, ...puts] = await Promise.all([takeAway(changer), ...writers.map((store) => store.put(tasks, { now: DUE - 9 }))])
      const stored = (await database.query('SELECT name FROM callme.tasks')).map(({ name }) => String(name))
      for (const name of stored) expect((await mustGet(changer, aTask({ name }))).definition, `round ${round}`).toMatchObject(SERVING)
      // Each of them was stored by one node, and was there for the other.
      expect(puts.flat().filter(({ status }) => status === 'created')).toHaveLength(stored.length)
      expect(change === 'needed').toBe(stored.includes('a-task'))
      await changer.remove({}, { now: DUE, limit: 100 })
      for (const { name } of (await changer.listHandlers({ limit: 10 })).handlers) await changer.removeHandler(name, { force: true })
    }
  },
)

test('the rows of a handler that a node was going through when it was closed another one puts where they belong', async () => {
  const database = await emptyDatabase()
  const [closing, staying] = [await openNode(database.url), await openNode(database.url)]
  const names = Array.from({ length: 3500 }, (_, n) => `ab${String(n).padStart(4, '0')}`)
  await closing.put(
    names.map((name) => aTask({ name })),
    { now: DUE - 9 },
  )
  // The walk comes as far as this row.
  await using holder = await openTransaction(database.url, `SELECT 1 FROM callme.tasks WHERE name = 'ab1500' FOR UPDATE`)
  const putting = closing.putHandler('ab*', { paused: true }, CHANGE)
  await untilBlocked(database, '(t.name, t.trigger_at) > (')
  const closed = closing.close()
  await holder.commit()
  await Promise.allSettled([putting, closed])
  const lanes = 'SELECT lane, count(*)::int AS n FROM callme.tasks GROUP BY lane ORDER BY n'
  expect(await database.query(lanes)).toEqual([
    { lane: 'receiver.test', n: 1500 },
    { lane: 'ab*@receiver.test', n: 2000 },
  ])
  await staying.tidy()
  expect(await database.query(lanes)).toEqual([{ lane: 'ab*@receiver.test', n: 3500 }])
  expect(await database.query('SELECT * FROM callme.handler_walks')).toEqual([])
  expect(await claimAll(staying)).toEqual([])
  await putHandler(staying, 'ab*', {})
  expect(keysOf(await claimAll(staying))).toHaveLength(3500)
  await expectCountsToAddUp(staying)
})
