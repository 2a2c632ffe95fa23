/** What the figures depend on besides callme. */
import { fdatasyncSync, openSync, writeSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { temporaryFolder } from '../../support/program.ts'
import { median } from './table.ts'

/** What stays the same from run to run. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
  readonly system: string
  readonly node: string
}

const PAGE_BYTES = 4096
const FSYNCS = 200

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    node: process.version,
  }
}

/** How long it takes to make one page durable where the benches keep their stores, ms: the median of many times. */
export function fsyncMs(): number {
  using folder = temporaryFolder()
  const file = openSync(join(folder.path, 'page'), 'w')
  const page = Buffer.alloc(PAGE_BYTES)
  const times = Array.from({ length: FSYNCS }, () => {
    writeSync(file, page)
    const startedAt = performance.now()
    fdatasyncSync(file)
    return performance.now() - startedAt
  })
  return median(times)
}
