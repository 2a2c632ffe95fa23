import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import SqliteDatabase from 'better-sqlite3'
import { afterEach, expect, test, vi } from 'vitest'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import { aTask, aTaskWithoutCallback } from '../support/a-task.ts'
import { DUE, listAll, putHandler } from './contract/support/tasks.ts'
import { tempFolder } from './support/temp-folder.ts'

const COUNT = 20_000
const CALLBACK = { callback: 'http://handler.test/run' }
const CHANGE = { now: DUE, force: false }

/** Which walks are not over, and how many rows are where the new handler has them. */
function lookAt(path: string): { walks: { name: string; after_name: string }[]; moved: number } {
  const reader = new SqliteDatabase(path, { readonly: true })
  const walks = reader.prepare('SELECT name, after_name FROM handler_walks').all() as { name: string; after_name: string }[]
  const moved = reader.prepare(`SELECT count(*) FROM tasks WHERE lane LIKE 'n*@%'`).pluck().get() as number
  reader.close()
  return { walks, moved }
}

afterEach(() => {
  vi.restoreAllMocks()
})

test('a store that is closed does not wait until thousands of rows are where a new handler has them; the next one goes on', async () => {
  const path = join(tempFolder(), 'callme.db')
  const store = openSqliteStore(path)
  await store.put(
    Array.from({ length: COUNT }, (_, n) => aTask({ name: `n${String(n).padStart(5, '0')}` })),
    { now: DUE - 9 },
  )
  const putting = store.putHandler('n*', {}, CHANGE)
  for (let turn = 0; turn < 10; turn += 1) await setImmediate()
  const [, result] = await Promise.all([store.close(), putting])
  expect(result).toMatchObject({ status: 'created' })
  const left = lookAt(path)
  expect(left.walks).toEqual([{ name: 'n*', after_name: expect.stringMatching(/^n\d{5}$/) as string }])
  expect(left.moved).toBeGreaterThan(0)
  expect(left.moved).toBeLessThan(COUNT / 2)

  const reopened = openSqliteStore(path)
  await putHandler(reopened, 'other', {})
  expect(lookAt(path)).toEqual({ walks: [], moved: COUNT })
  await reopened.close()
})

test('a walk that is cut off goes on by itself where nobody asks for anything', async () => {
  const path = join(tempFolder(), 'callme.db')
  const store = openSqliteStore(path)
  await store.put(
    Array.from({ length: 1000 }, (_, n) => aTask({ name: `n${n}` })),
    { now: DUE - 9 },
  )
  const putting = store.putHandler('n*', {}, CHANGE)
  await Promise.all([store.close(), Promise.allSettled([putting])])
  expect(lookAt(path).walks).toHaveLength(1)
  const reopened = openSqliteStore(path)
  for (let turn = 0; turn < 1000 && lookAt(path).walks.length > 0; turn += 1) await setImmediate()
  expect(lookAt(path)).toEqual({ walks: [], moved: 1000 })
  await reopened.close()
})

test('a walk that another program stands in the way of is finished before the next change of a handler is judged', async () => {
  const path = join(tempFolder(), 'callme.db')
  const store = openSqliteStore(path)
  await putHandler(store, 'a*', CALLBACK)
  await store.put(
    Array.from({ length: 1000 }, (_, n) => aTaskWithoutCallback({ name: `ab${n}` })),
    { now: DUE - 9 },
  )
  const putting = store.putHandler('ab*', CALLBACK, CHANGE)
  await Promise.all([store.close(), putting])
  expect(lookAt(path).walks).toHaveLength(1)

  const other = new SqliteDatabase(path, { timeout: 0 })
  const reopened = openSqliteStore(path)
  other.exec('BEGIN IMMEDIATE')
  let monotonic = 0
  vi.spyOn(performance, 'now').mockImplementation(() => (monotonic += 5000))
  await expect(reopened.putHandler('b', {}, CHANGE)).rejects.toMatchObject({ code: 'store_unavailable' })
  other.exec('COMMIT')
  other.close()
  vi.restoreAllMocks()
  expect(lookAt(path).walks).toHaveLength(1)
  expect(await reopened.removeHandler('a*', { force: false })).toBe('removed')
  expect(lookAt(path).walks).toEqual([])
  await reopened.close()
})

test('a handler that rows still need which were not gone through is not removed while the store is closed', async () => {
  const path = join(tempFolder(), 'callme.db')
  const store = openSqliteStore(path)
  await putHandler(store, 'a*', CALLBACK)
  await putHandler(store, 'ab*', CALLBACK)
  await store.put(
    Array.from({ length: 1000 }, (_, n) => aTaskWithoutCallback({ name: `ab${n}` })),
    { now: DUE - 9 },
  )
  const removing = ['ab*', 'a*'].map((name) => store.removeHandler(name, { force: false }))
  await Promise.all([store.close(), Promise.allSettled(removing)])
  const reopened = openSqliteStore(path)
  expect(await reopened.getHandler('a*')).toBeDefined()
  expect(await listAll(reopened)).toMatchObject(Array.from({ length: 1000 }, () => ({ definition: CALLBACK })))
  await reopened.close()
})
