/** How much memory callme holds: idle, and at its highest while a minute is worked off; beside a bare express server and the bare loop of calls. */
import { setTimeout } from 'node:timers/promises'
import { temporaryFolder } from '../support/program.ts'
import type { Program } from '../support/program.ts'
import { startCallme, stopCallme } from './support/callme.ts'
import { Child } from './support/child.ts'
import { drain } from './support/drain.ts'
import { fillDueStore } from './support/due-store.ts'
import type { ExpressRouteVerbs } from './support/express-route.ts'
import type { CallLoopVerbs } from './support/call-loop.ts'
import { readOptions } from './support/options.ts'
import { memoryMb } from './support/process-usage.ts'
import type { ReceiverVerbs } from './support/receiver.ts'
import { sqlitePlace } from './support/store-place.ts'
import { printTable } from './support/table.ts'

const { rounds, tasks, idle } = readOptions({ rounds: 3, tasks: 100_000, idle: 5 })
using folder = temporaryFolder()
const place = sqlitePlace(folder.path)
const filledStore = await place.create()
await using receiver = new Child<ReceiverVerbs>('receiver.ts')
const url = await receiver.ask('start')
await fillDueStore(filledStore, tasks, url)

const idles: number[] = []
const bareIdles: number[] = []
const peaks: number[] = []
const barePeaks: number[] = []
for (let round = 0; round < rounds; round += 1) {
  idles.push(await idleOfCallme())
  bareIdles.push(await idleOfExpress())
  peaks.push(await peakOfDrain())
  barePeaks.push(await peakOfLoop())
}

printTable(`memory: resident, ${rounds} rounds`, 'idle: a bare express server; drain: a bare loop of the same undici client', [
  { figure: `idle for ${idle} s`, unit: 'MB', values: idles, yardstick: bareIdles, reach: { of: 'median', is: 'at most', bound: 100 } },
  {
    figure: `peak while ${tasks} tasks are worked off`,
    unit: 'MB',
    values: peaks,
    yardstick: barePeaks,
    reach: { of: 'median', is: 'at most', bound: 350 },
  },
])

async function idleOfCallme(): Promise<number> {
  const program = await startCallme(await place.create())
  await setTimeout(idle * 1000)
  const { now } = memoryMb(program.pid)
  await stopCallme(program)
  return now
}

async function idleOfExpress(): Promise<number> {
  await using route = new Child<ExpressRouteVerbs>('express-route.ts')
  await route.ask('start', 'ok')
  await setTimeout(idle * 1000)
  return memoryMb(route.pid).now
}

async function peakOfDrain(): Promise<number> {
  let peak = Number.NaN
  const onEnd = ({ pid }: Program): void => {
    peak = memoryMb(pid).peak
  }
  await drain({ place, filledStore, tasks, receiver, onEnd })
  return peak
}

async function peakOfLoop(): Promise<number> {
  await using loop = new Child<CallLoopVerbs>('call-loop.ts')
  await loop.ask('run', 'undici', url, tasks)
  return memoryMb(loop.pid).peak
}
