/** Who is compared: callme on both stores, and the job queues that Node's users know, on the store each was made for. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { temporaryFolder } from '../../support/program.ts'
import { callmeContestant } from './callme-contestant.ts'
import type { Contestant } from './contestant.ts'
import { note } from './findings.ts'
import { peerContestant } from './peer-contestant.ts'
import { startPostgres } from './postgres.ts'
import { redisIsMissing, startRedis } from './redis.ts'
import { sqlitePlace } from './store-place.ts'
import type { StorePlace } from './store-place.ts'

const FOLDER = new URL('../peers/', import.meta.url)
const ON_DISK = 'it is on the disk'

/** Installs the peers where they are not. What cannot take part on this machine is left out, and a note says why. */
export function contestants(): Contestant[] {
  installPeers()
  const onSqlite = { openPlace: openSqlite }
  const onPostgres = { openPlace: startPostgres, storedWhen: `${ON_DISK} (synchronous_commit on)` }
  const redis: Contestant[] = [
    peerContestant('bullmq', {
      name: 'bullmq, Redis as it comes',
      storedWhen: 'Redis has it in memory (snapshots now and then)',
      openPlace: () => startRedis('snapshots'),
    }),
    peerContestant('bullmq', {
      name: 'bullmq, Redis appendfsync always',
      storedWhen: `${ON_DISK} (appendfsync always)`,
      openPlace: () => startRedis('everyWrite'),
    }),
  ]
  const missing = redisIsMissing()
  if (missing !== undefined) note(`bullmq is left out: ${missing}`)
  return [
    callmeContestant({ name: 'callme on SQLite', storedWhen: `${ON_DISK} (WAL, synchronous FULL)`, ...onSqlite }),
    callmeContestant({ name: 'callme on PostgreSQL', ...onPostgres }),
    ...(missing === undefined ? redis : []),
    peerContestant('plainjob', { name: 'plainjob', storedWhen: 'the system has it (WAL, synchronous NORMAL)', ...onSqlite }),
    peerContestant('graphile-worker', { name: 'graphile-worker', ...onPostgres }),
    peerContestant('pg-boss', { name: 'pg-boss', ...onPostgres }),
  ]
}

function openSqlite(): Promise<StorePlace & AsyncDisposable> {
  const folder = temporaryFolder()
  const dispose = (): Promise<void> => {
    folder[Symbol.dispose]()
    return Promise.resolve()
  }
  return Promise.resolve({ ...sqlitePlace(folder.path), [Symbol.asyncDispose]: dispose })
}

function installPeers(): void {
  const wanted = Object.entries((readJson('package.json') as { dependencies: Record<string, string> }).dependencies)
  const isThere = ([name, version]: [string, string]): boolean =>
    (readJson(`node_modules/${name}/package.json`) as { version?: string }).version === version
  if (!wanted.every(isThere)) {
    const { status } = spawnSync('npm', ['ci'], { cwd: FOLDER, stdio: 'inherit' })
    if (status !== 0) throw new Error('the peers could not be installed')
  }
  note(wanted.map(([name, version]) => `${name} ${version}`).join(', '))
}

function readJson(path: string): unknown {
  const file = new URL(path, FOLDER)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
}
