/** How long the API lets a reader wait while a minute is worked off: `GET /status/<key>` every few ms, beside the same server with nothing to do. */
import { setTimeout } from 'node:timers/promises'
import { keyOf, temporaryFolder } from '../support/program.ts'
import type { Program } from '../support/program.ts'
import { Child } from './support/child.ts'
import { drain } from './support/drain.ts'
import { fillDueStore } from './support/due-store.ts'
import { readOptions } from './support/options.ts'
import type { ReadLoadVerbs } from './support/read-load.ts'
import type { ReceiverVerbs } from './support/receiver.ts'
import { sqlitePlace } from './support/store-place.ts'
import { percentile, printTable } from './support/table.ts'
import type { Row } from './support/table.ts'

const EVERY_MS = 10

const { rounds, tasks, idle } = readOptions({ rounds: 3, tasks: 100_000, idle: 10 })
using folder = temporaryFolder()
const place = sqlitePlace(folder.path)
const filledStore = await place.create()
await using receiver = new Child<ReceiverVerbs>('receiver.ts')
await using reader = new Child<ReadLoadVerbs>('read-load.ts')
await fillDueStore(filledStore, tasks, await receiver.ask('start'))

const [busyWaits, idleWaits]: [Float64Array[], Float64Array[]] = [[], []]
for (let round = 0; round < rounds; round += 1) {
  await drain({ place, filledStore, tasks, receiver, onStart: startReading, onEnd: readIdle })
}

const reads = busyWaits.reduce((sum, waits) => sum + waits.length, 0)
printTable(
  `latency: ${reads} reads, one every ${EVERY_MS} ms while ${tasks} tasks are worked off, ${rounds} rounds`,
  'the same server, idle',
  [
    row('p50', 0.5),
    row('p99', 0.99, { of: 'median', is: 'at most', bound: 10 }),
    row('longest', 1, { of: 'highest', is: 'at most', bound: 60 }),
  ],
)

function row(name: string, fraction: number, reach?: Row['reach']): Row {
  const of = (rounds: readonly Float64Array[]): number[] => rounds.map((waits) => percentile(waits, fraction))
  return { figure: `wait, ${name}`, unit: 'ms', values: of(busyWaits), yardstick: of(idleWaits), ...(reach && { reach }) }
}

async function readIdle(program: Program): Promise<void> {
  busyWaits.push(await reader.ask('stop'))
  await startReading(program)
  await setTimeout(idle * 1000)
  idleWaits.push(await reader.ask('stop'))
}

async function startReading(program: Program): Promise<void> {
  const body = JSON.stringify({ trigger_at: '+1h', callback: 'http://127.0.0.1:9/' })
  const stored = await program.json('/task/read', { method: 'PUT', body })
  await reader.ask('start', `${program.url}/status/${keyOf(stored.body)}`, EVERY_MS)
}
