import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }
import { SETTINGS } from '../../src/config/settings.ts'
import { environmentOfOthers } from '../support/program.ts'
import { PROGRAM, runCallme } from './run-callme.ts'

/** Runs a command whose standard output is a closed pipe, or a full disk. */
async function runUnread(args: readonly string[], output: 'pipe' | number): Promise<{ code: unknown; stderr: string }> {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', output, 'pipe'], env: environmentOfOthers() })
  child.stdout?.destroy()
  let stderr = ''
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [code] = (await once(child, 'close')) as unknown[]
  return { code, stderr }
}

describe('callme', () => {
  it('prints its version', async () => {
    expect(await runCallme(['--version'])).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: '' })
  })

  it('explains its commands with --help', async () => {
    const { code, stdout } = await runCallme(['--help'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/serve[^]+config/)
  })

  it('prints its help on stderr and exits with 2 when it is told nothing', async () => {
    const { code, stdout, stderr } = await runCallme([])
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain('Usage: callme')
  })

  it('shows a flag for every setting in the help of serve', async () => {
    const { stdout } = await runCallme(['serve', '--help'])
    for (const { name } of SETTINGS) expect(stdout).toContain(`--${name}`)
  })

  it.each([
    { args: ['serve', '--lisen', ':1'], says: /unknown option '--lisen'[^]*--listen/ },
    { args: ['sreve'], says: /unknown command 'sreve'[^]*serve/ },
    { args: ['start'], says: /unknown command 'start'; did you mean serve\?\n/ },
    { args: ['version'], says: /unknown command 'version'; did you mean --version\?\n/ },
    { args: ['frobnicate'], says: /unknown command 'frobnicate'\n/ },
    { args: ['serve', '--port', '80'], says: /unknown option '--port'; did you mean --listen\?\n/ },
    { args: ['serve', '--db=x'], says: /unknown option '--db=x'; did you mean --store\?\n/ },
    { args: ['serve', '--colour'], says: /unknown option '--colour'\n/ },
    { args: ['serve', 'extra'], says: /too many arguments/ },
    { args: ['serve', '--timeout'], says: /argument missing/ },
    { args: ['serve', '--timeout', 'soon'], says: /^callme: --timeout must be an integer of seconds from 1 to 1800; got "soon"\n$/ },
    { args: ['serve', '--listen', '0.0.0.0:6777'], says: /^callme: --listen 0\.0\.0\.0:6777 [^\n]*--no-auth[^\n]*\n$/ },
    {
      args: ['config', '--store', 'postgres://me:hush@db:x/y'],
      says: /^callme: --store must be sqlite:[^\n]*postgres:[^\n]*; got "postgres:\/\/me:\*\*\*@db:x\/y"\n$/,
    },
  ])('exits with 2 and says what is wrong for `callme $args`', async ({ args, says }) => {
    const { code, stdout, stderr } = await runCallme(args)
    expect(stderr).toMatch(says)
    expect(stdout).toBe('')
    expect(code).toBe(2)
  })

  it('exits with 2 and names the nearest setting for an unknown variable', async () => {
    const { code, stderr } = await runCallme(['serve'], { CALLME_LISEN: ':1' })
    expect(stderr).toBe('callme: CALLME_LISEN in the environment is not a setting; the nearest one is CALLME_LISTEN\n')
    expect(code).toBe(2)
  })

  it.each([[['--help']], [['serve', '--help']], [['config']]])('ends quietly where the reader of `callme %s` has gone', async (args) => {
    expect(await runUnread(args, 'pipe')).toEqual({ code: 0, stderr: '' })
  })

  it('fails where its output cannot be written', async () => {
    const full = openSync('/dev/full', 'w')
    const { code, stderr } = await runUnread(['config'], full)
    closeSync(full)
    expect(stderr).toMatch(/^callme: the output cannot be written: ENOSPC[^\n]*\n$/)
    expect(code).toBe(1)
  })
})
