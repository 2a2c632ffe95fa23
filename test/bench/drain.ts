/**
 * How fast callme works off what is due: calls to a fast local receiver, beside a bare loop of the same undici client in as many threads,
 * and beside one of node:http, which no program on Node can beat by much. On PostgreSQL with one node and with several.
 */
import { temporaryFolder } from '../support/program.ts'
import type { CallLoopVerbs } from './support/call-loop.ts'
import { Child } from './support/child.ts'
import { drain, measureCalls } from './support/drain.ts'
import type { CallFigures } from './support/drain.ts'
import { fillDueStore } from './support/due-store.ts'
import { readOptions } from './support/options.ts'
import { startPostgres } from './support/postgres.ts'
import { printProfiles } from './support/profile.ts'
import type { ReceiverVerbs } from './support/receiver.ts'
import { sqlitePlace } from './support/store-place.ts'
import type { StorePlace } from './support/store-place.ts'
import { printTable } from './support/table.ts'
import type { Row } from './support/table.ts'

const NODES = [1, 2, 3]

const { rounds, tasks, profile } = readOptions({ rounds: 3, tasks: 100_000 })
using folder = temporaryFolder()
await using postgres = await startPostgres()
const sqlite = sqlitePlace(folder.path)
await using receiver = new Child<ReceiverVerbs>('receiver.ts')
const url = await receiver.ask('start')
const [sqliteStore, postgresStore] = [await filled(sqlite), await filled(postgres)]

const [alone, undiciLoops, httpLoops]: [CallFigures[], CallFigures[], CallFigures[]] = [[], [], []]
const shared = NODES.map((): CallFigures[] => [])
for (let round = 0; round < rounds; round += 1) {
  const profiled = round === 0 ? profile : undefined
  alone.push(await drain({ place: sqlite, filledStore: sqliteStore, tasks, receiver, profile: profiled }))
  undiciLoops.push(await loop('undici'))
  httpLoops.push(await loop('node:http'))
  for (const [index, nodes] of NODES.entries()) {
    shared[index]?.push(await drain({ place: postgres, filledStore: postgresStore, tasks, receiver, nodes, profile: profiled }))
  }
}

const title = `${tasks} due tasks, from the first call that arrives to the last, ${rounds} rounds`
printTable(`drain on SQLite: ${title}`, 'a bare loop of the same undici client, as many threads', [
  row('rate', 'calls/s', 'rate', alone, undiciLoops, { of: 'ratio', is: 'at least', bound: 0.7 }),
  row('CPU', 'µs/call', 'cpuMicros', alone, undiciLoops, { of: 'difference', is: 'at most', bound: 40 }),
])
printTable(`the distance to the mark: ${title}`, 'a bare loop of node:http, as many threads', [
  row('rate', 'calls/s', 'rate', alone, httpLoops),
  row('CPU', 'µs/call', 'cpuMicros', alone, httpLoops),
  row('rate of the bare loop of undici', 'calls/s', 'rate', undiciLoops, httpLoops),
  row('CPU of the bare loop of undici', 'µs/call', 'cpuMicros', undiciLoops, httpLoops),
  { figure: 'of the distance in CPU, undici itself', unit: '%', values: alone.map((_, round) => shareOfUndici(round)) },
])
printTable(
  `drain on PostgreSQL: ${title}`,
  'one node on SQLite, in the same rounds',
  NODES.flatMap((nodes, index) => {
    const [name, figures] = [nodes === 1 ? '1 node' : `${nodes} nodes`, shared[index] ?? []]
    return [
      row(`${name}, rate`, 'calls/s', 'rate', figures, alone),
      row('- CPU of callme', 'µs/call', 'cpuMicros', figures, alone),
      row('- CPU of PostgreSQL', 'µs/call', 'storeCpuMicros', figures, alone),
    ]
  }),
)
if (profile !== undefined) printProfiles(profile)

async function filled(place: StorePlace): Promise<string> {
  const store = await place.create()
  await fillDueStore(store, tasks, url)
  await place.settle(store)
  return store
}

/** A process of its own for each round, as callme's is. */
async function loop(client: Parameters<CallLoopVerbs['run']>[0]): Promise<CallFigures> {
  await using child = new Child<CallLoopVerbs>('call-loop.ts')
  await receiver.ask('reset')
  const firstCall = receiver.ask('arrival', 1)
  const done = child.ask('run', client, url, tasks)
  return await measureCalls({ pids: [child.pid], receiver, calls: tasks, firstCall, isDone: () => done })
}

function shareOfUndici(round: number): number {
  const [whole = NaN, undici = NaN, http = NaN] = [alone, undiciLoops, httpLoops].map((figures) => figures[round]?.cpuMicros)
  return (100 * (undici - http)) / (whole - http)
}

function row(
  figure: string,
  unit: string,
  key: keyof CallFigures,
  values: readonly CallFigures[],
  yardstick: readonly CallFigures[],
  reach?: Row['reach'],
): Row {
  const of = (figures: readonly CallFigures[]): number[] => figures.map((each) => each[key])
  return { figure, unit, values: of(values), yardstick: of(yardstick), ...(reach && { reach }) }
}
