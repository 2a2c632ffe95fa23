/**
 * Whether claims become slower with what has been executed, while somebody's transaction stands open on PostgreSQL: what it may still
 * see, the database cannot take away. A backlog is worked off, and a store to which as much is added as is taken. On PostgreSQL plain queues
 * do the same beside it.
 */
import { setTimeout } from 'node:timers/promises'
import type { NewTask, Task } from '../../src/domain/task/task.ts'
import { minuteOf } from '../../src/domain/time/trigger-time.ts'
import type { Store } from '../../src/store/store.ts'
import { temporaryFolder } from '../support/program.ts'
import { dueTask, fillStore } from './support/due-store.ts'
import { openStore } from './support/open-store.ts'
import { readOptions } from './support/options.ts'
import { openPlainQueue } from './support/plain-queue.ts'
import type { Memory } from './support/plain-queue.ts'
import { holdBack, startPostgres } from './support/postgres.ts'
import { SLOTS, claim, recordSuccess } from './support/store-operations.ts'
import { sqlitePlace } from './support/store-place.ts'
import type { StorePlace } from './support/store-place.ts'
import { percentile, printTable } from './support/table.ts'
import type { Row } from './support/table.ts'
import { randomHost } from './support/wide-store.ts'

/** How long each claim, and each record of what it had claimed, took, ms. */
interface Waits {
  readonly claims: number[]
  readonly records: number[]
  /** how many entries of the index of waiting rows each claim has read, where that is known */
  readonly entries: number[]
  executed: number
}

/** Whatever hands out what is due. */
interface Queue<T> {
  claim(): Promise<readonly T[]>
  record(claimed: readonly T[]): Promise<unknown>
  put(tasks: readonly NewTask[]): Promise<unknown>
  entriesRead?(): Promise<number>
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
/** A naive claim becomes slower with every claim before it; a million would take hours. */
const MOST_PLAIN = 100_000
const PLAIN_QUEUES: readonly { name: string; memory: Memory }[] = [
  { name: 'naive claim', memory: 'none' },
  { name: 'local cursors, looks at all', memory: 'looks at all' },
  { name: 'local cursors, looks back', memory: 'looks back' },
]

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
  const queue = queueOf(store)
  const waits = await workOff(queue, tasks, scene.isFed)
  const size = await place.describe(watched)
  await letGo?.()
  // By the time that retention comes, nothing of that day waits any more.
  const rest = scene.isFed ? await workOff(queue, scene.waiting, false) : undefined
  const pruned = await prune(store, waits.executed + (rest?.executed ?? 0))
  await store.close()
  await place.remove(watched)
  const beside = place.name === 'PostgreSQL' ? await watchPlainQueues(place, filled, scene, isHeldBack) : []
  print(place, scene, isHeldBack, [...rowsOfStore(waits), ...beside])
  for (const line of [...size, pruned]) console.log(`  ${line}`)
}

async function watchPlainQueues(place: StorePlace, filled: string, scene: Scene, isHeldBack: boolean): Promise<Row[]> {
  const rows: Row[] = []
  const waiting = Math.min(scene.waiting, MOST_PLAIN)
  for (const { name, memory } of PLAIN_QUEUES) {
    const watched = await place.create(filled)
    const queue = await openPlainQueue(watched, waiting, memory)
    const letGo = isHeldBack ? await holdBack(watched) : undefined
    const waits = await workOff({ ...queue, claim: () => queue.claim(SLOTS) }, Math.min(tasks, MOST_PLAIN), scene.isFed)
    rows.push(...rowsOfPlainQueue(name, waits, queue.looks))
    await letGo?.()
    await queue.close()
    await place.remove(watched)
  }
  return rows
}

function queueOf(store: Store): Queue<Task> {
  return {
    claim: async () => (await claim(store)).tasks,
    record: (claimed) => recordSuccess(store, claimed),
    put: (added) => store.put([...added], { now: Date.now() }),
  }
}

/** @param isFed whether as many are stored as are claimed */
async function workOff<T>(queue: Queue<T>, count: number, isFed: boolean): Promise<Waits> {
  const waits: Waits = { claims: [], records: [], entries: [], executed: 0 }
  while (waits.executed < count) {
    const before = await queue.entriesRead?.()
    const claimedAt = performance.now()
    const claimed = await queue.claim()
    waits.claims.push(performance.now() - claimedAt)
    if (claimed.length === 0) throw new Error(`${waits.executed} tasks were executed, ${count} should have been`)
    if (before !== undefined) waits.entries.push(((await queue.entriesRead?.()) ?? before) - before)
    const recordedAt = performance.now()
    const fed = isFed ? queue.put(Array.from(claimed, presentTask)) : undefined
    await queue.record(claimed)
    waits.records.push(performance.now() - recordedAt)
    await fed
    waits.executed += claimed.length
  }
  return waits
}

function rowsOfStore({ claims, records }: Waits): Row[] {
  return [
    rowOf('claim, p50', 'ms', claims, 0.5),
    { ...rowOf('claim, p99', 'ms', claims, 0.99), reach: { of: 'ratio', is: 'at most', bound: 1.5 } },
    rowOf('record, p50', 'ms', records, 0.5),
    rowOf('record, p99', 'ms', records, 0.99),
  ]
}

function rowsOfPlainQueue(name: string, { claims, entries }: Waits, looks: readonly number[]): Row[] {
  return [
    rowOf(`${name}, p50`, 'ms', claims, 0.5),
    rowOf(`${name}, p99`, 'ms', claims, 0.99),
    rowOf(`${name}, index entries read, p50`, 'entries', entries, 0.5),
    ...(looks.length > 0 ? [rowOf(`${name}, the look, p50`, 'ms', looks, 0.5)] : []),
  ]
}

/** The last tenth beside the first. */
function rowOf(figure: string, unit: string, values: readonly number[], fraction: number): Row {
  const tenth = Math.ceil(values.length / 10)
  const warmUp = Math.ceil(tenth / 10)
  return {
    ...{ figure, unit },
    values: [percentile(values.slice(-tenth), fraction)],
    yardstick: [percentile(values.slice(warmUp, warmUp + tenth), fraction)],
  }
}

function print(place: StorePlace, { name }: Scene, isHeldBack: boolean, rows: readonly Row[]): void {
  const open = isHeldBack ? 'an idle transaction open all the while' : 'no other transaction open'
  const title = `rot on ${place.name}: ${tasks} tasks executed, ${name}, ${open}; the last tenth`
  printTable(title, `the first tenth after a warm-up; plain queues execute at most ${MOST_PLAIN}`, rows)
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
