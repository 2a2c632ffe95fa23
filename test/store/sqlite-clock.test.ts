import { join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import type { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { aTask, MINUTE } from '../support/a-task.ts'
import { aClaim, claimAll, DUE, putHandler } from './contract/support/tasks.ts'
import { tempFolder } from './support/temp-folder.ts'

const HOUR_MS = 3_600_000
const NEVER = Number.MAX_SAFE_INTEGER
const DRY_RUN = { selection: {}, all: true, triggerAt: MINUTE + 600, now: DUE, dryRun: true, limit: 10 }

/** A store with a lane that is closed because its handler is paused, and a look at what the lane is closed until. */
async function openWithClosedLane(): Promise<{ store: SqliteStore; closedUntil: () => unknown }> {
  const path = join(tempFolder(), 'callme.db')
  const store = openSqliteStore(path)
  const reader = new SqliteDatabase(path, { readonly: true })
  onTestFinished(async () => {
    reader.close()
    await store.close()
  })
  await putHandler(store, 'held', { paused: true })
  await store.put([aTask({ name: 'held' })], { now: DUE - 9 })
  for (let turn = 0; turn < 2; turn += 1) expect(await claimAll(store)).toEqual([])
  const lane = reader.prepare(`SELECT next_due FROM lanes WHERE lane LIKE 'held@%'`).pluck()
  const closedUntil = () => lane.get()
  expect(closedUntil()).toBe(NEVER)
  return { store, closedUntil }
}

/** A claim that looks at no lane, and so closes none again. */
function passTime(store: SqliteStore, now: number): Promise<unknown> {
  return store.claimDue(aClaim({ now, limit: 0 }))
}

test('small corrections of the clock open no closed lane, and together they do once they are a second', async () => {
  const { store, closedUntil } = await openWithClosedLane()
  for (const back of [1, 900, 1000, 0, 700, 1000]) {
    await passTime(store, DUE - back)
    expect(closedUntil()).toBe(NEVER)
  }
  await passTime(store, DUE - 1001)
  expect(closedUntil()).toBe(0)
})

test('a clock that goes forward opens no closed lane, and one that comes back from there does', async () => {
  const { store, closedUntil } = await openWithClosedLane()
  await passTime(store, DUE + HOUR_MS)
  expect(closedUntil()).toBe(NEVER)
  await passTime(store, DUE)
  expect(closedUntil()).toBe(0)
})

test('a clock that is set back by an hour opens closed lanes once', async () => {
  const { store, closedUntil } = await openWithClosedLane()
  await passTime(store, DUE - HOUR_MS)
  expect(closedUntil()).toBe(0)
  expect(await claimAll(store)).toEqual([])
  expect(closedUntil()).toBe(NEVER)
  await passTime(store, DUE)
  expect(closedUntil()).toBe(NEVER)
})

test('a dry run, which undoes what it wrote, opens no closed lane', async () => {
  const { store, closedUntil } = await openWithClosedLane()
  await store.reschedule(DRY_RUN)
  await passTime(store, DUE)
  expect(closedUntil()).toBe(NEVER)
  await Promise.all([store.reschedule(DRY_RUN), passTime(store, DUE), store.reschedule(DRY_RUN)])
  expect(closedUntil()).toBe(NEVER)
})

test.each([
  ['one claim', 1],
  ['two claims', 2],
])('%s with a clock that was set back, in the moment of a dry run, opens closed lanes all the same', async (_, claims) => {
  const { store, closedUntil } = await openWithClosedLane()
  const claiming = Array.from({ length: claims }, () => passTime(store, DUE - HOUR_MS))
  await Promise.all([...claiming, store.reschedule(DRY_RUN)])
  expect(closedUntil()).toBe(0)
})

test('a store that was opened again opens closed lanes, for nobody knows how the clock went meanwhile', async () => {
  const path = join(tempFolder(), 'callme.db')
  const store = openSqliteStore(path)
  await putHandler(store, 'held', { paused: true })
  await store.put([aTask({ name: 'held' })], { now: DUE - 9 })
  await claimAll(store)
  await store.close()
  const reopened = openSqliteStore(path)
  await passTime(reopened, DUE)
  await reopened.close()
  const reader = new SqliteDatabase(path, { readonly: true })
  expect(reader.prepare(`SELECT next_due FROM lanes WHERE lane LIKE 'held@%'`).pluck().get()).toBe(0)
  reader.close()
})
