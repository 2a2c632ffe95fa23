/** One drain: callme is started on a store full of due tasks and watched until the last result is stored. */
import type { Program } from '../../support/program.ts'
import { spawnCallme, stopCallme } from './callme.ts'
import type { Child } from './child.ts'
import { cpuMs } from './process-usage.ts'
import type { ReceiverVerbs } from './receiver.ts'
import type { StorePlace } from './store-place.ts'

export interface Drain {
  readonly place: StorePlace
  /** filled by `fillDueStore`; it is copied, so each round finds the same */
  readonly filledStore: string
  readonly tasks: number
  readonly receiver: Child<ReceiverVerbs>
  /** how many nodes share the store; one where absent */
  readonly nodes?: number
  /** settings of each node */
  readonly flags?: readonly string[]
  /** ms until the receiver answers a call; at once where absent */
  readonly answerAfterMs?: number
  readonly profile?: string | undefined
  /** is told that the API listens and calls are being made */
  readonly onStart?: (program: Program) => Promise<void>
  /** is told that every result is stored, and that the program now has nothing to do */
  readonly onEnd?: (program: Program) => Promise<void> | void
}

/** What it took to make a number of calls. */
export interface CallFigures {
  /** calls per second, from the first that the receiver saw to the last */
  readonly rate: number
  /** tasks per second, from the first call that the receiver saw until every result is stored */
  readonly recordedRate: number
  /** of the processes that make the calls, with all their threads, until every result is stored */
  readonly cpuMicros: number
  /** the same of the store's own processes */
  readonly storeCpuMicros: number
}

export interface Watched {
  readonly receiver: Child<ReceiverVerbs>
  readonly calls: number
  /** resolves with the arrival of the first call */
  readonly firstCall: Promise<void>
  /** the processes that make them */
  readonly pids: readonly number[]
  /** where they find them */
  readonly place?: StorePlace
  /** resolves when the caller of the calls has finished with the last */
  readonly isDone: () => Promise<void>
}

export async function drain(drain: Drain): Promise<CallFigures> {
  const { place, filledStore, tasks, receiver, nodes = 1, flags, answerAfterMs, profile, onStart, onEnd } = drain
  const store = await place.create(filledStore)
  await receiver.ask('reset', answerAfterMs)
  const firstCall = receiver.ask('arrival', 1)
  const programs = await Promise.all(Array.from({ length: nodes }, () => spawnCallme(store, profile, flags)))
  const [program] = programs
  if (program === undefined) throw new Error('a drain needs a node')
  const pids = programs.map(({ pid }) => pid)
  const measured = measureCalls({ place, receiver, calls: tasks, firstCall, pids, isDone: () => allSucceeded(program, tasks) })
  await Promise.all(programs.map((each) => each.started()))
  await onStart?.(program)
  const figures = await measured
  await onEnd?.(program)
  for (const each of programs) await stopCallme(each)
  await place.remove(store)
  return figures
}

export async function measureCalls({ receiver, calls, firstCall, pids, place, isDone }: Watched): Promise<CallFigures> {
  const cpu = (): number => pids.reduce((sum, pid) => sum + cpuMs(pid), 0)
  const storeCpu = (): number => place?.cpuMs() ?? 0
  await firstCall
  const [cpuAtFirst, storeCpuAtFirst] = [cpu(), storeCpu()]
  await receiver.ask('arrival', calls)
  await isDone()
  const endedAt = Date.now()
  const micros = (ms: number): number => (1000 * ms) / calls
  const [cpuMicros, storeCpuMicros] = [micros(cpu() - cpuAtFirst), micros(storeCpu() - storeCpuAtFirst)]
  const arrivals = await receiver.ask('arrivals')
  if (arrivals.length !== calls) throw new Error(`${arrivals.length} calls were received for ${calls} tasks`)
  const [first = 0, last = 0] = [arrivals[0], arrivals.at(-1)]
  const rateUntil = (end: number): number => (1000 * calls) / (end - first)
  return { rate: rateUntil(last), recordedRate: rateUntil(endedAt), cpuMicros, storeCpuMicros }
}

async function allSucceeded(program: Program, tasks: number): Promise<void> {
  for (;;) {
    const { body } = await program.json('/ready')
    if ((body['tasks'] as { successful: number }).successful === tasks) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
