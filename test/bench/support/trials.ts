/** What each contestant of the peers bench is put through, and what is measured of it. */
import { setTimeout } from 'node:timers/promises'
import { nextMinute } from '../../../src/domain/time/trigger-time.ts'
import type { Child } from './child.ts'
import { CALLERS } from './contestant.ts'
import type { Contestant, Jobs, Running } from './contestant.ts'
import { measureCalls } from './drain.ts'
import { memoryMb } from './process-usage.ts'
import type { ReceiverVerbs } from './receiver.ts'
import type { StorePlace } from './store-place.ts'
import { percentile } from './table.ts'

export interface Order {
  readonly contestant: Contestant
  readonly receiver: Child<ReceiverVerbs>
  /** of the receiver */
  readonly url: string
  readonly count: number
}

export interface RoundFigures {
  /** jobs/s */
  readonly each: number
  readonly bulk: number
  readonly drain: number
  /** ms after the instant */
  readonly late50: number
  readonly late99: number
  /** µs for each job, in the drain, of the process and of its store's own processes */
  readonly cpuMicros: number
  readonly storeCpuMicros: number
  /** MB at the highest, in the drain */
  readonly memory: number
  readonly storeMemory: number
}

const HOUR_MS = 3_600_000
const TIME_TO_REGISTER_MS = 8_000
const LOOK_EVERY_MS = 250

export async function runRound(order: Order): Promise<RoundFigures> {
  await using place = await order.contestant.openPlace()
  return { ...(await drained(order, place)), ...(await registered(order, place)), ...(await punctual(order, place)) }
}

async function drained({ contestant, receiver, url, count }: Order, place: StorePlace): Promise<Pick<RoundFigures, DrainFigure>> {
  const store = await place.create()
  await contestant.fill(store, { count, url, dueAt: Date.now() })
  await place.settle(store)
  await receiver.ask('reset')
  const firstCall = receiver.ask('arrival', 1)
  let storeMemory = 0
  const look = (): void => void (storeMemory = Math.max(storeMemory, place.memoryMb()))
  const timer = setInterval(look, LOOK_EVERY_MS)
  const running = await contestant.launch(store)
  const isDone = (): Promise<void> => allRecorded(running)
  const measured = measureCalls({ place, receiver, calls: count, firstCall, pids: [running.pid], isDone })
  await running.work()
  const { recordedRate, cpuMicros, storeCpuMicros } = await measured
  clearInterval(timer)
  look()
  const memory = memoryMb(running.pid).peak
  await running.stop()
  return { drain: recordedRate, cpuMicros, storeCpuMicros, memory, storeMemory }
}

type DrainFigure = 'drain' | 'cpuMicros' | 'storeCpuMicros' | 'memory' | 'storeMemory'

async function registered({ contestant, url, count }: Order, place: StorePlace): Promise<Pick<RoundFigures, 'each' | 'bulk'>> {
  const running = await contestant.launch(await place.create())
  const jobs: Jobs = { count, url, dueAt: Date.now() + HOUR_MS }
  // Some store a few hundred a second one by one.
  const oneByOne = Math.max(CALLERS, Math.ceil(count / 4))
  // What runs for the first time is slow for everybody.
  await running.addEach({ ...jobs, count: oneByOne })
  const each = (1000 * oneByOne) / (await running.addEach({ ...jobs, count: oneByOne }))
  const bulk = (1000 * count) / (await running.addBulk(jobs))
  await running.stop()
  return { each, bulk }
}

async function punctual({ contestant, receiver, url, count }: Order, place: StorePlace): Promise<Pick<RoundFigures, 'late50' | 'late99'>> {
  const running = await contestant.launch(await place.create())
  await running.work()
  await receiver.ask('reset')
  const dueAt = 1000 * nextMinute(Date.now() + TIME_TO_REGISTER_MS)
  await running.addBulk({ count, url, dueAt })
  if (Date.now() >= dueAt) throw new Error(`${contestant.name} needed longer to register than there was time before the minute`)
  await receiver.ask('arrival', count)
  const lateness = Array.from(await receiver.ask('arrivals'), (at) => at - dueAt)
  await allRecorded(running)
  await running.stop()
  return { late50: percentile(lateness, 0.5), late99: percentile(lateness, 0.99) }
}

async function allRecorded(running: Running): Promise<void> {
  while ((await running.waiting()) > 0) await setTimeout(10)
}
