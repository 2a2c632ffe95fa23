/**
 * How fast callme works off what is due on PostgreSQL, beside the job queues that Node's users know: one HTTP call per job, one process
 * each, as many calls in flight. The peers are installed when this bench is asked for.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type { PeerVerbs } from './peers/peer.ts'
import { Child } from './support/child.ts'
import { drain, measureCalls } from './support/drain.ts'
import type { CallFigures } from './support/drain.ts'
import { fillDueStore } from './support/due-store.ts'
import { readOptions } from './support/options.ts'
import { connect, startPostgres } from './support/postgres.ts'
import type { ReceiverVerbs } from './support/receiver.ts'
import { median, printTable } from './support/table.ts'
import type { Row } from './support/table.ts'

interface Peer {
  readonly name: string
  /** finds a row while a job is not recorded as complete */
  readonly unfinished: string
  readonly filledStore: string
  readonly figures: CallFigures[]
}

const FOLDER = new URL('peers/', import.meta.url)
const UNFINISHED = {
  'graphile-worker': 'SELECT FROM graphile_worker._private_jobs LIMIT 1',
  'pg-boss': `SELECT FROM pgboss.job WHERE state <> 'completed' LIMIT 1`,
}

const { rounds, tasks } = readOptions({ rounds: 5, tasks: 20_000 })
installPeers()
await using postgres = await startPostgres()
await using receiver = new Child<ReceiverVerbs>('receiver.ts')
const url = await receiver.ask('start')
const filledStore = await postgres.create()
await fillDueStore(filledStore, tasks, url)
await postgres.settle(filledStore)
const callme: CallFigures[] = []
const peers = await Promise.all(Object.entries(UNFINISHED).map(([name, unfinished]) => filledPeer(name, unfinished)))

for (let round = 0; round < rounds; round += 1) {
  callme.push(await drain({ place: postgres, filledStore, tasks, receiver }))
  for (const peer of peers) peer.figures.push(await drainPeer(peer))
}

const fastestFirst = peers.toSorted((a, b) => median(b.figures.map(({ rate }) => rate)) - median(a.figures.map(({ rate }) => rate)))
for (const { name, figures } of fastestFirst) {
  const row = (figure: string, unit: string, of: (figures: CallFigures) => number, reach?: Row['reach']): Row => {
    return { figure, unit, values: callme.map(of), yardstick: figures.map(of), ...(reach && { reach }) }
  }
  printTable(`peers: ${tasks} due jobs of one call each, one process, ${rounds} rounds`, name, [
    row('first call to last', 'calls/s', ({ rate }) => rate, { of: 'ratio', is: 'at least', bound: 1 }),
    row('first call until all is recorded', 'jobs/s', ({ recordedRate }) => recordedRate, { of: 'ratio', is: 'at least', bound: 1 }),
    row('CPU of the process', 'µs/job', ({ cpuMicros }) => cpuMicros),
    row('CPU of PostgreSQL', 'µs/job', ({ storeCpuMicros }) => storeCpuMicros),
    row('CPU of both', 'µs/job', ({ cpuMicros, storeCpuMicros }) => cpuMicros + storeCpuMicros),
  ])
}

function installPeers(): void {
  if (existsSync(new URL('node_modules', FOLDER))) return
  const { status } = spawnSync('npm', ['ci'], { cwd: FOLDER, stdio: 'inherit' })
  if (status !== 0) throw new Error('the peers could not be installed')
}

async function filledPeer(name: string, unfinished: string): Promise<Peer> {
  const filled = await postgres.create()
  await using child = new Child<PeerVerbs>(`../peers/${name}.ts`)
  await child.ask('store', filled, tasks, url)
  await postgres.settle(filled)
  return { name, unfinished, filledStore: filled, figures: [] }
}

async function drainPeer(peer: Peer): Promise<CallFigures> {
  const store = await postgres.create(peer.filledStore)
  const figures = await measurePeer(peer, store)
  await postgres.remove(store)
  return figures
}

async function measurePeer({ name, unfinished }: Peer, store: string): Promise<CallFigures> {
  await using child = new Child<PeerVerbs>(`../peers/${name}.ts`)
  await receiver.ask('reset')
  const firstCall = receiver.ask('arrival', 1)
  await child.ask('start', store)
  const isDone = (): Promise<void> => allFinished(store, unfinished)
  return await measureCalls({ place: postgres, receiver, calls: tasks, firstCall, pids: [child.pid], isDone })
}

async function allFinished(store: string, unfinished: string): Promise<void> {
  const client = await connect(store)
  while ((await client.query(unfinished)).rowCount !== 0) await setTimeout(10)
  await client.end()
}
