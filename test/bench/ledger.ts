/** What it takes to account for every run of a large store: `callme verify` over all rows, beside the same over a tenth of them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { text } from 'node:stream/consumers'
import type { LedgerReport } from '../../src/verify/verify.ts'
import { temporaryFolder } from '../support/program.ts'
import { fillEndedStore } from './support/ended-store.ts'
import { readOptions } from './support/options.ts'
import { startPostgres } from './support/postgres.ts'
import { memoryMb } from './support/process-usage.ts'
import { sqlitePlace } from './support/store-place.ts'
import { printTable } from './support/table.ts'

interface Figures {
  readonly rowsPerSecond: number
  readonly peakMb: number
}

const PROGRAM = fileURLToPath(new URL('../../bin/callme.js', import.meta.url))
const MEMORY_EVERY_MS = 50

const { rounds, rows } = readOptions({ rounds: 3, rows: 10_000_000 })
using folder = temporaryFolder()
await using postgres = await startPostgres()
for (const place of [sqlitePlace(folder.path), postgres]) {
  const tenth = Math.ceil(rows / 10)
  const [all, few] = [await place.create(), await place.create()]
  await fillEndedStore(all, rows)
  await fillEndedStore(few, tenth)
  for (const store of [all, few]) await place.settle(store)
  const [ofAll, ofFew]: [Figures[], Figures[]] = [[], []]
  for (let round = 0; round < rounds; round += 1) {
    ofFew.push(await verify(few, tenth))
    ofAll.push(await verify(all, rows))
  }
  const row = (key: keyof Figures) => ({ values: ofAll.map((each) => each[key]), yardstick: ofFew.map((each) => each[key]) })
  printTable(`ledger on ${place.name}: callme verify over ${rows} rows, ${rounds} rounds`, `the same over ${tenth} rows`, [
    { figure: 'rate', unit: 'rows/s', ...row('rowsPerSecond'), reach: { of: 'ratio', is: 'at least', bound: 0.5 } },
    { figure: 'peak memory', unit: 'MB', ...row('peakMb'), reach: { of: 'ratio', is: 'at most', bound: 2 } },
  ])
  for (const store of [all, few]) await place.remove(store)
}

async function verify(store: string, expected: number): Promise<Figures> {
  const startedAt = performance.now()
  const child = spawn(process.execPath, [PROGRAM, 'verify', '--json', '--store', store], { stdio: ['ignore', 'pipe', 'inherit'] })
  let peakMb = 0
  const watch = setInterval(() => {
    if (child.pid !== undefined && child.exitCode === null) peakMb = Math.max(peakMb, memoryMb(child.pid).peak || 0)
  }, MEMORY_EVERY_MS)
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number]>])
  clearInterval(watch)
  const { due, on_time: onTime } = JSON.parse(output) as LedgerReport
  if (code !== 0 || due !== expected || onTime !== expected) throw new Error(`verify ended with ${code}: ${output}`)
  return { rowsPerSecond: (1000 * expected) / (performance.now() - startedAt), peakMb }
}
