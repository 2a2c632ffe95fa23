/** What the store's work costs with many rows that wait: the same operations on a file with none, with a tenth of them and with all, in turn. */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { minuteOf } from '../../src/domain/trigger-time.ts'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import type { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { temporaryFolder } from '../support/program.ts'
import { readOptions } from './support/options.ts'
import { everydayOperations } from './support/store-operations.ts'
import type { Operation } from './support/store-operations.ts'
import { median, printTable } from './support/table.ts'
import { fillWideStore, minuteOfRow } from './support/wide-store.ts'

interface Figures {
  readonly wallMs: number
  readonly cpuMs: number
}

const DAY_S = 86_400

const { rounds, rows, times } = readOptions({ rounds: 5, rows: 10_000_000, times: 20 })
const firstMinute = minuteOf(Date.now()) + DAY_S
using folder = temporaryFolder()
const sizes = [0, Math.ceil(rows / 10), rows]
const stores = await openStores()
const operations = everydayOperations(() => minuteOfRow(Math.floor(Math.random() * rows), firstMinute))

/** figures[operation][size][round] */
const figures: Figures[][][] = operations.map(() => stores.map(() => []))
for (let round = 0; round <= rounds; round += 1) {
  for (const [index, operation] of operations.entries()) {
    for (const [size, store] of stores.entries()) {
      const measured = await measure(store, operation)
      // The first round warms up.
      if (round > 0) figures[index]?.[size]?.push(measured)
    }
  }
}
for (const store of stores) await store.close()

for (const [size, count] of [...sizes.entries()].slice(1)) {
  const table = operations.flatMap(({ name, reach }, index) => {
    const of = (key: keyof Figures, place: number): number[] => (figures[index]?.[place] ?? []).map((figure) => figure[key])
    return [
      { figure: name, unit: 'ms', values: of('wallMs', size), yardstick: of('wallMs', 0), reach },
      { figure: '- its CPU', unit: 'ms', values: of('cpuMs', size), yardstick: of('cpuMs', 0) },
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

async function measure(store: SqliteStore, { prepare, run }: Operation): Promise<Figures> {
  const wall: number[] = []
  let cpuMs = 0
  for (let time = 0; time < times; time += 1) {
    await prepare?.(store)
    const [startedAt, cpuAtStart] = [performance.now(), process.cpuUsage()]
    await run(store)
    wall.push(performance.now() - startedAt)
    const { user, system } = process.cpuUsage(cpuAtStart)
    cpuMs += (user + system) / 1000
  }
  return { wallMs: median(wall), cpuMs: cpuMs / times }
}
