/** A log that cannot be written: its reader is gone or does not read, or the disk is full. The node goes on, and says so. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PROGRAM } from '../cli/run-callme.ts'
import { environmentOfOthers, temporaryFolder } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'
import { eventually, freePort } from '../support/unlogged.ts'

/** More lines than a pipe and the program hold: 1000 each. */
const REQUESTS = 6

interface Case {
  readonly what: string
  readonly output: 'pipe' | '/dev/full'
  readonly lose?: (child: ChildProcess) => void
  readonly says: RegExp
}

test.concurrent.each<Case>([
  {
    what: 'the reader has gone',
    output: 'pipe',
    lose: ({ stdout, stderr }) => {
      stdout?.destroy()
      stderr?.destroy()
    },
    says: /^the log cannot be written: write EPIPE; \d+ lines are lost so far$/,
  },
  { what: 'the disk is full', output: '/dev/full', says: /ENOSPC/ },
  { what: 'nobody reads', output: 'pipe', says: /its reader does not read; [1-9]\d* lines/ },
])('where $what, tasks are stored and called all the same, and /ready says so', async ({ output, lose, says }) => {
  using folder = temporaryFolder()
  const receiver = await startReceiver()
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const file = output === 'pipe' ? undefined : openSync(output, 'w')
  const flags = ['--listen', `127.0.0.1:${port}`, '--store', `sqlite:${join(folder.path, 'callme.db')}`, '--log-level', 'debug']
  const child = spawn(process.execPath, [PROGRAM, 'serve', ...flags], {
    stdio: ['ignore', file ?? 'pipe', 'pipe'],
    env: environmentOfOthers(),
  })
  if (file !== undefined) closeSync(file)
  const exited = once(child, 'exit')
  await eventually(async () => (await fetch(`${url}/health`)).ok)
  lose?.(child)
  for (let sent = 0; sent < REQUESTS; sent += 1) {
    const tasks = Array.from({ length: 1000 }, (_, n) => ({
      task_name: `${'n'.repeat(150)}${sent}-${n}`,
      trigger_at: '+1d',
      callback: receiver.url,
    }))
    expect((await fetch(`${url}/tasks`, { method: 'POST', body: JSON.stringify(tasks) })).status).toBe(200)
  }
  await fetch(`${url}/task/now`, { method: 'PUT', body: JSON.stringify({ trigger_at: '+0m', callback: receiver.url }) })
  await receiver.waitFor(1)
  const ready = await fetch(`${url}/ready`)
  expect(ready.status).toBe(200)
  expect(await ready.json()).toMatchObject({ status: 'ready', log: expect.stringMatching(says) as string })
  child.kill('SIGTERM')
  expect(await exited).toEqual([0, null])
  await receiver.close()
})
