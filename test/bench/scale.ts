/** What the store's work costs with many rows that wait: the same operations with none, with a tenth of them and with all, in turn. */
import { minuteOf } from '../../src/domain/time/trigger-time.ts'
import type { Store } from '../../src/store/store.ts'
import { temporaryFolder } from '../support/program.ts'
import { openStore } from './support/open-store.ts'
import { readOptions } from './support/options.ts'
import { startPostgres } from './support/postgres.ts'
import { readKib } from './support/process-usage.ts'
import { EVERYDAY_OPERATIONS } from './support/store-operations.ts'
import type { Operation } from './support/store-operations.ts'
import { sqlitePlace } from './support/store-place.ts'
import type { StorePlace } from './support/store-place.ts'
import { median, printTable } from './support/table.ts'
import type { Reach, Row } from './support/table.ts'
import { fillWideStore, minuteOfRow } from './support/wide-store.ts'

interface Figures {
  readonly wallMs: number
  readonly cpuMs: number
  /** of the store's own processes */
  readonly storeCpuMs: number
  /** what was not in memory any more */
  readonly diskKib: number
}

interface WideStore {
  readonly place: StorePlace
  readonly rows: number
  readonly store: Store
  /** of each operation, for each round */
  readonly figures: readonly Figures[][]
}

const DAY_S = 86_400

const { rounds, rows, times } = readOptions({ rounds: 5, rows: 10_000_000, times: 20 })
const firstMinute = minuteOf(Date.now()) + DAY_S
using folder = temporaryFolder()
await using postgres = await startPostgres()
const onSqlite = await openStores(sqlitePlace(folder.path))
const onPostgres = await openStores(postgres)
const stores = [...onSqlite, ...onPostgres]

for (let round = 0; round <= rounds; round += 1) {
  for (const [index, operation] of EVERYDAY_OPERATIONS.entries()) {
    for (const wide of stores) {
      const measured = await measure(operation, wide)
      // The first round warms up.
      if (round > 0) wide.figures[index]?.push(measured)
    }
  }
}
for (const { store } of stores) await store.close()

const title = `the median of ${times} times, ${rounds} rounds after a warm-up`
for (const [empty, ...filled] of [onSqlite, onPostgres]) {
  for (const wide of filled) {
    const { name } = wide.place
    printTable(
      `scale on ${name}: ${wide.rows} rows wait; ${title}`,
      `a store on ${name} where none waits`,
      table(wide, empty, reachOn(name)),
    )
  }
}
printTable(`scale on PostgreSQL: ${rows} rows wait; ${title}`, 'the same on SQLite', table(onPostgres[2], onSqlite[2]))

/** One store for each size; the smaller one is a copy of the larger one on its way. */
async function openStores(place: StorePlace): Promise<readonly [WideStore, WideStore, WideStore]> {
  const part = Math.ceil(rows / 10)
  const full = await place.create()
  await fill(place, full, { from: 0, to: part })
  const copy = await place.create(full)
  await fill(place, full, { from: part, to: rows })
  const open = async (path: string, count: number): Promise<WideStore> => {
    return { place, rows: count, store: await openStore(path), figures: EVERYDAY_OPERATIONS.map(() => []) }
  }
  return [await open(await place.create(), 0), await open(copy, part), await open(full, rows)]
}

async function fill(place: StorePlace, path: string, range: { from: number; to: number }): Promise<void> {
  const store = await openStore(path)
  await fillWideStore(store, { ...range, firstMinute })
  await store.close()
  await place.settle(path)
}

async function measure({ prepare, run }: Operation, { store, place, rows: count }: WideStore): Promise<Figures> {
  const randomMinute = (): number => minuteOfRow(Math.floor(Math.random() * (count || rows)), firstMinute)
  const wall: number[] = []
  let [cpuMs, storeCpuMs, diskKib] = [0, 0, 0]
  for (let time = 0; time < times; time += 1) {
    await prepare?.(store)
    const [readBefore, storeCpuBefore, cpuBefore, startedAt] = [readKib(process.pid), place.cpuMs(), process.cpuUsage(), performance.now()]
    await run(store, randomMinute)
    wall.push(performance.now() - startedAt)
    const { user, system } = process.cpuUsage(cpuBefore)
    cpuMs += (user + system) / 1000 / times
    storeCpuMs += (place.cpuMs() - storeCpuBefore) / times
    diskKib += (readKib(process.pid) - readBefore) / times
  }
  return { wallMs: median(wall), cpuMs, storeCpuMs, diskKib }
}

/** A time that is not beside another one was set for a store within the process. */
function reachOn(name: StorePlace['name']): (reach: Reach) => boolean {
  return ({ of }) => name === 'SQLite' || of === 'ratio'
}

function table(wide: WideStore, yardstick: WideStore, isAimedAt: (reach: Reach) => boolean = () => false): Row[] {
  return EVERYDAY_OPERATIONS.flatMap(({ name, reach }, index) => {
    const row = (figure: string, unit: string, key: keyof Figures): Row => {
      const of = ({ figures }: WideStore): number[] => (figures[index] ?? []).map((each) => each[key])
      return { figure, unit, values: of(wide), yardstick: of(yardstick) }
    }
    const elsewhere =
      wide.place.name === 'SQLite' ? row('- read from disk', 'KiB', 'diskKib') : row('- CPU of PostgreSQL', 'ms', 'storeCpuMs')
    return [{ ...row(name, 'ms', 'wallMs'), ...(isAimedAt(reach) && { reach }) }, row('- its CPU', 'ms', 'cpuMs'), elsewhere]
  })
}
