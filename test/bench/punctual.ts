/** How exactly a crowded minute begins: tasks that are all due on one minute, beside a bare timer that makes one call on the same minute. */
import { randomBytes } from 'node:crypto'
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { nextMinute } from '../../src/domain/time/trigger-time.ts'
import { temporaryFolder } from '../support/program.ts'
import type { Program } from '../support/program.ts'
import { startCallme, stopCallme } from './support/callme.ts'
import { Child } from './support/child.ts'
import { readOptions } from './support/options.ts'
import type { ReceiverVerbs } from './support/receiver.ts'
import { percentile, printTable } from './support/table.ts'

const TASKS_PER_REQUEST = 1000
const TIME_TO_REGISTER_MS = 20_000

const { rounds, tasks } = readOptions({ rounds: 3, tasks: 10_000 })
using folder = temporaryFolder()
await using receiver = new Child<ReceiverVerbs>('receiver.ts')
await using bareReceiver = new Child<ReceiverVerbs>('receiver.ts')
const [url, bareUrl] = [await receiver.ask('start'), await bareReceiver.ask('start')]
const program = await startCallme(join(folder.path, 'callme.db'))

const lateness: number[][] = []
const bareLateness: number[] = []
for (let round = 0; round < rounds; round += 1) {
  const minute = nextMinute(Date.now() + TIME_TO_REGISTER_MS)
  await Promise.all([receiver.ask('reset'), bareReceiver.ask('reset')])
  await register(program, minute)
  void setTimeout(minute * 1000 - Date.now()).then(() => get(bareUrl))
  await Promise.all([receiver.ask('arrival', tasks), bareReceiver.ask('arrival', 1)])
  const [arrivals, [bare = Number.NaN]] = await Promise.all([receiver.ask('arrivals'), bareReceiver.ask('arrivals')])
  if (arrivals.length !== tasks) throw new Error(`${arrivals.length} calls were received for ${tasks} tasks`)
  lateness.push(Array.from(arrivals, (at) => at - minute * 1000))
  bareLateness.push(bare - minute * 1000)
}
await stopCallme(program)

const of = (fraction: number): number[] => lateness.map((ms) => percentile(ms, fraction))
printTable(
  `punctual: ${tasks} tasks on one minute, ms after it when each call arrives, ${rounds} rounds`,
  'a bare timer that makes one call',
  [
    { figure: 'first call', unit: 'ms', values: of(0), yardstick: bareLateness, reach: { of: 'highest', is: 'at most', bound: 20 } },
    {
      figure: 'first call, none early',
      unit: 'ms',
      values: of(0),
      yardstick: bareLateness,
      reach: { of: 'lowest', is: 'at least', bound: 0 },
    },
    { figure: 'half of the calls', unit: 'ms', values: of(0.5) },
    { figure: '99 of 100 calls', unit: 'ms', values: of(0.99) },
    { figure: 'last call', unit: 'ms', values: of(1) },
  ],
)

/** @param minute Unix seconds */
async function register({ url: api }: Program, minute: number): Promise<void> {
  for (let sent = 0; sent < tasks; sent += TASKS_PER_REQUEST) {
    const batch = Array.from({ length: Math.min(TASKS_PER_REQUEST, tasks - sent) }, () => {
      return { task_name: randomBytes(9).toString('hex'), trigger_at: minute, callback: url }
    })
    const { status } = await fetch(`${api}/tasks`, { method: 'POST', body: JSON.stringify(batch) })
    if (status !== 200) throw new Error(`POST /tasks was answered ${status}`)
  }
  if (Date.now() >= minute * 1000) throw new Error('registering took longer than there was time before the minute')
}
