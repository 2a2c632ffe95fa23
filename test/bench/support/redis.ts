/** Redis for benches: the `redis-server` of the machine, on a port and in a folder of its own. */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { temporaryFolder } from '../../support/program.ts'
import { note } from './findings.ts'
import { freePlace } from './listen.ts'
import { cpuMs, memoryMb } from './process-usage.ts'
import type { StorePlace } from './store-place.ts'

/** How Redis keeps what it was told; the first is what it does where nobody says otherwise, in Debian's package too. */
const SETTINGS = {
  snapshots: ['--save', '3600 1 300 100 60 10000', '--appendonly', 'no'],
  everyWrite: ['--save', '', '--appendonly', 'yes', '--appendfsync', 'always'],
}

export type RedisDurability = keyof typeof SETTINGS

/** @returns why there is no Redis on this machine, as a sentence, or undefined where there is one */
export function redisIsMissing(): string | undefined {
  const { status } = spawnSync('redis-server', ['--version'])
  return status === 0 ? undefined : 'no redis-server was found; on Debian it comes with: apt-get install redis-server'
}

/** Its stores are the numbered databases of one server, of which there are sixteen. */
export async function startRedis(durability: RedisDurability): Promise<StorePlace & AsyncDisposable> {
  const folder = temporaryFolder()
  const place = await freePlace()
  const [host = '', port = ''] = place.split(':')
  const flags = ['--bind', host, '--port', port, '--dir', folder.path, ...SETTINGS[durability]]
  note(`Redis ${/v=(\S+)/.exec(spawnSync('redis-server', ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? ''}`)
  let server = await start(flags)
  let count = 0
  const pid = (): number => server.pid ?? 0
  const kill = async (): Promise<void> => {
    const ended = once(server, 'exit')
    server.kill('SIGKILL')
    await ended
  }
  return {
    name: 'Redis',
    create: () => Promise.resolve(`redis://${place}/${count++}`),
    settle: () => Promise.resolve(),
    describe: () => Promise.resolve([]),
    remove: () => Promise.resolve(),
    cpuMs: () => cpuMs(pid()),
    memoryMb: () => memoryMb(pid()).now,
    crash: async () => {
      await kill()
      server = await start(flags)
    },
    [Symbol.asyncDispose]: async () => {
      await kill()
      folder[Symbol.dispose]()
    },
  }
}

/** Resolves once it takes connections, with all that it found on the disk. */
async function start(flags: readonly string[]): Promise<ChildProcess> {
  const server = spawn('redis-server', flags, { stdio: ['ignore', 'pipe', 'inherit'] })
  // A bench that fails has no time to end it in order.
  const end = (): void => void server.kill('SIGKILL')
  process.once('exit', end)
  server.once('exit', () => process.off('exit', end))
  const lines = createInterface(server.stdout)
  const ready = new Promise<void>((resolve) => {
    lines.on('line', (line) => {
      if (line.includes('Ready to accept connections')) resolve()
    })
  })
  const ended = once(server, 'exit').then(() => Promise.reject(new Error('redis-server did not start')))
  ended.catch(() => undefined)
  await Promise.race([ready, ended])
  return server
}
