/** `npm run bench -- [NAME …] [options]`: runs the named benches one after the other, each in a process of its own; without a name all that need no installation. */
import { spawnSync } from 'node:child_process'
import { fdatasyncSync, openSync, writeSync } from 'node:fs'
import { availableParallelism, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { temporaryFolder } from '../support/program.ts'
import { median } from './support/table.ts'

const NAMES = ['register', 'drain', 'latency', 'punctual', 'fairness', 'slow-host', 'scale', 'rot', 'memory', 'ledger']
const NAMED_ONLY = ['peers']
const PAGE_BYTES = 4096
const FSYNCS = 200

const given = process.argv.slice(2)
const firstOption = given.findIndex((argument) => argument.startsWith('-'))
const names = firstOption === -1 ? given : given.slice(0, firstOption)
const options = firstOption === -1 ? [] : given.slice(firstOption)

const known = [...NAMES, ...NAMED_ONLY]
const unknown = names.filter((name) => !known.includes(name))
if (unknown.length > 0) {
  console.error(`there is no bench ${unknown.join(', ')}; known are ${known.join(', ')}, then options such as --rounds 5`)
  process.exit(2)
}

describeMachine()
for (const name of names.length > 0 ? names : NAMES) {
  const script = new URL(`${name}.ts`, import.meta.url).pathname
  const { status, signal } = spawnSync(process.execPath, [script, ...options], { stdio: 'inherit' })
  if (signal !== null) console.error(`${name} was ended by ${signal}`)
  if (status !== 0) process.exit(status ?? 1)
}

/** What the figures depend on besides callme: a shared machine or a slow disk shows here. */
function describeMachine(): void {
  const gigabytes = (totalmem() / 2 ** 30).toFixed(0)
  const [load = 0] = loadavg()
  const machine = `Node ${process.version}, ${availableParallelism()} cores, ${gigabytes} GiB, load before the start ${load.toFixed(2)}`
  console.log(`${machine}, fsync ${median(fsyncTimes()).toFixed(2)} ms`)
}

/** How long it takes to make one page durable where the benches keep their stores, ms. */
function fsyncTimes(): number[] {
  using folder = temporaryFolder()
  const file = openSync(join(folder.path, 'page'), 'w')
  const page = Buffer.alloc(PAGE_BYTES)
  return Array.from({ length: FSYNCS }, () => {
    writeSync(file, page)
    const startedAt = performance.now()
    fdatasyncSync(file)
    return performance.now() - startedAt
  })
}
