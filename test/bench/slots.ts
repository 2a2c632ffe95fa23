/** How many slots are enough: the same due tasks with so many slots each, to receivers that answer soon, after a second and after 20 seconds. */
import { minuteOf } from '../../src/domain/time/trigger-time.ts'
import { temporaryFolder } from '../support/program.ts'
import { Child } from './support/child.ts'
import { drain } from './support/drain.ts'
import { dueTask, fillStore } from './support/due-store.ts'
import { readOptions } from './support/options.ts'
import { memoryMb } from './support/process-usage.ts'
import type { ReceiverVerbs } from './support/receiver.ts'
import { sqlitePlace } from './support/store-place.ts'
import { printTable } from './support/table.ts'

const SLOTS = [64, 128, 256, 512]
const DEFAULT_SLOTS = 256
const ANSWERS_AFTER_MS = [5, 1000, 20_000]
/** Longer than the slowest answer. */
const TIMEOUT_SECONDS = '60'

const { rounds, hosts, tasks } = readOptions({ rounds: 1, hosts: 100, tasks: 10_000 })
using folder = temporaryFolder()
await using receiver = new Child<ReceiverVerbs>('receiver.ts')
const { port } = new URL(await receiver.ask('start', '0.0.0.0'))
const place = sqlitePlace(folder.path)
const filledStore = await place.create()
const minute = minuteOf(Date.now())
let n = 0
await fillStore(filledStore, tasks, () => dueTask(minute, `http://127.0.1.${(n++ % hosts) + 1}:${port}/`))

for (const answerAfterMs of ANSWERS_AFTER_MS) {
  const measured = SLOTS.map((slots) => ({ slots, seconds: [] as number[], cpu: [] as number[], memory: [] as number[] }))
  for (let round = 0; round < rounds; round += 1) {
    for (const { slots, seconds, cpu, memory } of measured) {
      const flags = ['--max-inflight', String(slots), '--timeout', TIMEOUT_SECONDS]
      const figures = await drain({
        ...{ place, filledStore, tasks, receiver, flags, answerAfterMs },
        onEnd: ({ pid }) => void memory.push(memoryMb(pid).peak),
      })
      seconds.push(tasks / figures.rate)
      cpu.push(figures.cpuMicros)
    }
  }
  const byDefault = measured.find(({ slots }) => slots === DEFAULT_SLOTS)
  printTable(
    `slots: ${tasks} due tasks of ${hosts} hosts that answer after ${answerAfterMs} ms, from the first call that arrives to the last, ${rounds} rounds`,
    `${DEFAULT_SLOTS} slots, the default`,
    measured.flatMap(({ slots, seconds, cpu, memory }) => [
      { figure: `${slots} slots, until the last call has arrived`, unit: 's', values: seconds, yardstick: byDefault?.seconds ?? [] },
      { figure: '- CPU', unit: 'µs/call', values: cpu, yardstick: byDefault?.cpu ?? [] },
      { figure: '- peak memory', unit: 'MB', values: memory, yardstick: byDefault?.memory ?? [] },
    ]),
  )
}
