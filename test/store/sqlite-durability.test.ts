import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { reportOf } from '../../src/domain/attempt/attempt-report.ts'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import { aTask, MINUTE } from '../support/a-task.ts'
import { aClaim, anEntry, answered, claimOne, DUE, expectCountsToAddUp, keysOf, listAll, NODE } from './contract/support/tasks.ts'
import { startChild } from './support/child.ts'
import { tempFolder } from './support/temp-folder.ts'

describe('after kill -9', () => {
  test('every acknowledged task of groups of 200 is there, and nothing is half stored', async () => {
    const path = join(tempFolder(), 'callme.db')
    const acknowledged: string[] = []
    for (const round of ['1', '2', '3']) {
      const writer = startChild('./put-until-killed.ts', path, round)
      let left = 700 + Number(round) * 333
      for await (const name of writer.lines) {
        acknowledged.push(name)
        left -= 1
        if (left === 0) void writer.kill()
      }
      await writer.kill()
      const store = openSqliteStore(path)
      const stored = new Set((await listAll(store)).map(({ name }) => name))
      expect(acknowledged.filter((name) => !stored.has(name))).toEqual([])
      await expectCountsToAddUp(store)
      expect((await store.claimDue(aClaim({ limit: 1 }))).tasks).toHaveLength(1)
      await store.close()
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(3000)
  })
})

/** A way to leave a folder without room: `fill` takes it away and `free` gives it back. */
interface Shortage {
  readonly folder: string
  fill(): void
  free(): void
}

describe.each([
  ['a disk without room', diskWithoutRoom],
  ['a limit on the size of files', fileSizeLimit],
])('on %s', (_, prepare) => {
  test('writes are refused and change nothing, reads go on, and so do writes once there is room', async (context) => {
    const shortage = prepare()
    if (typeof shortage === 'string') return context.skip(shortage)
    const path = join(shortage.folder, 'callme.db')
    const store = openSqliteStore(path)
    const claimed = await claimOne(store, aTask({ name: 'claimed', host: 'claimed' }))
    for (const name of ['moved', 'removed', 'run']) await anEntry(store, 'failed', { name })
    const before = await listAll(store)

    shortage.fill()
    const outcome = reportOf(claimed, answered(200, DUE + 9, 'done'), NODE, DUE + 9, 0)
    const large = aTask({ name: 'large', definition: { payload: 'x'.repeat(500_000) } })
    const writes = () => [
      store.put([large], { now: DUE }),
      store.put([aTask({ name: 'small' })], { now: DUE }),
      store.record([outcome]),
      store.run({ name: 'run', triggerAt: MINUTE }, { now: DUE }),
      store.reschedule({ selection: { name: 'moved' }, all: false, triggerAt: MINUTE + 600, now: DUE, dryRun: false, limit: 10 }),
      store.remove({ name: 'removed' }, { now: DUE, limit: 1 }),
    ]
    for (let turn = 0; turn < 3; turn += 1) {
      for (const result of await Promise.allSettled(writes())) {
        expect(result).toMatchObject({
          status: 'rejected',
          reason: { code: 'store_unavailable', message: expect.stringContaining(`the store does not answer: ${path}: `) as string },
        })
      }
      expect(await listAll(store)).toEqual(before)
      expect(await store.history(claimed)).toEqual([])
    }

    shortage.free()
    expect((await Promise.allSettled(writes())).map(({ status }) => status)).toEqual(Array<string>(6).fill('fulfilled'))
    const names = ['claimed', 'large', 'moved', 'run', 'small']
    expect(keysOf(await listAll(store))).toEqual([...names.map((name) => `${name}@${MINUTE}`), `moved@${MINUTE + 600}`])
    expect(await store.history(claimed)).toHaveLength(1)
    await expectCountsToAddUp(store)
    const after = await listAll(store)
    await store.close()
    const reopened = openSqliteStore(path)
    expect(await listAll(reopened)).toEqual(after)
    await reopened.close()
  })
})

function diskWithoutRoom(): Shortage | string {
  const folder = join(tempFolder(), 'disk')
  mkdirSync(folder)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'callme-test', folder], { stdio: 'ignore' })
  } catch {
    return 'a small disk can be mounted by root on Linux alone'
  }
  onTestFinished(() => {
    execFileSync('umount', ['--lazy', folder])
  })
  const filler = join(folder, 'filler')
  return {
    folder,
    fill: () => {
      writeUntilFull(filler)
    },
    free: () => {
      rmSync(filler)
    },
  }
}

function writeUntilFull(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (;;) writeSync(file, Buffer.alloc(4096))
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' })
  } finally {
    closeSync(file)
  }
}

function fileSizeLimit(): Shortage | string {
  const limit = (bytes: string) => execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`], { stdio: 'ignore' })
  try {
    limit('unlimited')
  } catch {
    return 'prlimit is a program of Linux'
  }
  onTestFinished(() => void limit('unlimited'))
  return { folder: tempFolder(), fill: () => void limit('1'), free: () => void limit('unlimited') }
}
