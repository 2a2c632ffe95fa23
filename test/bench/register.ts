/** How fast callme takes tasks: durable PUTs at 64 connections (autocannon), beside the same express route without a store. */
import { join } from 'node:path'
import { temporaryFolder } from '../support/program.ts'
import { startCallme, stopCallme } from './support/callme.ts'
import { Child } from './support/child.ts'
import type { ExpressRouteVerbs } from './support/express-route.ts'
import { readOptions } from './support/options.ts'
import { cpuMs } from './support/process-usage.ts'
import { printProfiles } from './support/profile.ts'
import type { PutLoadVerbs } from './support/put-load.ts'
import { printTable } from './support/table.ts'

interface Server {
  readonly url: string
  readonly pid: number
}

interface Figures {
  readonly rate: number
  readonly cpuMicros: number
  readonly loadShare: number
}

const CONNECTIONS = 64
const BODY = JSON.stringify({ trigger_at: '+1h', callback: 'http://127.0.0.1:9/run', callback_method: 'POST', payload: { order: 1 } })

const options = readOptions({ rounds: 3, requests: 50_000 })
using folder = temporaryFolder()
await using load = new Child<PutLoadVerbs>('put-load.ts')
await using route = new Child<ExpressRouteVerbs>('express-route.ts')
const program = await startCallme(join(folder.path, 'callme.db'), options.profile)

const sample = await fetch(`${program.url}/task/sample`, { method: 'PUT', body: BODY })
const bare: Server = { url: await route.ask('start', await sample.text()), pid: route.pid }
const durable: Server = program

const [stored, plain]: [Figures[], Figures[]] = [[], []]
for (const server of [durable, bare]) await measure(server, Math.ceil(options.requests / 5))
for (let round = 0; round < options.rounds; round += 1) {
  stored.push(await measure(durable, options.requests))
  plain.push(await measure(bare, options.requests))
}
const { body } = await program.json('/ready')
await stopCallme(program)

const of = (key: keyof Figures): { values: number[]; yardstick: number[] } => ({
  values: stored.map((f) => f[key]),
  yardstick: plain.map((f) => f[key]),
})
printTable(
  `register: ${options.requests} durable PUTs of distinct names over ${CONNECTIONS} connections, ${options.rounds} rounds after a warm-up`,
  'the same express route without a store',
  [
    { figure: 'rate', unit: 'PUT/s', ...of('rate'), reach: { of: 'ratio', is: 'at least', bound: 0.4 } },
    { figure: 'CPU of the server', unit: 'µs/PUT', ...of('cpuMicros'), reach: { of: 'median', is: 'at most', bound: 50 } },
    { figure: 'load on the core of autocannon', unit: '%', ...of('loadShare') },
  ],
)
console.log(`  stored at the end: ${JSON.stringify(body['tasks'])}`)
if (options.profile !== undefined) printProfiles(options.profile)

async function measure({ url, pid }: Server, requests: number): Promise<Figures> {
  const cpuAtStart = cpuMs(pid)
  const { seconds, ownCpuShare } = await load.ask('run', { url, body: BODY, requests, connections: CONNECTIONS })
  return { rate: requests / seconds, cpuMicros: (1000 * (cpuMs(pid) - cpuAtStart)) / requests, loadShare: 100 * ownCpuShare }
}
