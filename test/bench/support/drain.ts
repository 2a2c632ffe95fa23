/** One drain: callme is started on a store full of due tasks and watched until the last result is stored. */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Program } from '../../support/program.ts'
import { startCallme } from './callme.ts'
import type { Child } from './child.ts'
import { cpuMs } from './process-usage.ts'
import type { ReceiverVerbs } from './receiver.ts'

export interface Drain {
  /** filled by `fillDueStore`; it is copied, so each round finds the same */
  readonly filledStore: string
  readonly folder: string
  readonly tasks: number
  readonly receiver: Child<ReceiverVerbs>
  readonly profile?: string | undefined
  /** is told that the API listens and calls are being made */
  readonly onStart?: (program: Program) => Promise<void>
}

/** What it took to make a number of calls, from the first that the receiver saw to the last. */
export interface CallFigures {
  /** calls per second */
  readonly rate: number
  /** of the process that makes them, with all its threads; for callme until every result is stored */
  readonly cpuMicros: number
}

/** @returns the figures, and the program, which now has nothing to do: `stopCallme` is the caller's */
export async function drain({
  filledStore,
  folder,
  tasks,
  receiver,
  profile,
  onStart,
}: Drain): Promise<{ figures: CallFigures; program: Program }> {
  const store = join(folder, `drained-${Date.now()}.db`)
  copyFileSync(filledStore, store)
  await receiver.ask('reset')
  const firstCall = receiver.ask('arrival', 1)
  const program = await startCallme(store, profile)
  const started = onStart?.(program)
  const figures = await measureCalls(program.pid, { receiver, calls: tasks, firstCall, isDone: () => allSucceeded(program, tasks) })
  await started
  return { figures, program }
}

/** @param firstCall resolves with the arrival of the first one; `isDone` when the caller of the calls has finished with the last */
export async function measureCalls(
  pid: number,
  {
    receiver,
    calls,
    firstCall,
    isDone,
  }: { receiver: Child<ReceiverVerbs>; calls: number; firstCall: Promise<void>; isDone: () => Promise<void> },
): Promise<CallFigures> {
  await firstCall
  const cpuAtFirst = cpuMs(pid)
  await receiver.ask('arrival', calls)
  await isDone()
  const cpu = cpuMs(pid) - cpuAtFirst
  const arrivals = await receiver.ask('arrivals')
  if (arrivals.length !== calls) throw new Error(`${arrivals.length} calls were received for ${calls} tasks`)
  const seconds = ((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)) / 1000
  return { rate: calls / seconds, cpuMicros: (1000 * cpu) / calls }
}

async function allSucceeded(program: Program, tasks: number): Promise<void> {
  for (;;) {
    const { body } = await program.json('/ready')
    if ((body['tasks'] as { successful: number }).successful === tasks) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
