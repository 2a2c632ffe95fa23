import { join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import type { Database } from 'better-sqlite3'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { PutResult } from '../../src/domain/task/client-write.ts'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import type { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { aTask } from '../support/a-task.ts'
import { DUE, listAll } from './contract/support/tasks.ts'
import { tempFolder } from './support/temp-folder.ts'

const REFUSED = { code: 'store_unavailable' }

/** A store, and another connection that writes to its file. */
function openBusy(): { store: SqliteStore; other: Database; path: string } {
  const path = join(tempFolder(), 'callme.db')
  const store = openSqliteStore(path)
  const other = new SqliteDatabase(path, { timeout: 0 })
  onTestFinished(async () => {
    other.close()
    await store.close()
  })
  other.exec('BEGIN IMMEDIATE')
  return { store, other, path }
}

/** Calls `onLook` each time that a wait for the file begins, with how often that was; the waits are as long as ever. */
function watchWaits(onLook: (count: number) => void): { readonly count: number } {
  const waits = { count: 0 }
  const wait = globalThis.setTimeout
  vi.spyOn(globalThis, 'setTimeout').mockImplementation(((run: () => void, ms: number) => {
    waits.count += 1
    onLook(waits.count)
    return wait(run, ms)
  }) as typeof setTimeout)
  return waits
}

function putEach(store: SqliteStore, names: readonly string[]): Promise<PutResult[]>[] {
  return names.map((name) => store.put([aTask({ name })], { now: DUE }))
}

afterEach(() => {
  vi.restoreAllMocks()
})

describe('while another program writes to the file', () => {
  test('two hundred writes wait together, look again a few times, and are all stored once it lets go', async () => {
    const { store, other } = openBusy()
    const waits = watchWaits((count) => {
      if (count === 5) other.exec('COMMIT')
    })
    const names = Array.from({ length: 200 }, (_, n) => `n${n}`)
    const results = (await Promise.all(putEach(store, names))).flat()
    expect(results.map(({ status }) => status)).toEqual(names.map(() => 'created'))
    expect(waits.count).toBe(5)
    expect(await listAll(store)).toHaveLength(200)
    expect((await store.changes({ after: 0, limit: 1000 })).changes.map(({ task }) => task.name)).toEqual(names)
  })

  test('writes that come meanwhile wait with the others, and are stored after them', async () => {
    const { store, other } = openBusy()
    const later: Promise<PutResult[]>[] = []
    const waits = watchWaits((count) => {
      if (count <= 3) later.push(...putEach(store, [`later-${count}`]))
      if (count === 4) other.exec('COMMIT')
    })
    await Promise.all(putEach(store, ['first']))
    await Promise.all(later)
    expect(waits.count).toBe(4)
    const { changes } = await store.changes({ after: 0, limit: 10 })
    expect(changes.map(({ task }) => task.name)).toEqual(['first', 'later-1', 'later-2', 'later-3'])
  })

  test('a write is refused after five seconds, and one that came later has its own five', async () => {
    const { store, other } = openBusy()
    let monotonic = 1000
    vi.spyOn(performance, 'now').mockImplementation(() => monotonic)
    const old = Promise.allSettled(
      putEach(
        store,
        Array.from({ length: 70 }, (_, n) => `old-${n}`),
      ),
    )
    let young: Promise<PutResult[]>[] = []
    watchWaits((count) => {
      if (count === 1) {
        monotonic += 1
        young = putEach(store, ['young', 'younger'])
        monotonic += 4998
      }
      if (count === 2) monotonic += 1
      if (count === 4) other.exec('COMMIT')
    })
    const refusals = await old
    expect(refusals).toHaveLength(70)
    for (const refusal of refusals) expect(refusal).toMatchObject({ status: 'rejected', reason: REFUSED })
    expect((await Promise.all(young)).flat()).toMatchObject([{ status: 'created' }, { status: 'created' }])
    expect((await listAll(store)).map(({ name }) => name)).toEqual(['young', 'younger'])
  })

  test('writes are taken again after all that waited were refused', async () => {
    const { store, other } = openBusy()
    let monotonic = 0
    vi.spyOn(performance, 'now').mockImplementation(() => monotonic)
    const waits = watchWaits(() => {
      monotonic = 5000
    })
    for (const refusal of await Promise.allSettled(putEach(store, ['a', 'b']))) expect(refusal).toMatchObject({ reason: REFUSED })
    expect(waits.count).toBe(1)
    other.exec('COMMIT')
    expect((await Promise.all(putEach(store, ['c']))).flat()).toMatchObject([{ status: 'created' }])
    expect((await listAll(store)).map(({ name }) => name)).toEqual(['c'])
  })

  test('what is read is answered at once', async () => {
    const { store, other } = openBusy()
    const writing = putEach(store, ['a'])
    expect(await store.get(aTask({ name: 'a' }))).toBeUndefined()
    expect(await listAll(store)).toEqual([])
    other.exec('COMMIT')
    await Promise.all(writing)
    expect(await listAll(store)).toHaveLength(1)
  })
})
