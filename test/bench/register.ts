/** How fast callme takes tasks: durable PUTs at 64 connections (autocannon), beside the same express route without a store; then on PostgreSQL. */
import { temporaryFolder } from '../support/program.ts'
import type { Program } from '../support/program.ts'
import { startCallme, stopCallme } from './support/callme.ts'
import { Child } from './support/child.ts'
import type { ExpressRouteVerbs } from './support/express-route.ts'
import { readOptions } from './support/options.ts'
import { startPostgres } from './support/postgres.ts'
import { cpuMs } from './support/process-usage.ts'
import { printProfiles } from './support/profile.ts'
import type { PutLoadVerbs } from './support/put-load.ts'
import { sqlitePlace } from './support/store-place.ts'
import type { StorePlace } from './support/store-place.ts'
import { printTable } from './support/table.ts'
import type { Row } from './support/table.ts'

interface Server {
  readonly url: string
  readonly pid: number
  /** where its store is, if it has one */
  readonly place?: StorePlace
  readonly figures: Figures[]
}

interface Node extends Server {
  readonly program: Program
}

interface Figures {
  readonly rate: number
  readonly cpuMicros: number
  readonly storeCpuMicros: number
  readonly loadShare: number
}

const CONNECTIONS = 64
const BODY = JSON.stringify({ trigger_at: '+1h', callback: 'http://127.0.0.1:9/run', callback_method: 'POST', payload: { order: 1 } })

const options = readOptions({ rounds: 3, requests: 50_000 })
using folder = temporaryFolder()
await using postgres = await startPostgres()
await using load = new Child<PutLoadVerbs>('put-load.ts')
await using route = new Child<ExpressRouteVerbs>('express-route.ts')
const onSqlite = await startNode(sqlitePlace(folder.path))
const onPostgres = await startNode(postgres)
const sample = await fetch(`${onSqlite.url}/task/sample`, { method: 'PUT', body: BODY })
const bare: Server = { url: await route.ask('start', await sample.text()), pid: route.pid, figures: [] }

const servers: readonly Server[] = [onSqlite, onPostgres, bare]
for (const server of servers) await measure(server, Math.ceil(options.requests / 5))
for (let round = 0; round < options.rounds; round += 1) {
  for (const server of servers) server.figures.push(await measure(server, options.requests))
}
const stored = [await stop(onSqlite), await stop(onPostgres)]

const title = `${options.requests} durable PUTs of distinct names over ${CONNECTIONS} connections, ${options.rounds} rounds after a warm-up`
printTable(`register on SQLite: ${title}`, 'the same express route without a store', [
  row('rate', 'PUT/s', 'rate', onSqlite, bare, { of: 'ratio', is: 'at least', bound: 0.4 }),
  row('CPU of the server', 'µs/PUT', 'cpuMicros', onSqlite, bare, { of: 'median', is: 'at most', bound: 50 }),
  row('load on the core of autocannon', '%', 'loadShare', onSqlite, bare),
])
printTable(`register on PostgreSQL: ${title}`, 'the same on SQLite, in the same rounds', [
  row('rate', 'PUT/s', 'rate', onPostgres, onSqlite),
  row('CPU of the server', 'µs/PUT', 'cpuMicros', onPostgres, onSqlite),
  row('CPU of PostgreSQL', 'µs/PUT', 'storeCpuMicros', onPostgres, onSqlite),
  row('load on the core of autocannon', '%', 'loadShare', onPostgres, onSqlite),
])
console.log(`  stored at the end: ${JSON.stringify(stored)}`)
if (options.profile !== undefined) printProfiles(options.profile)

async function startNode(place: StorePlace): Promise<Node> {
  const program = await startCallme(await place.create(), options.profile)
  return { program, url: program.url, pid: program.pid, place, figures: [] }
}

/** @returns how many tasks of each state it had in the end */
async function stop({ program }: Node): Promise<unknown> {
  const { body } = await program.json('/ready')
  await stopCallme(program)
  return body['tasks']
}

async function measure({ url, pid, place }: Server, requests: number): Promise<Figures> {
  const storeCpu = (): number => place?.cpuMs() ?? 0
  const [cpuAtStart, storeCpuAtStart] = [cpuMs(pid), storeCpu()]
  const { seconds, ownCpuShare } = await load.ask('run', { url, body: BODY, requests, connections: CONNECTIONS })
  const micros = (ms: number): number => (1000 * ms) / requests
  return {
    rate: requests / seconds,
    cpuMicros: micros(cpuMs(pid) - cpuAtStart),
    storeCpuMicros: micros(storeCpu() - storeCpuAtStart),
    loadShare: 100 * ownCpuShare,
  }
}

function row(figure: string, unit: string, key: keyof Figures, measured: Server, yardstick: Server, reach?: Row['reach']): Row {
  const of = ({ figures }: Server): number[] => figures.map((each) => each[key])
  return { figure, unit, values: of(measured), yardstick: of(yardstick), ...(reach && { reach }) }
}
