/** What hosts that never answer cost the others: how long after its PUT a task that is due at once is called, with and without them. */
import { randomBytes } from 'node:crypto'
import { temporaryFolder } from '../support/program.ts'
import { startCallme } from './support/callme.ts'
import { Child } from './support/child.ts'
import { fillDueStore } from './support/due-store.ts'
import { readOptions } from './support/options.ts'
import type { ReceiverVerbs } from './support/receiver.ts'
import { startSilentHost } from './support/silent-host.ts'
import { sqlitePlace } from './support/store-place.ts'
import { percentile, printTable } from './support/table.ts'

const { rounds, hosts, tasks, calls } = readOptions({ rounds: 3, hosts: 10, tasks: 5000, calls: 200 })
await using receiver = new Child<ReceiverVerbs>('receiver.ts')
const url = await receiver.ask('start')
using silentHost = await startSilentHost()

const [beside, alone]: [number[][], number[][]] = [[], []]
for (let round = 0; round < rounds; round += 1) {
  beside.push(await measure(hosts))
  alone.push(await measure(0))
}
const of = (fraction: number): { values: number[]; yardstick: number[] } => ({
  values: beside.map((waits) => percentile(waits, fraction)),
  yardstick: alone.map((waits) => percentile(waits, fraction)),
})
printTable(
  `fairness: ${hosts} hosts that never answer, each with ${tasks} due tasks; ${calls} tasks to another host one after the other, from PUT to call, ${rounds} rounds`,
  'the same without the silent hosts',
  [
    { figure: 'half of the calls', unit: 'ms', ...of(0.5) },
    { figure: '99 of 100 calls', unit: 'ms', ...of(0.99) },
    { figure: 'the slowest call', unit: 'ms', ...of(1), reach: { of: 'highest', is: 'at most', bound: 300 } },
  ],
)

/** Spread over more than one timeout of the silent hosts, so that they are met unknown and known. @returns ms for each call */
async function measure(silentHosts: number): Promise<number[]> {
  using folder = temporaryFolder()
  const store = await sqlitePlace(folder.path).create()
  for (let host = 1; host <= silentHosts; host += 1) await fillDueStore(store, tasks, `http://127.0.1.${host}:${silentHost.port}/`)
  const program = await startCallme(store)
  await receiver.ask('reset')
  const waits: number[] = []
  for (let call = 1; call <= calls; call += 1) {
    const putAt = Date.now()
    const body = JSON.stringify({ trigger_at: '+0m', callback: url })
    const { status } = await program.json(`/task/${randomBytes(9).toString('hex')}`, { method: 'PUT', body })
    if (status !== 201) throw new Error(`PUT was answered ${status}`)
    await receiver.ask('arrival', call)
    waits.push(((await receiver.ask('arrivals'))[call - 1] ?? Number.NaN) - putAt)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await program.kill()
  return waits
}
