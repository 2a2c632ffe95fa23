/**
 * `npm run bench -- [NAME …] [options]`: runs the named benches one after the other, each in a process of its own; without a name all that
 * need no installation. `npm run bench:table -- [NAME …] [options]` keeps what they find in `results.json` and `README.md`; without a name it
 * runs all.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { loadavg } from 'node:os'
import type { Finding } from './support/findings.ts'
import { fsyncMs, thisMachine } from './support/machine.ts'
import { keepResult, measuredVersion } from './support/results.ts'

const NAMES = [
  'register',
  'drain',
  'latency',
  'punctual',
  'fairness',
  'slow-host',
  'slots',
  'heavy-clients',
  'scale',
  'rot',
  'memory',
  'ledger',
]
const NAMED_ONLY = ['peers']
/** So that all of them together take less than an hour, where nobody says how much each is to do. */
const SHORTER: Readonly<Record<string, readonly string[]>> = {
  scale: ['--rows', '2000000'],
  ledger: ['--rows', '1000000'],
  rot: ['--tasks', '200000'],
}
const KEEP = '--keep'

const [keeping, given] = [process.argv[2] === KEEP, process.argv.slice(2).filter((argument) => argument !== KEEP)]
const firstOption = given.findIndex((argument) => argument.startsWith('-'))
const named = firstOption === -1 ? given : given.slice(0, firstOption)
const options = firstOption === -1 ? [] : given.slice(firstOption)

const known = [...NAMES, ...NAMED_ONLY]
const unknown = named.filter((name) => !known.includes(name))
if (unknown.length > 0) {
  console.error(`there is no bench ${unknown.join(', ')}; known are ${known.join(', ')}, then options such as --rounds 5`)
  process.exit(2)
}

const names = named.length > 0 ? named : keeping ? known : NAMES
const [machine, version] = [thisMachine(), measuredVersion()]
console.log(`callme ${version}; Node ${machine.node}, ${machine.cores} cores, ${machine.memoryGib} GiB`)
for (const name of names) {
  const told = keeping && options.length === 0 ? (SHORTER[name] ?? []) : options
  // A shared machine or a slow disk shows here.
  const circumstances = `load before the start ${(loadavg()[0] ?? 0).toFixed(2)}, fsync ${fsyncMs().toFixed(2)} ms`
  console.log(`\n${[name, ...told].join(' ')}: ${circumstances}`)
  const startedAt = performance.now()
  const findings = await run(name, told)
  if (!keeping) continue
  keepResult(machine, name, {
    command: ['npm run bench --', name, ...told].join(' '),
    measuredAt: new Date().toISOString(),
    seconds: (performance.now() - startedAt) / 1000,
    version,
    findings: [{ kind: 'note', text: circumstances }, ...findings],
  })
}

/** Ends the whole run where the bench fails. */
async function run(name: string, told: readonly string[]): Promise<Finding[]> {
  const script = new URL(`${name}.ts`, import.meta.url).pathname
  const bench = spawn(process.execPath, [script, ...told], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'], serialization: 'advanced' })
  const findings: Finding[] = []
  bench.on('message', (finding) => findings.push(finding as Finding))
  const [code, signal] = (await once(bench, 'close')) as [number | null, string | null]
  if (signal !== null) console.error(`${name} was ended by ${signal}`)
  if (code !== 0) process.exit(code ?? 1)
  return findings
}
