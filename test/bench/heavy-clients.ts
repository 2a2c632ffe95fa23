/**
 * How late due tasks are beside clients that ask for much: tasks that are due at once, a few each second, alone and beside one kind of heavy
 * clients after the other. The lateness is what `GET /lateness` says.
 */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { temporaryFolder } from '../support/program.ts'
import { startCallme, stopCallme } from './support/callme.ts'
import { Child } from './support/child.ts'
import type { HeavyLoadVerbs } from './support/heavy-load.ts'
import { readOptions } from './support/options.ts'
import type { ReceiverVerbs } from './support/receiver.ts'
import { printTable } from './support/table.ts'
import { fillWideStore } from './support/wide-store.ts'
import { openStore } from './support/open-store.ts'
import { nextMinute } from '../../src/domain/time/trigger-time.ts'

interface Lateness {
  readonly attempts: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

const KINDS = ['nobody', 'dry runs', 'scans', 'bulk bodies'] as const
const LARGE_TASKS = 250
const LARGE_PAYLOAD = 0.9 * 2 ** 20
const A_DAY_MS = 86_400_000
const PROBE_EVERY_MS = 25
const MOST_MORE_MS = 100

const { rounds, rows, seconds } = readOptions({ rounds: 1, rows: 200_000, seconds: 20 })
using folder = temporaryFolder()
const path = `sqlite:${join(folder.path, 'callme.db')}`
const store = await openStore(path)
await fillWideStore(store, { from: 0, to: rows, firstMinute: nextMinute(Date.now() + A_DAY_MS) })
await store.close()
await using receiver = new Child<ReceiverVerbs>('receiver.ts')
await using clients = new Child<HeavyLoadVerbs>('heavy-load.ts')
const callback = await receiver.ask('start')
const program = await startCallme(path)
for (let n = 0; n < LARGE_TASKS; n += 1) await put(`large-${n}`, { trigger_at: '+30d', payload: 'x'.repeat(LARGE_PAYLOAD) })

const measured = KINDS.map((kind) => ({ kind, found: [] as Lateness[], answered: [] as number[] }))
for (let round = 0; round < rounds; round += 1) {
  for (const { kind, found, answered } of measured) {
    await clients.ask('start', kind, program.url)
    const name = `probe-${round}-${KINDS.indexOf(kind)}-`
    const end = performance.now() + seconds * 1000
    for (let n = 0; performance.now() < end; n += 1) {
      await put(`${name}${n}`, { trigger_at: '+0m' })
      await setTimeout(PROBE_EVERY_MS)
    }
    answered.push(await clients.ask('stop'))
    found.push((await program.json(`/lateness?name=${name}*`)).body as unknown as Lateness)
  }
}
await stopCallme(program)

const alone = measured[0]?.found ?? []
for (const { kind, found, answered } of measured) {
  printTable(
    `lateness beside heavy clients: ${kind}, ${answered.join(', ')} answers to them, ${rows} rows`,
    'without them, in the same rounds',
    [
      { figure: 'p50', unit: 'ms', values: found.map(({ p50 }) => p50), yardstick: alone.map(({ p50 }) => p50) },
      {
        ...{ figure: 'p99', unit: 'ms', values: found.map(({ p99 }) => p99), yardstick: alone.map(({ p99 }) => p99) },
        reach: { of: 'difference', is: 'at most', bound: MOST_MORE_MS },
      },
      { figure: 'latest', unit: 'ms', values: found.map(({ max }) => max), yardstick: alone.map(({ max }) => max) },
      { figure: 'attempts', unit: '', values: found.map(({ attempts }) => attempts) },
    ],
  )
}

async function put(name: string, definition: object): Promise<void> {
  const { status } = await program.json(`/task/${name}`, { method: 'PUT', body: JSON.stringify({ callback, ...definition }) })
  if (status !== 201) throw new Error(`PUT /task/${name} was answered ${status}`)
}
