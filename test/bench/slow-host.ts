/**
 * What one host that never answers costs the good ones which have tasks on the same minute, and those of the minute at which all that still
 * waits for it runs out of time. Beside the same minutes without it.
 */
import { randomBytes } from 'node:crypto'
import { nextMinute } from '../../src/domain/time/trigger-time.ts'
import { temporaryFolder } from '../support/program.ts'
import type { Program } from '../support/program.ts'
import { startCallme } from './support/callme.ts'
import { Child } from './support/child.ts'
import { readOptions } from './support/options.ts'
import { startPostgres } from './support/postgres.ts'
import type { ReceiverVerbs } from './support/receiver.ts'
import { startSilentHost } from './support/silent-host.ts'
import { sqlitePlace } from './support/store-place.ts'
import type { StorePlace } from './support/store-place.ts'
import { percentile, printTable } from './support/table.ts'
import type { Row } from './support/table.ts'

const TASKS_PER_REQUEST = 1000
const TIME_TO_REGISTER_MS = 30_000
const MAX_DELAY_MINUTES = 1
/** First that of the tasks to the silent host, then the one at which they are out of time. */
const MINUTES = ['on the same minute', 'when it is out of time']

/** ms after its minute at which each call arrived, for each of `MINUTES` */
type Lateness = readonly (readonly number[])[]

const { rounds, silent, hosts, tasks } = readOptions({ rounds: 3, silent: 50_000, hosts: 99, tasks: 5000 })
using folder = temporaryFolder()
await using postgres = await startPostgres()
await using receiver = new Child<ReceiverVerbs>('receiver.ts')
using silentHost = await startSilentHost()
const { port } = new URL(await receiver.ask('start', '0.0.0.0'))

for (const place of [sqlitePlace(folder.path), postgres]) {
  const [beside, alone]: [Lateness[], Lateness[]] = [[], []]
  for (let round = 0; round < rounds; round += 1) {
    alone.push(await measure(place, 0))
    beside.push(await measure(place, silent))
  }
  printTable(
    `slow-host on ${place.name}: ${silent} tasks to a host that never answers; ms after their minute when ${tasks} calls to ${hosts} other hosts arrive, ${rounds} rounds`,
    'the same without the silent host',
    MINUTES.flatMap((minute, index) => {
      const row = (name: string, fraction: number, reach?: Row['reach']): Row => {
        const of = (rounds: readonly Lateness[]): number[] => rounds.map((lateness) => percentile(lateness[index] ?? [], fraction))
        return { figure: `${minute}, ${name}`, unit: 'ms', values: of(beside), yardstick: of(alone), ...(reach && { reach }) }
      }
      return [row('half of the calls', 0.5), row('99 of 100', 0.99, { of: 'ratio', is: 'at most', bound: 2 }), row('the last', 1)]
    }),
  )
}

/** In a process of its own, to which every host is new. */
async function measure(place: StorePlace, silentTasks: number): Promise<Lateness> {
  const store = await place.create()
  const program = await startCallme(store)
  const minute = nextMinute(Date.now() + TIME_TO_REGISTER_MS)
  await register(program, minute, silentTasks)
  const lateness: number[][] = []
  for (const index of MINUTES.keys()) {
    await receiver.ask('reset')
    await receiver.ask('arrival', tasks)
    const minuteMs = (minute + 60 * index) * 1000
    lateness.push(Array.from(await receiver.ask('arrivals'), (at) => at - minuteMs))
  }
  await program.kill()
  await place.remove(store)
  return lateness
}

/** @param minute Unix seconds */
async function register({ url }: Program, minute: number, silentTasks: number): Promise<void> {
  const good = MINUTES.flatMap((_, index) =>
    Array.from({ length: tasks }, (_, n) => ({ trigger_at: minute + 60 * index, callback: `http://127.0.1.${(n % hosts) + 1}:${port}/` })),
  )
  const bad = Array.from({ length: silentTasks }, () => ({
    trigger_at: minute,
    callback: `http://127.0.0.1:${silentHost.port}/`,
    max_delay: MAX_DELAY_MINUTES,
  }))
  const all = shuffled([...good, ...bad]).map((task) => ({ task_name: randomBytes(9).toString('hex'), ...task }))
  for (let sent = 0; sent < all.length; sent += TASKS_PER_REQUEST) {
    const { status } = await fetch(`${url}/tasks`, { method: 'POST', body: JSON.stringify(all.slice(sent, sent + TASKS_PER_REQUEST)) })
    if (status !== 200) throw new Error(`POST /tasks was answered ${status}`)
  }
  if (Date.now() >= minute * 1000) throw new Error('registering took longer than there was time before the minute')
}

/** As they would come from many clients: those of one host do not lie together in the store. */
function shuffled<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ value }) => value)
}
