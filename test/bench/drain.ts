/** How fast callme works off what is due: calls to a fast local receiver, beside a bare loop of the same got client in as many threads. */
import { join } from 'node:path'
import { temporaryFolder } from '../support/program.ts'
import { stopCallme } from './support/callme.ts'
import { Child } from './support/child.ts'
import { drain, measureCalls } from './support/drain.ts'
import type { CallFigures } from './support/drain.ts'
import { fillDueStore } from './support/due-store.ts'
import type { GotLoopVerbs } from './support/got-loop.ts'
import { readOptions } from './support/options.ts'
import { printProfiles } from './support/profile.ts'
import type { ReceiverVerbs } from './support/receiver.ts'
import { printTable } from './support/table.ts'

const { rounds, tasks, profile } = readOptions({ rounds: 3, tasks: 100_000 })
using folder = temporaryFolder()
const filledStore = join(folder.path, 'filled.db')
await using receiver = new Child<ReceiverVerbs>('receiver.ts')
const url = await receiver.ask('start')
await fillDueStore(filledStore, tasks, url)

const [drains, loops]: [CallFigures[], CallFigures[]] = [[], []]
for (let round = 0; round < rounds; round += 1) {
  const { figures, program } = await drain({
    filledStore,
    folder: folder.path,
    tasks,
    receiver,
    profile: round === 0 ? profile : undefined,
  })
  await stopCallme(program)
  drains.push(figures)
  loops.push(await loop())
}

const of = (key: keyof CallFigures): { values: number[]; yardstick: number[] } => ({
  values: drains.map((f) => f[key]),
  yardstick: loops.map((f) => f[key]),
})
printTable(
  `drain: ${tasks} due tasks, from the first call that arrives to the last, ${rounds} rounds`,
  'a bare loop of the same got client, as many threads',
  [
    { figure: 'rate', unit: 'calls/s', ...of('rate'), reach: { of: 'ratio', is: 'at least', bound: 0.7 } },
    { figure: 'CPU', unit: 'µs/call', ...of('cpuMicros'), reach: { of: 'difference', is: 'at most', bound: 40 } },
  ],
)
if (profile !== undefined) printProfiles(profile)

/** A process of its own for each round, as callme's is. */
async function loop(): Promise<CallFigures> {
  await using child = new Child<GotLoopVerbs>('got-loop.ts')
  await receiver.ask('reset')
  const firstCall = receiver.ask('arrival', 1)
  const done = child.ask('run', url, tasks)
  return await measureCalls(child.pid, { receiver, calls: tasks, firstCall, isDone: () => done })
}
