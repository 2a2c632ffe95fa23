/** Retention over days that are partitions: what is dropped as a whole, what moves, what stays, and what is counted. */
import { expect, test } from 'vitest'
import { TASK_STATES } from '../../src/domain/task/task.ts'
import type { Store } from '../../src/store/store.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { aTask, MINUTE } from '../support/a-task.ts'
import { anEntry, claimAll, DUE, expectCountsToAddUp, finishAll, keyOf, listAll, mustGet } from './contract/support/tasks.ts'
import { emptyDatabase, openNode, openNodes } from './support/postgres-nodes.ts'
import { openTransaction, untilBlocked } from './support/postgres-sessions.ts'

const DAY_S = 86_400
const DAY_MS = DAY_S * 1000
const MUCH = 10_001
/** The day of the real clock, for which a store makes partitions when it is opened. */
const TODAY = Math.floor(Date.now() / DAY_MS)
/** When everything that was filled in is old, and later. */
const OLD = (TODAY + 2) * DAY_MS
const LATER = OLD + DAY_MS
const ALL = { before: OLD, limit: 1000 }

const daysOf = async ({ query }: TestDatabase, table: 'finished' | 'attempts'): Promise<number[]> => {
  const rows = await query(`SELECT relname::text FROM pg_class WHERE relname ~ '^${table}_day_[0-9]+$' ORDER BY 1`)
  return rows.map(({ relname }) => Number(String(relname).split('_').at(-1)) - TODAY)
}
const countOf = async ({ query }: TestDatabase, from: string): Promise<number> => {
  const [row] = await query(`SELECT count(*)::int AS n FROM ${from}`)
  return Number(row?.['n'])
}

/** So many entries of a day that have ended, two thirds of them well, each with an attempt; a node has told their counts. */
async function fill(database: TestDatabase, count: number, { day = TODAY, name = 'n', updated = OLD - 1 } = {}): Promise<void> {
  await database.query(`
    INSERT INTO callme.finished (id, name, trigger_at, state, lane, due_at, deadline, run_id, attempts, lost, in_advance, created, updated, definition)
    SELECT 0, '${name}' || n, ${day * DAY_S} + n % 1440 * 60, CASE n % 3 WHEN 0 THEN 'failed' ELSE 'successful' END, 'receiver.test', 0, 0, 'run-' || n,
      1, 0, 0, 0, ${updated}, '{"callback":"http://receiver.test/run"}' FROM generate_series(1, ${count}) n`)
  await database.query(`
    INSERT INTO callme.attempts (name, trigger_at, run_id, number, started_at, duration_ms, node)
    SELECT name, trigger_at, run_id, 1, 0, 0, 'old-node' FROM callme.finished WHERE name LIKE '${name}%' AND trigger_at / ${DAY_S} = ${day}`)
  const failed = Math.floor(count / 3)
  await database.query(`
    WITH stream AS (INSERT INTO callme.streams DEFAULT VALUES RETURNING id)
    INSERT INTO callme.commits (stream, seq, told, ${TASK_STATES.join(', ')}) SELECT id, 1, 0, 0, 0, 0, ${count - failed}, ${failed}, 0 FROM stream`)
}

const keyOfDay = (n: number, name = 'n', day = TODAY) => ({ name: `${name}${n}`, triggerAt: day * DAY_S + (n % 1440) * 60 })

test('today and the days ahead have partitions from the first opening on, which many nodes make once', async () => {
  const database = await emptyDatabase()
  await Promise.all(Array.from({ length: 4 }, () => openNode(database.url)))
  for (const table of ['finished', 'attempts'] as const) expect(await daysOf(database, table)).toEqual([0, 1, 2, 3])
})

test('what ends is kept in the partition of the day of its minute, or with all the others where that has none', async () => {
  const { nodes, database } = await openNodes()
  const minutes = {
    today: TODAY * DAY_S,
    tomorrow: (TODAY + 2) * DAY_S - 60,
    'long-ago': (TODAY - 30) * DAY_S,
    far: MINUTE + 100 * 365 * DAY_S,
  }
  const tasks = Object.entries(minutes).map(([name, triggerAt]) => aTask({ name, triggerAt, dueAt: DUE, deadline: DUE * 2 }))
  await nodes[0].put(tasks, { now: DUE - 1 })
  await finishAll(nodes[1], await claimAll(nodes[1]), DUE)
  for (const table of ['finished', 'attempts']) {
    const rows = await database.query(`SELECT name, tableoid::regclass::text AS place FROM callme.${table} ORDER BY trigger_at`)
    expect(rows).toEqual([
      { name: 'long-ago', place: `callme.${table}_other` },
      { name: 'today', place: `callme.${table}_day_${TODAY}` },
      { name: 'tomorrow', place: `callme.${table}_day_${TODAY + 1}` },
      { name: 'far', place: `callme.${table}_other` },
    ])
  }
})

test('a day of which all is old goes as a whole, attempts and counts with it, and no other one', async () => {
  const { nodes, database } = await openNodes()
  await fill(database, 3000)
  await fill(database, 30, { day: TODAY + 1, updated: LATER })
  expect(await nodes[0].counts()).toMatchObject({ successful: 2020, failed: 1010 })
  expect(await nodes[0].prune({ before: OLD - DAY_MS - 1, limit: 10 })).toBe(0)
  // One day at a time, where it has more than was asked for.
  expect(await nodes[1].prune({ before: OLD, limit: 10 })).toBe(3000)
  for (const table of ['finished', 'attempts'] as const) expect(await daysOf(database, table)).toEqual([1, 2, 3])
  expect(await countOf(database, 'callme.finished')).toBe(30)
  expect(await countOf(database, 'callme.attempts')).toBe(30)
  for (const store of nodes) expect(await store.counts()).toMatchObject({ successful: 20, failed: 10 })
  for (const store of nodes) await expectCountsToAddUp(store)
})

test('what somebody has touched later moves out of a day that goes, with its attempts, and so do attempts of what waits again', async () => {
  const { nodes, database } = await openNodes()
  const [store, other] = nodes
  await fill(database, 300)
  const [rerun, copied, running] = [keyOfDay(1), keyOfDay(3), keyOfDay(6)]
  await store.run(rerun, { now: LATER })
  const request = { selection: { name: copied.name }, all: false, triggerAt: LATER / 1000, now: LATER, dryRun: false, limit: 10 }
  expect((await other.reschedule(request)).tasks).toHaveLength(1)
  await other.run(running, { now: LATER - 5 })
  const [claimed] = await claimAll(other, LATER - 5)
  expect(claimed).toMatchObject(running)
  const before = await Promise.all([rerun, copied, running].flatMap((key) => [mustGet(store, key), store.history(key)]))
  expect(before[1]).toHaveLength(1)
  expect(await store.prune(ALL)).toBe(297)
  expect(await daysOf(database, 'finished')).toEqual([2, 3])
  expect(await Promise.all([rerun, copied, running].flatMap((key) => [mustGet(other, key), other.history(key)]))).toEqual(before)
  expect(await countOf(database, 'callme.attempts')).toBe(3)
  expect((await listAll(store)).map(keyOf)).toHaveLength(4)
  // They end, and are old in their turn.
  await finishAll(store, [...(claimed ? [claimed] : []), ...(await claimAll(store, LATER))], LATER + 9)
  for (const opened of nodes) await expectCountsToAddUp(opened)
  expect(await other.prune({ before: LATER + 10, limit: 10 })).toBe(4)
  expect(await countOf(database, 'callme.attempts')).toBe(0)
  for (const opened of nodes) await expectCountsToAddUp(opened)
})

test('of the days that are not over, the one with much is left until it is, and few are removed row by row', async () => {
  const database = await emptyDatabase()
  const store = await openNode(database.url)
  await fill(database, MUCH)
  await fill(database, 40, { day: TODAY + 1 })
  await fill(database, 7, { day: TODAY - 40 })
  await anEntry(store, 'pending')
  const early = { before: TODAY * DAY_MS + 1000, limit: 30 }
  await database.query(`UPDATE callme.finished SET updated = 1`)
  expect(await store.prune(early)).toBe(30)
  expect(await store.prune(early)).toBe(17)
  expect(await store.prune(early)).toBe(0)
  expect(await daysOf(database, 'finished')).toEqual([0, 1, 2, 3])
  for (const table of ['finished', 'attempts']) expect(await countOf(database, `callme.${table}`)).toBe(MUCH)
  expect(await store.counts()).toMatchObject({ successful: MUCH - Math.floor(MUCH / 3), failed: Math.floor(MUCH / 3), pending: 1 })
  expect(await store.prune({ ...ALL, before: OLD - DAY_MS })).toBe(MUCH)
  expect(await store.counts()).toMatchObject({ successful: 0, failed: 0, pending: 1 })
  await expectCountsToAddUp(store)
})

test('a day of which more is young than can be moved stays as it is', async () => {
  const database = await emptyDatabase()
  const store = await openNode(database.url)
  await fill(database, 1001, { updated: LATER })
  await fill(database, 100, { name: 'old' })
  expect(await store.prune(ALL)).toBe(100)
  expect(await daysOf(database, 'finished')).toEqual([0, 2, 3])
  expect(await countOf(database, 'callme.finished')).toBe(1001)
  await expectCountsToAddUp(store)
})

test('a day that somebody reads is not waited for, and goes another time', async () => {
  const database = await emptyDatabase()
  const store = await openNode(database.url)
  await fill(database, MUCH)
  {
    await using reader = await openTransaction(database.url, `SELECT count(*) FROM callme.finished_day_${TODAY}`)
    expect(await store.prune(ALL)).toBe(0)
    expect(await store.put([aTask()], { now: DUE })).toMatchObject([{ status: 'created' }])
    expect(await countOf(database, 'callme.finished')).toBe(MUCH)
    await reader.commit()
  }
  expect(await store.prune(ALL)).toBe(MUCH)
  await expectCountsToAddUp(store)
})

test('what another node has just written into a day that goes is kept', async () => {
  const database = await emptyDatabase()
  const store = await openNode(database.url)
  await fill(database, 300)
  await using writer = await openTransaction(database.url, `UPDATE callme.finished SET updated = ${LATER} WHERE name = 'n7'`)
  const pruning = store.prune(ALL)
  await untilBlocked(database, `_day_${TODAY}`)
  await writer.commit()
  const dropped = await pruning
  // Where it could not wait any longer it goes another time.
  expect([dropped, await store.prune(ALL)]).toEqual(dropped === 0 ? [0, 299] : [299, 0])
  expect((await listAll(store)).map(({ name }) => name)).toEqual(['n7'])
  expect(await store.history(keyOfDay(7))).toHaveLength(1)
})

test('what another node is about to touch is not removed row by row', async () => {
  const database = await emptyDatabase()
  const store = await openNode(database.url)
  await fill(database, 3, { updated: 1 })
  await using writer = await openTransaction(database.url, `UPDATE callme.finished SET updated = ${LATER} WHERE name = 'n1'`)
  const pruning = store.prune({ before: 2, limit: 10 })
  await Promise.race([pruning, untilBlocked(database, 'DELETE')])
  await writer.commit()
  expect(await pruning).toBe(2)
  expect((await listAll(store)).map(({ name }) => name)).toEqual(['n1'])
  expect(await store.history(keyOfDay(1))).toHaveLength(1)
  await expectCountsToAddUp(store)
})

test('nodes that prune at the same time remove everything once', async () => {
  const { nodes, database } = await openNodes()
  for (const day of [TODAY, TODAY + 1, TODAY - 40]) await fill(database, 100, { day })
  for (let round = 0, all = 0; all < 300; round += 1) {
    const removed = await Promise.all(nodes.map((store: Store) => store.prune({ before: LATER, limit: 40 })))
    all += removed.reduce((a, b) => a + b)
    expect(all).toBe(300 - (await countOf(database, 'callme.finished')))
    expect(round).toBeLessThan(20)
  }
  for (const store of nodes) await expectCountsToAddUp(store)
})
