/** What is left of a contestant's jobs after `kill -9`: in the middle of its work, and just after it had answered that all are stored. */
import { setTimeout } from 'node:timers/promises'
import { Child } from './child.ts'
import type { Contestant, Jobs } from './contestant.ts'
import type { ReceiverVerbs } from './receiver.ts'

/** Due jobs, some called twice, none forgotten: what a person wants to know after a crash. */
export interface AfterKill {
  readonly count: number
  /** how many were called, by a process that lived until the answer, within the time that was waited */
  readonly called: number
  readonly repeated: number
  /** from the start after the crash until the last of them was called, or was no longer waited for */
  readonly ms: number
}

const LOOK_EVERY_MS = 20
/** So that calls are under way when the process is killed. */
const ANSWER_AFTER_MS = 50
const NEVER_CALLED = 'http://127.0.0.1:9/'
const HOUR_MS = 3_600_000

/** Kills the process when half of the jobs are called, starts it again at once, and waits until each was called or `patienceMs` are over. */
export async function killWhileWorking(contestant: Contestant, count: number, patienceMs: number): Promise<AfterKill> {
  await using receiver = new Child<ReceiverVerbs>('receiver.ts')
  const url = await receiver.ask('start')
  await using place = await contestant.openPlace()
  const store = await place.create()
  await contestant.fill(store, { count, url, dueAt: Date.now() })
  await receiver.ask('reset', ANSWER_AFTER_MS)
  const first = await contestant.launch(store)
  const half = receiver.ask('arrival', Math.ceil(count / 2))
  await first.work()
  await half
  await first.kill()

  const restartedAt = performance.now()
  const second = await contestant.launch(store)
  await second.work()
  for (;;) {
    const { answered, repeated } = await receiver.ask('paths')
    const ms = performance.now() - restartedAt
    if (answered < count && ms < patienceMs) {
      await setTimeout(LOOK_EVERY_MS)
      continue
    }
    await second.kill()
    return { count, called: answered, repeated, ms }
  }
}

/**
 * Kills the process, and the server of its store where it has one, as soon as the last job is answered to be stored.
 * @returns how many of them are there after both have started again
 */
export async function killAfterAnswer(contestant: Contestant, count: number): Promise<number> {
  await using place = await contestant.openPlace()
  const store = await place.create()
  const first = await contestant.launch(store)
  const jobs: Jobs = { count, url: NEVER_CALLED, dueAt: Date.now() + HOUR_MS }
  await first.addEach(jobs)
  await Promise.all([first.kill(), place.crash?.()])
  const second = await contestant.launch(store)
  const there = await second.waiting()
  await second.kill()
  return there
}
