/** What the store's work costs with many rows that wait: the same operations on a file with none, with a tenth of them and with all, in turn. */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { minuteOf } from '../../src/domain/trigger-time.ts'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import type { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { temporaryFolder } from '../support/program.ts'
import { readOptions } from './support/options.ts'
import { EVERYDAY_OPERATIONS } from './support/store-operations.ts'
import type { Operation, RandomMinute } from './support/store-operations.ts'
import { readKib } from './support/process-usage.ts'
import { median, printTable } from './support/table.ts'
import { fillWideStore, minuteOfRow } from './support/wide-store.ts'

interface Figures {
  readonly wallMs: number
  readonly cpuMs: number
  /** what was not in memory any more */
  readonly diskKib: number
}

const DAY_S = 86_400

const { rounds, rows, times } = readOptions({ rounds: 5, rows: 10_000_000, times: 20 })
const firstMinute = minuteOf(Date.now()) + DAY_S
using folder = temporaryFolder()
const sizes = [0, Math.ceil(rows / 10), rows]
const stores = await openStores()
const randomMinutes = sizes.map((count) => () => minuteOfRow(Math.floor(Math.random() * (count || rows)), firstMinute))

/** figures[operation][size][round] */
const figures: Figures[][][] = EVERYDAY_OPERATIONS.map(() => stores.map(() => []))
for (let round = 0; round <= rounds; round += 1) {
  for (const [index, operation] of EVERYDAY_OPERATIONS.entries()) {
    for (const [size, store] of stores.entries()) {
      const measured = await measure(operation, store, randomMinutes[size] ?? (() => firstMinute))
      // The first round warms up.
      if (round > 0) figures[index]?.[size]?.push(measured)
    }
  }
}
for (const store of stores) await store.close()

for (const [size, count] of [...sizes.entries()].slice(1)) {
  const table = EVERYDAY_OPERATIONS.flatMap(({ name, reach }, index) => {
    const of = (key: keyof Figures, place: number): number[] => (figures[index]?.[place] ?? []).map((figure) => figure[key])
    return [
      { figure: name, unit: 'ms', values: of('wallMs', size), yardstick: of('wallMs', 0), reach },
      { figure: '- its CPU', unit: 'ms', values: of('cpuMs', size), yardstick: of('cpuMs', 0) },
      { figure: '- read from disk', unit: 'KiB', values: of('diskKib', size), yardstick: of('diskKib', 0) },
    ]
  })
  printTable(`scale: ${count} rows wait; the median of ${times} times, ${rounds} rounds after a warm-up`, 'a store where none waits', table)
}

/** One file for each size; the smaller one is a copy of the larger one on its way. */
async function openStores(): Promise<SqliteStore[]> {
  const paths = sizes.map((count, index) => join(folder.path, `${index}-${count}.db`))
  const [emptyPath = '', partPath = '', fullPath = ''] = paths
  const [, part = 0, full = 0] = sizes
  const first = openSqliteStore(fullPath)
  await fillWideStore(first, { from: 0, to: part, firstMinute })
  await first.close()
  copyFileSync(fullPath, partPath)
  const all = openSqliteStore(fullPath)
  await fillWideStore(all, { from: part, to: full, firstMinute })
  return [openSqliteStore(emptyPath), openSqliteStore(partPath), all]
}

async function measure({ prepare, run }: Operation, store: SqliteStore, randomMinute: RandomMinute): Promise<Figures> {
  const wall: number[] = []
  let [cpuMs, diskKib] = [0, 0]
  for (let time = 0; time < times; time += 1) {
    await prepare?.(store)
    const [readBefore, cpuBefore, startedAt] = [readKib(process.pid), process.cpuUsage(), performance.now()]
    await run(store, randomMinute)
    wall.push(performance.now() - startedAt)
    const { user, system } = process.cpuUsage(cpuBefore)
    cpuMs += (user + system) / 1000 / times
    diskKib += (readKib(process.pid) - readBefore) / times
  }
  return { wallMs: median(wall), cpuMs, diskKib }
}
