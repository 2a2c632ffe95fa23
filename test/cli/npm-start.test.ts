import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { environmentOfOthers, temporaryFolder } from '../support/program.ts'

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url))

it('npm start passes flags on to serve, and a SIGTERM that npm gets stops the program properly', async () => {
  using folder = temporaryFolder()
  const flags = ['--listen', '127.0.0.1:0', '--store', `sqlite:${join(folder.path, 'callme.db')}`]
  const npm = spawn('npm', ['start', '--', ...flags], {
    cwd: CHECKOUT,
    env: environmentOfOthers(),
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const events: unknown[] = []
  const lines = createInterface(npm.stdout).on('line', (line) => {
    if (!line.startsWith('{')) return
    const { event } = JSON.parse(line) as { event: string }
    events.push(event)
    if (event === 'node.started') npm.kill('SIGTERM')
  })
  const lastLine = once(lines, 'close')
  try {
    const [code] = (await once(npm, 'exit')) as [number | null]
    if (code === 0) await lastLine
    expect({ code, events }).toMatchObject({ code: 0, events: ['node.started', 'node.stopping', 'node.stopped'] })
  } finally {
    killGroup(npm.pid)
  }
})

/** Ends what a failed run has left behind. */
function killGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
