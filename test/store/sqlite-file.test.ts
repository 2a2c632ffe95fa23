import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, matchesGlob, resolve } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import { describe, expect, test, vi } from 'vitest'
import { CallmeError } from '../../src/domain/errors.ts'
import { readMigrations } from '../../src/store/migrations.ts'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import { aTask } from '../support/a-task.ts'
import { listAll } from './contract/support/tasks.ts'
import { startChild } from './support/child.ts'
import { tempFolder } from './support/temp-folder.ts'

const NOW = 1_800_000_000_000
const NEWEST = readMigrations('sqlite').at(-1)?.version ?? 0

function refusalOf(path: string): CallmeError {
  try {
    void openSqliteStore(path).close()
  } catch (error) {
    if (error instanceof CallmeError) return error
    throw error
  }
  throw new Error(`${path} was opened`)
}

describe('a file that is open', () => {
  test('is refused a second time with what to do about it, and may be opened after it was closed', async () => {
    const path = join(tempFolder(), 'callme.db')
    const store = openSqliteStore(path)
    expect(refusalOf(path)).toMatchObject({
      code: 'store_in_use',
      message: `${path} is in use by another callme: a SQLite store serves one process; stop that one or give this one its own --store`,
    })
    await store.put([aTask()], { now: NOW })
    await store.close()
    const again = openSqliteStore(path)
    expect(await listAll(again)).toHaveLength(1)
    await again.close()
  })

  test('is refused under another name too', async () => {
    const folder = tempFolder()
    mkdirSync(join(folder, 'real'))
    symlinkSync(join(folder, 'real'), join(folder, 'other'))
    const store = openSqliteStore(join(folder, 'real', 'callme.db'))
    symlinkSync(join('real', 'callme.db'), join(folder, 'link.db'))
    for (const path of ['link.db', 'other/callme.db', 'real/../real/callme.db'])
      expect(refusalOf(join(folder, path)).code).toBe('store_in_use')
    await store.close()
    await openSqliteStore(join(folder, 'link.db')).close()
  })

  test('is refused under its own name where it was made through a link', async () => {
    const folder = tempFolder()
    symlinkSync('callme.db', join(folder, 'link.db'))
    const store = openSqliteStore(join(folder, 'link.db'))
    expect(refusalOf(join(folder, 'callme.db')).code).toBe('store_in_use')
    await store.close()
    await openSqliteStore(join(folder, 'callme.db')).close()
  })

  test('in another process is refused until that process is gone, however it went', async () => {
    const path = join(tempFolder(), 'callme.db')
    const other = startChild('./hold-store.ts', path)
    for await (const line of other.lines) if (line === 'open') break
    expect(refusalOf(path).code).toBe('store_in_use')
    await other.kill()
    await openSqliteStore(path).close()
  })

  test('may be read by others meanwhile', async () => {
    const path = join(tempFolder(), 'callme.db')
    const store = openSqliteStore(path)
    await store.put([aTask()], { now: NOW })
    const reader = new SqliteDatabase(path, { readonly: true })
    expect(reader.prepare('SELECT name FROM tasks').pluck().all()).toEqual(['a-task'])
    reader.close()
    await store.close()
  })

  test('makes no file beside it that git would offer to commit', async () => {
    const folder = tempFolder()
    const store = openSqliteStore(join(folder, 'callme.db'))
    const ignored = readFileSync(new URL('../../.gitignore', import.meta.url), 'utf8')
      .trim()
      .split('\n')
    const left = readdirSync(folder)
    expect(left).toContain('callme.db.lock-journal')
    expect(left.filter((name) => !ignored.some((pattern) => matchesGlob(name, pattern)))).toEqual([])
    await store.close()
  })

  test('and another file do not get in the way of each other', async () => {
    const folder = tempFolder()
    const stores = ['one.db', 'two.db'].map((name) => openSqliteStore(join(folder, name)))
    const inMemory = [':memory:', ':memory:'].map((path) => openSqliteStore(path))
    await Promise.all([...stores, ...inMemory].map((store) => store.close()))
  })
})

describe('a file that cannot be a store', () => {
  test('is refused where its folder does not exist', () => {
    const path = join(tempFolder(), 'missing', 'callme.db')
    expect(refusalOf(path)).toMatchObject({ code: 'store_unavailable', message: `cannot open ${path}: its folder does not exist` })
  })

  test('is refused with the file and the reason that is true', () => {
    const folder = tempFolder()
    writeFileSync(join(folder, 'notes.txt'), 'no database '.repeat(99))
    mkdirSync(join(folder, 'locked.db.lock'))
    symlinkSync(join(folder, 'none', 'x.db'), join(folder, 'link.db'))
    for (const [name, file, reason] of [
      ['.', folder, 'it is a folder and no file'],
      ['notes.txt', 'notes.txt', 'it is not a database of SQLite, or its beginning is damaged'],
      ['notes.txt/a.db', 'notes.txt/a.db', `${join(folder, 'notes.txt')} is a file and no folder`],
      ['locked.db', 'locked.db.lock', 'it is a folder and no file'],
      ['link.db', 'link.db', 'it is a link into a folder that does not exist'],
      [`${'x'.repeat(300)}.db`, `${'x'.repeat(300)}.db`, 'its name is too long for the file system'],
    ] as const)
      expect(refusalOf(join(folder, name)).message).toBe(`cannot open ${resolve(folder, file)}: ${reason}`)
  })

  test('is refused where it is a folder or something else than SQLite, and stays as it is', () => {
    const folder = tempFolder()
    expect(refusalOf(folder).code).toBe('store_unavailable')
    const path = join(folder, 'notes.txt')
    writeFileSync(path, 'not a database, and longer than the header of one would have to be: '.repeat(40))
    expect(refusalOf(path).code).toBe('store_unavailable')
    expect(existsSync(path)).toBe(true)
  })
})

describe('the schema', () => {
  test('of a newer callme is refused with the versions, and the file is let go of', async () => {
    const path = join(tempFolder(), 'callme.db')
    await openSqliteStore(path).close()
    setVersion(path, NEWEST + 7)
    expect(refusalOf(path)).toMatchObject({
      code: 'store_too_new',
      message: `the store ${path} has schema version ${NEWEST + 7}, this callme knows versions up to ${NEWEST}: start the newer callme that last used it`,
    })
    setVersion(path, NEWEST)
    await openSqliteStore(path).close()
  })

  test('is made once: opening the file again changes nothing of it', async () => {
    const path = join(tempFolder(), 'callme.db')
    await openSqliteStore(path).close()
    const before = schemaOf(path)
    expect(before.version).toBe(NEWEST)
    await openSqliteStore(path).close()
    await openSqliteStore(path).close()
    expect(schemaOf(path)).toEqual(before)
  })

  test('is not put into the file of another program', () => {
    const path = join(tempFolder(), 'callme.db')
    const db = new SqliteDatabase(path)
    db.exec('CREATE TABLE task_counts (of_somebody_else)')
    db.close()
    const before = schemaOf(path)
    expect(() => openSqliteStore(path)).toThrow('holds the tables of another program')
    expect(schemaOf(path)).toEqual(before)
  })

  test('refuses rows that break its rules, whoever writes them', async () => {
    const path = join(tempFolder(), 'callme.db')
    const store = openSqliteStore(path)
    await store.put([aTask()], { now: NOW })
    await store.close()
    const db = new SqliteDatabase(path)
    const broken = ['trigger_at = trigger_at + 1', "state = 'done'", 'in_advance = 2', 'due_at = NULL', 'run_id = NULL']
    for (const change of [...broken, "awaiting = 'tea'", 'remove_after = 2', 'remove_after = NULL']) {
      expect(() => db.exec(`UPDATE tasks SET ${change}`), change).toThrow(/constraint failed/)
    }
    db.close()
  })
})

test('a write is on disk when it is acknowledged: write-ahead log, synchronous FULL', async () => {
  const path = join(tempFolder(), 'callme.db')
  const pragma = vi.spyOn(SqliteDatabase.prototype, 'pragma')
  const store = openSqliteStore(path)
  const db = (pragma.mock.contexts as SqliteDatabase.Database[]).find(({ name }) => name === path)
  pragma.mockRestore()
  expect(db?.pragma('synchronous', { simple: true })).toBe(2)
  expect(db?.pragma('journal_mode', { simple: true })).toBe('wal')
  await store.put([aTask()], { now: NOW })
  expect(existsSync(`${path}-wal`)).toBe(true)
  const reader = new SqliteDatabase(path, { readonly: true })
  expect(reader.pragma('journal_mode', { simple: true })).toBe('wal')
  reader.close()
  await store.close()
})

test('the file shrinks after old tasks were removed, in steps between which a write takes its turn', async () => {
  const path = join(tempFolder(), 'callme.db')
  const store = openSqliteStore(path)
  const definition = { callback: 'http://receiver.test/', payload: 'x'.repeat(60_000) }
  await store.put(
    Array.from({ length: 300 }, (_, n) => aTask({ name: `n${n}`, definition })),
    { now: NOW },
  )
  await store.remove({}, { now: NOW, limit: 1000 })
  const pages = () => {
    const db = new SqliteDatabase(path, { readonly: true })
    const count = db.pragma('page_count', { simple: true }) as number
    db.close()
    return count
  }
  const full = pages()
  let isTidy = false
  const tidying = store.tidy().then(() => (isTidy = true))
  await store.put([aTask({ name: 'meanwhile' })], { now: NOW })
  expect(isTidy).toBe(false)
  await tidying
  expect(full).toBeGreaterThan(4000)
  expect(pages()).toBeLessThan(700)
  expect((await listAll(store)).map(({ name }) => name)).toEqual(['meanwhile'])
  await store.close()
  expect(statSync(path).size).toBeLessThan(700 * 4096)
})

function setVersion(path: string, version: number): void {
  const db = new SqliteDatabase(path)
  db.pragma(`user_version = ${version}`)
  db.close()
}

function schemaOf(path: string): { version: unknown; objects: unknown[] } {
  const db = new SqliteDatabase(path, { readonly: true })
  const version = db.pragma('user_version', { simple: true })
  const objects = db.prepare('SELECT type, name, sql FROM sqlite_master ORDER BY name').all()
  db.close()
  return { version, objects }
}
