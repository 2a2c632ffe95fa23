/** The file of a store that is open: it stays the one at its path, and belongs to one process. */
import { cpSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { CallmeError } from '../../src/domain/errors.ts'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import { readSqliteLedger } from '../../src/store/sqlite/history/open-ledger.ts'
import { aTask } from '../support/a-task.ts'
import { claimAll, DUE } from './contract/support/tasks.ts'
import { startChild } from './support/child.ts'
import { tempFolder } from './support/temp-folder.ts'

async function openStored(count = 1, payload = '') {
  const path = join(tempFolder(), 'callme.db')
  const store = openSqliteStore(path)
  onTestFinished(() => store.close())
  await store.put(
    Array.from({ length: count }, (_, index) => aTask({ name: `task-${index}`, definition: { payload } })),
    { now: DUE - 9 },
  )
  return { path, store }
}

const lostBy = (reason: string) => ({ code: 'store_unavailable', message: expect.stringContaining(reason) as string })

test.each([
  ['deleted', '', ''],
  ['replaced by a copy', '', 'copy'],
  ['without its write-ahead log', '-wal', ''],
  ['without its index of the log', '-shm', ''],
])('a file that is %s takes no write, hands out nothing, and says so', async (_, which, substitute) => {
  const { path, store } = await openStored()
  if (substitute !== '') cpSync(path, `${path}.copy`)
  rmSync(`${path}${which}`)
  if (substitute !== '') renameSync(`${path}.copy`, path)
  const lost = lostBy(
    `${path}${which} is not the file any more that it opened: it was deleted or replaced. Nothing more is stored or called`,
  )
  await expect(store.put([aTask()], { now: DUE })).rejects.toMatchObject(lost)
  await expect(claimAll(store)).rejects.toMatchObject(lost)
  await expect(store.list({}, { limit: 1 })).rejects.toMatchObject(lost)
  await expect(store.counts()).rejects.toMatchObject(lost)
})

test('a store whose content was replaced, or taken by another process, hands out nothing', async () => {
  const { path, store } = await openStored()
  const other = new SqliteDatabase(path)
  other.exec(`UPDATE owner SET token = 'another'`)
  other.close()
  await expect(claimAll(store)).rejects.toMatchObject(lostBy('another callme has taken it over, or its content was replaced'))
  await expect(store.list({}, { limit: 1 })).rejects.toMatchObject({ code: 'store_unavailable' })
})

test('a second process is refused while the first one lives, although the lock file was removed, and may come after it', async () => {
  const path = join(tempFolder(), 'callme.db')
  const first = startChild('./hold-store.ts', path)
  for await (const line of first.lines) if (line === 'open') break
  rmSync(`${path}.lock`)
  const refused = (): void => void openSqliteStore(path)
  expect(refused).toThrow(CallmeError)
  expect(refused).toThrow('is in use by another callme, although its lock file was removed')
  expect(await readSqliteLedger(path, (ledger) => ledger.counted())).toBe(0)
  await first.kill()
  const second = openSqliteStore(path)
  expect(await claimAll(second)).toEqual([])
  await second.close()
})

test('a damaged file is named at the start, and found at run time by the claim, which hands out nothing then and later', async () => {
  // More than SQLite keeps in its cache.
  const { path, store } = await openStored(300, 'x'.repeat(100_000))
  await store.close()
  const opened = openSqliteStore(path)
  damage(path)
  const claims = await Promise.allSettled([claimAll(opened), claimAll(opened)])
  expect(claims).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }])
  await expect(opened.counts()).rejects.toMatchObject(lostBy('it is damaged: database disk image is malformed (SQLITE_CORRUPT'))
  await opened.close()
  expect(() => openSqliteStore(path)).toThrow(/callme does not start with .*, because it is damaged: .*Restore a backup/)
})

/** Overwrites all pages but the first ones, as a fault of a disk or of a copy would. */
function damage(path: string): void {
  const file = openSync(path, 'r+')
  const { size } = statSync(path)
  for (let page = 30; page < size / 4096; page += 1) writeSync(file, Buffer.alloc(4096, 7), 0, 4096, page * 4096)
  // It stays open: closing it would end the locks that SQLite holds in this process.
}
