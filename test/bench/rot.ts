/**
 * Whether claims become slower with what has been executed, while somebody's transaction stands open on PostgreSQL: what it may still
 * see, the database cannot take away. A backlog is worked off, and a store to which as much is added as is taken.
 */
import { setTimeout } from 'node:timers/promises'
import type { NewTask } from '../../src/domain/task/task.ts'
import { minuteOf } from '../../src/domain/time/trigger-time.ts'
import type { Store } from '../../src/store/store.ts'
import { temporaryFolder } from '../support/program.ts'
import { dueTask, fillStore } from './support/due-store.ts'
import { openStore } from './support/open-store.ts'
import { readOptions } from './support/options.ts'
import { holdBack, startPostgres } from './support/postgres.ts'
import { claim, recordSuccess } from './support/store-operations.ts'
import { sqlitePlace } from './support/store-place.ts'
import type { StorePlace } from './support/store-place.ts'
import { percentile, printTable } from './support/table.ts'
import { randomHost } from './support/wide-store.ts'

/** How long each claim, and each record of what it had claimed, took, ms. */
interface Waits {
  readonly claims: number[]
  readonly records: number[]
  executed: number
}

interface Scene {
  readonly name: string
  /** how many tasks wait at the beginning */
  readonly waiting: number
  /** whether as many are stored as are claimed */
  readonly isFed: boolean
}

const MINUTES = 10
/** As the upkeep does it. */
const PRUNE_BATCH = 200
const MOST_POSTPONED = 60
/** So long after the last task that a day of tasks may go as a whole. */
const RETENTION_MS = 2 * 86_400_000

const { tasks } = readOptions({ tasks: 1_000_000 })
const scenes: Scene[] = [
  { name: 'a backlog', waiting: tasks, isFed: false },
  { name: 'as many stored as executed', waiting: Math.ceil(tasks / 10), isFed: true },
]
using folder = temporaryFolder()
await using postgres = await startPostgres()
const sqlite = sqlitePlace(folder.path)
for (const scene of scenes) {
  await watchEach(sqlite, scene, [false])
  await watchEach(postgres, scene, [false, true])
}

async function watchEach(place: StorePlace, scene: Scene, heldBack: readonly boolean[]): Promise<void> {
  const filled = await place.create()
  await fillStore(filled, scene.waiting, lateTask)
  await place.settle(filled)
  for (const isHeldBack of heldBack) await watch(place, filled, scene, isHeldBack)
  await place.remove(filled)
}

/** Of one of the last minutes, to one of many hosts. */
function lateTask(): NewTask {
  return taskOf(minuteOf(Date.now()) - 60 * Math.floor(Math.random() * MINUTES))
}

/** Of the present minute. */
function presentTask(): NewTask {
  return taskOf(minuteOf(Date.now()))
}

function taskOf(minute: number): NewTask {
  return dueTask(minute, `http://${randomHost()}/run`)
}

async function watch(place: StorePlace, filled: string, scene: Scene, isHeldBack: boolean): Promise<void> {
  const watched = await place.create(filled)
  const letGo = isHeldBack ? await holdBack(watched) : undefined
  const store = await openStore(watched)
  const waits = await workOff(store, tasks, scene.isFed)
  print(place, scene, isHeldBack, waits)
  for (const line of await place.describe(watched)) console.log(`  ${line}`)
  await letGo?.()
  // By the time that retention comes, nothing of that day waits any more.
  const rest = scene.isFed ? await workOff(store, scene.waiting, false) : undefined
  console.log(`  ${await prune(store, waits.executed + (rest?.executed ?? 0))}`)
  await store.close()
  await place.remove(watched)
}

/** @param isFed whether as many are stored as are claimed */
async function workOff(store: Store, count: number, isFed: boolean): Promise<Waits> {
  const waits: Waits = { claims: [], records: [], executed: 0 }
  while (waits.executed < count) {
    const claimedAt = performance.now()
    const { tasks: claimed } = await claim(store)
    waits.claims.push(performance.now() - claimedAt)
    if (claimed.length === 0) throw new Error(`${waits.executed} tasks were executed, ${count} should have been`)
    const recordedAt = performance.now()
    const fed = isFed ? store.put(Array.from(claimed, presentTask), { now: Date.now() }) : undefined
    await recordSuccess(store, claimed)
    waits.records.push(performance.now() - recordedAt)
    await fed
    waits.executed += claimed.length
  }
  return waits
}

function print(place: StorePlace, { name }: Scene, isHeldBack: boolean, { claims, records }: Waits): void {
  const tenth = Math.ceil(claims.length / 10)
  const warmUp = Math.ceil(tenth / 10)
  const of = (waits: readonly number[], fraction: number): { values: number[]; yardstick: number[] } => ({
    values: [percentile(waits.slice(-tenth), fraction)],
    yardstick: [percentile(waits.slice(warmUp, warmUp + tenth), fraction)],
  })
  const open = isHeldBack ? 'an idle transaction open all the while' : 'no other transaction open'
  printTable(`rot on ${place.name}: ${tasks} tasks executed, ${name}, ${open}; the last tenth`, 'the first tenth after a warm-up', [
    { figure: 'claim, p50', unit: 'ms', ...of(claims, 0.5) },
    { figure: 'claim, p99', unit: 'ms', ...of(claims, 0.99), reach: { of: 'ratio', is: 'at most', bound: 1.5 } },
    { figure: 'record, p50', unit: 'ms', ...of(records, 0.5) },
    { figure: 'record, p99', unit: 'ms', ...of(records, 0.99) },
  ])
}

/** Takes all away that has ended. @returns what that took, as a sentence */
async function prune(store: Store, executed: number): Promise<string> {
  const startedAt = performance.now()
  const waits: number[] = []
  let [pruned, postponed] = [0, 0]
  while (pruned < executed) {
    const batchAt = performance.now()
    const batch = await store.prune({ before: Date.now() + RETENTION_MS, limit: PRUNE_BATCH })
    waits.push(performance.now() - batchAt)
    pruned += batch
    if (batch > 0) continue
    // A store may leave what somebody else is busy with for the next time.
    if ((postponed += 1) > MOST_POSTPONED) throw new Error(`${pruned} of ${executed} tasks were pruned`)
    await setTimeout(1000)
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  const batches = `batches p50 ${percentile(waits, 0.5).toFixed(1)} ms, longest ${percentile(waits, 1).toFixed(1)} ms`
  return `retention afterwards: ${pruned} tasks in ${seconds} s, ${batches}, put off ${postponed} times`
}
