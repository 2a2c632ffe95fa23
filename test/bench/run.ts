/** `npm run bench -- [NAME …] [options]`: runs the named benches one after the other, each in a process of its own; without a name all of them. */
import { spawnSync } from 'node:child_process'
import { availableParallelism, loadavg, totalmem } from 'node:os'

const NAMES = ['register', 'drain', 'latency', 'punctual', 'scale', 'memory']

const given = process.argv.slice(2)
const firstOption = given.findIndex((argument) => argument.startsWith('-'))
const names = firstOption === -1 ? given : given.slice(0, firstOption)
const options = firstOption === -1 ? [] : given.slice(firstOption)

const unknown = names.filter((name) => !NAMES.includes(name))
if (unknown.length > 0) {
  console.error(`there is no bench ${unknown.join(', ')}; known are ${NAMES.join(', ')}, then options such as --rounds 5`)
  process.exit(2)
}

const gigabytes = (totalmem() / 2 ** 30).toFixed(0)
const [load = 0] = loadavg()
console.log(`Node ${process.version}, ${availableParallelism()} cores, ${gigabytes} GiB, load before the start ${load.toFixed(2)}`)
for (const name of names.length > 0 ? names : NAMES) {
  const script = new URL(`${name}.ts`, import.meta.url).pathname
  const { status } = spawnSync(process.execPath, [script, ...options], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
