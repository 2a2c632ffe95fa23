/** A database that goes away and comes back: what was answered is there, and what could not be done says so. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { reportOf } from '../../src/domain/attempt/attempt-report.ts'
import { openPostgresStore } from '../../src/store/postgres/open-postgres-store.ts'
import { aTask, MINUTE } from '../support/a-task.ts'
import { startPostgresServer } from '../support/postgres-server.ts'
import type { PostgresServer } from '../support/postgres-server.ts'
import { startPostgresProxy } from '../support/postgres-proxy.ts'
import {
  aClaim,
  answered,
  claimAll,
  claimOne,
  DUE,
  expectCountsToAddUp,
  finish,
  keysOf,
  LEASE_MS,
  listAll,
  NODE,
} from './contract/support/tasks.ts'
import { emptyDatabase, openNode, openNodes } from './support/postgres-nodes.ts'
import { openTransaction, untilBlocked } from './support/postgres-sessions.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgresServer()
})

afterAll(() => server[Symbol.asyncDispose]())

const put = (name: string) => [[aTask({ name })], { now: DUE - 9 }] as const

test('connections that are cut while nobody uses them are replaced, and nobody notices', async () => {
  const database = await emptyDatabase()
  const proxy = await startPostgresProxy(database.url)
  onTestFinished(() => proxy.close())
  const store = await openNode(proxy.url)
  for (let round = 0; round < 10; round += 1) {
    const names = Array.from({ length: 5 }, (_, n) => `n${round}-${n}`)
    const [puts] = await Promise.all([
      store.put(...([names.map((name) => aTask({ name })), { now: DUE - 9 }] as const)),
      listAll(store),
      store.counts(),
    ])
    expect(puts.map(({ status }) => status)).toEqual(names.map(() => 'created'))
    expect(proxy.breakAll()).toBeGreaterThan(1)
    expect(await store.get(aTask({ name: `n${round}-0` }))).toBeDefined()
    expect(keysOf(await claimAll(store))).toEqual(names.map((name) => `${name}@${MINUTE}`))
  }
})

test('a server that is stopped has every read and write refused in the end, and everything goes on once it is back', async () => {
  const database = await emptyDatabase(server.url)
  const waiting = await openNode(database.url)
  // Its scheduler does not wait longer than its clients do.
  const stopping = await openPostgresStore(database.url, { stopping: AbortSignal.abort() })
  onTestFinished(() => stopping.close())
  const claimed = await claimOne(waiting, aTask({ name: 'claimed', host: 'claimed' }))
  await waiting.put(...put('before'))
  const before = await listAll(waiting)
  await server.stop()

  const outcome = reportOf(claimed, answered(200, DUE + 9), NODE, DUE + 9, 0)
  // Those of the scheduler wait for the database, for nobody else has what they know.
  const patient = Promise.all([waiting.record([outcome]), waiting.claimDue(aClaim({ hosts: new Map(), capacityOfNewHost: 1 }))])
  const key = { name: 'before', triggerAt: MINUTE }
  const ack = { key, attempt: 1, status: 'successful', retryable: true, detail: null, now: DUE, random: 0 } as const
  const request = { selection: {}, all: true, triggerAt: MINUTE + 600, now: DUE, dryRun: false, limit: 10 }
  const refused = await Promise.allSettled([
    waiting.put(...put('meanwhile')),
    waiting.run(key, { now: DUE }),
    waiting.remove({}, { now: DUE, limit: 10 }),
    waiting.reschedule(request),
    waiting.reschedule({ ...request, dryRun: true }),
    waiting.prune({ before: DUE, limit: 10 }),
    waiting.putHandler('a', {}, { now: DUE, force: true }),
    waiting.removeHandler('a', { force: true }),
    ...[
      waiting.get(key),
      waiting.history(key),
      waiting.list({}, { limit: 9 }),
      waiting.getHandler('a'),
      waiting.listHandlers({ limit: 9 }),
    ],
    ...[waiting.counts(), waiting.changes({ after: 0, limit: 9 }), waiting.time(), waiting.tidy(), waiting.expire({ now: DUE, limit: 9 })],
    stopping.claimDue(aClaim()),
    stopping.record([outcome]),
    stopping.renew([claimed], { leaseUntil: DUE }),
    stopping.rescue({ now: DUE, limit: 10 }),
    stopping.acknowledge(ack),
    stopping.pull('a', { now: DUE, node: NODE, leaseUntil: DUE, limit: 1 }),
    openPostgresStore(database.url),
  ])
  const message = expect.stringContaining('the store') as string
  for (const result of refused) expect(result).toMatchObject({ status: 'rejected', reason: { code: 'store_unavailable', message } })

  await server.start()
  const [written, { tasks }] = await patient
  expect([written, keysOf(tasks)]).toEqual([[true], keysOf([key])])
  expect(keysOf(await listAll(stopping))).toEqual(keysOf(before))
  for (const store of [waiting, stopping]) {
    expect(await store.put(...put('after'))).toMatchObject([{ status: store === waiting ? 'created' : 'replaced' }])
    await expectCountsToAddUp(store)
  }
  expect(await finish(stopping, claimed, answered(200, DUE + 9), DUE + 9)).toBe(false)
})

test('a server that is killed in the middle of many writes has lost none that was answered', async () => {
  const database = await emptyDatabase(server.url)
  const [one, other] = [await openNode(database.url), await openNode(database.url)]
  const acknowledged: string[] = []
  // A server that takes long to recover has writes refused. Nobody knows whether these are stored.
  const refused = new Set<string>()
  const outcomes = new Set<string>()
  const enough = Promise.withResolvers<unknown>()
  const over = new AbortController()
  const write = async (_: unknown, writer: number) => {
    for (let n = 0; !over.signal.aborted; n += 1) {
      const name = `w${writer}-${n}`
      try {
        const [result] = await (writer % 2 === 0 ? one : other).put(...put(name))
        outcomes.add(result?.status ?? '')
        acknowledged.push(name)
        if (acknowledged.length % 300 === 0) enough.resolve(name)
      } catch (error) {
        expect(error).toMatchObject({ code: 'store_unavailable' })
        refused.add(name)
      }
    }
  }
  const writing = Array.from({ length: 20 }, write)
  await enough.promise
  await server.kill()
  await server.start()
  const atStart = acknowledged.length
  while (acknowledged.length < atStart + 100) await one.time()
  over.abort()
  await Promise.all(writing)
  const stored = new Set((await database.query('SELECT name FROM callme.tasks')).map(({ name }) => name))
  expect(acknowledged.filter((name) => !stored.has(name))).toEqual([])
  const known = new Set<unknown>([...acknowledged, ...refused])
  expect([...stored].filter((name) => !known.has(name))).toEqual([])
  expect([...outcomes]).toEqual(['created'])
  for (const store of [one, other]) await expectCountsToAddUp(store)
})

test('a write that the database refuses leaves those beside it as they are', async () => {
  const { nodes } = await openNodes()
  const tasks = [aTask({ name: 'one' }), aTask({ name: 'half a minute', triggerAt: MINUTE + 30 }), aTask({ name: 'two' })]
  const results = await Promise.allSettled(tasks.map((task) => nodes[0].put([task], { now: DUE })))
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(keysOf(await listAll(nodes[1]))).toEqual([`one@${MINUTE}`, `two@${MINUTE}`])
  for (const store of nodes) await expectCountsToAddUp(store)
})

test('a session that falls silent with a row locked holds up who needs that row, and nobody else', async () => {
  const { nodes, database } = await openNodes()
  const [held, other] = nodes
  const names = ['a-task', 'b', 'c']
  await held.put(
    names.map((name) => aTask({ name })),
    { now: DUE - 9 },
  )
  const silent = `SET LOCAL idle_in_transaction_session_timeout = '2s'; SELECT 1 FROM callme.tasks WHERE name = 'a-task' FOR UPDATE`
  await using session = await openTransaction(database.url, silent)
  const replacing = held.put([aTask(), aTask({ name: 'd' })], { now: DUE - 8 })
  await untilBlocked(database, 'callme.tasks')
  expect(keysOf(await claimAll(other))).toEqual(keysOf([aTask({ name: 'b' }), aTask({ name: 'c' })]))
  expect(keysOf(await claimAll(held))).toEqual([])
  expect(await other.put(...put('e'))).toMatchObject([{ status: 'created' }])
  expect(await held.get(aTask())).toMatchObject({ state: 'pending', updated: DUE - 9 })
  expect(await replacing).toMatchObject([{ status: 'replaced' }, { status: 'created' }])
  await expect(session.query('SELECT 1')).rejects.toThrow()
  const late = await claimAll(other, DUE + LEASE_MS)
  expect(keysOf(late).sort()).toEqual(['a-task', 'd', 'e'].map((name) => `${name}@${MINUTE}`))
  for (const store of nodes) await expectCountsToAddUp(store)
})
