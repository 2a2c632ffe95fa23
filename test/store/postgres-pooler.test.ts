/** A pooler that gives each transaction another session may stand between a node and its database: a session keeps nothing. */
import { expect, onTestFinished, test } from 'vitest'
import type { Task } from '../../src/domain/task/task.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../support/a-task.ts'
import { startPostgresProxy } from '../support/postgres-proxy.ts'
import { ackOf } from './contract/acknowledge.ts'
import { changesSince } from './contract/changes.ts'
import {
  claimAll,
  claimOne,
  DUE,
  expectCountsToAddUp,
  expireAll,
  finishAll,
  LEASE_MS,
  mustGet,
  putHandler,
  rescheduleAll,
} from './contract/support/tasks.ts'
import { aRepeating } from './contract/series.ts'
import { emptyDatabase, openNode } from './support/postgres-nodes.ts'

/** What a session keeps beyond the end of a transaction, or is told outside of it. */
const OF_A_SESSION =
  /(^|;)\s*(SET\s+(?!LOCAL\s)|RESET|LISTEN|UNLISTEN|NOTIFY|PREPARE|DEALLOCATE|DISCARD|LOAD)\b|advisory(?!_xact_lock\b)|\bset_config\b|\bTEMP(ORARY)?\b|\bWITH HOLD\b|\bcurrval\b|\blastval\b/i

test('no statement of a node that may not prepare leaves anything behind in its session', async () => {
  const database = await emptyDatabase()
  const proxy = await startPostgresProxy(database.url)
  onTestFinished(() => proxy.close())
  const store = await openNode(`${proxy.url}?prepare=false`)
  await store.announce('node#1')
  const later = { selection: {}, all: true, triggerAt: MINUTE + 600, now: DUE + 9, dryRun: false, limit: 10 }

  await putHandler(store, 'a-*', { concurrency: 2, rate: 9, callback: 'http://handler.test/' })
  await store.put([aTask(), aTask(), aTask({ name: 'b', definition: { retry: 1, error_callback: 'http://alarm.test/' } }), aRepeating()], {
    now: DUE - 9,
  })
  await store.put([aTask(), aTaskWithoutCallback({ name: 'a-2' })], { now: DUE - 8, ifAbsent: true })
  const claimed = await claimAll(store)
  await store.renew(claimed, { leaseUntil: DUE + LEASE_MS })
  await finishAll(store, claimed.slice(0, 1), DUE + 5)
  await finishAll(store, claimed.slice(1), DUE + 5, 404)
  await putHandler(store, 'pulled', { pull: true })
  await store.put([aTaskWithoutCallback({ name: 'pulled' })], { now: DUE - 9 })
  await store.pull('pulled', { now: DUE, node: 'node-1', leaseUntil: DUE + LEASE_MS, limit: 9 })
  const pulled: Task = await mustGet(store, { name: 'pulled', triggerAt: MINUTE })
  for (const status of ['running', 'successful'] as const) await store.acknowledge(ackOf(pulled, { status }))
  await store.run(claimed[0] ?? pulled, { now: DUE + 6 })
  await claimOne(store, aTask({ name: 'lost' }))
  await store.rescue({ now: DUE, onlyNode: 'node#1', nodeName: 'node', limit: 9 })
  await store.rescue({ now: DUE + LEASE_MS, limit: 9 })
  await store.reschedule({ ...later, dryRun: true })
  await rescheduleAll(store, later)
  await expireAll(store, DUE + 9 * 3_600_000)
  await store.history(pulled)
  await store.removeHandler('a-*', { force: true })
  await store.remove({ name: 'b' }, { now: DUE, limit: 9, continueSeries: true })
  await store.prune({ before: DUE * 2, limit: 1000 })
  await store.tidy()
  await store.time()
  await changesSince(store)
  await expectCountsToAddUp(store)
  expect(await store.listHandlers({ limit: 9 })).toMatchObject({ handlers: [{ name: 'pulled' }] })

  const texts = new Set(proxy.statements.map(({ text }) => text.trim()))
  expect(texts.size).toBeGreaterThan(60)
  expect([...texts].filter((text) => OF_A_SESSION.test(text))).toEqual([])
  expect(proxy.statements.filter(({ keptAs }) => keptAs !== '')).toEqual([])
})

test('a session keeps statements with parameters, and each text under one name', async () => {
  const database = await emptyDatabase()
  const proxy = await startPostgresProxy(database.url)
  onTestFinished(() => proxy.close())
  const store = await openNode(proxy.url)
  for (const name of ['a', 'b', 'c']) await store.put([aTask({ name })], { now: DUE - 9 })
  const inserts = proxy.statements.filter(({ text, keptAs }) => keptAs !== '' && text.includes('INSERT INTO callme.tasks'))
  expect(inserts).toHaveLength(3)
  expect(new Set(inserts.map(({ keptAs }) => keptAs)).size).toBe(1)
  expect(proxy.statements.filter(({ text, keptAs }) => keptAs !== '' && OF_A_SESSION.test(text))).toEqual([])
})
