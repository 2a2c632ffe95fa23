/** A store full of tasks that are due, written with callme's own store while callme is not running. */
import { randomBytes } from 'node:crypto'
import { newTask } from '../../../src/domain/task/task.ts'
import type { NewTask } from '../../../src/domain/task/task.ts'
import { minuteOf } from '../../../src/domain/time/trigger-time.ts'
import { openStore } from './open-store.ts'

const BATCH = 10_000
/** Long enough that none is out of time before the last round has run. */
const MAX_DELAY_MINUTES = 24 * 60

/** Every task was due at the start of this minute, and calls `callback`. @param store what `--store` takes */
export async function fillDueStore(store: string, tasks: number, callback: string): Promise<void> {
  const minute = minuteOf(Date.now())
  await fillStore(store, tasks, () => dueTask(minute, callback))
}

/** @param task makes each of them */
export async function fillStore(place: string, tasks: number, task: () => NewTask): Promise<void> {
  const store = await openStore(place)
  for (let stored = 0; stored < tasks; stored += BATCH) {
    await store.put(Array.from({ length: Math.min(BATCH, tasks - stored) }, task), { now: Date.now() })
  }
  await store.close()
}

/** @param minute Unix seconds, in the past */
export function dueTask(minute: number, callback: string): NewTask {
  return newTask({ name: randomBytes(9).toString('hex'), triggerAt: minute }, { callback, max_delay: MAX_DELAY_MINUTES }, 0)
}
