/** A store with millions of tasks that wait: random names, spread over the minutes of years to come. */
import { randomBytes } from 'node:crypto'
import { newTask } from '../../../src/domain/task/task.ts'
import type { NewTask } from '../../../src/domain/task/task.ts'
import type { Store } from '../../../src/store/store.ts'

const BATCH = 100_000
/** Few enough that no commit of them takes long. */
const COMMIT = 10_000
const ROWS_PER_MINUTE = 5
export const HOSTS = 100

/** @param minute Unix seconds */
export function randomTask(minute: number, host = randomHost()): NewTask {
  return newTask({ name: randomBytes(9).toString('hex'), triggerAt: minute }, { callback: `http://${host}/run`, payload: { order: 1 } }, 0)
}

export function randomHost(): string {
  return `receiver-${Math.floor(Math.random() * HOSTS)}.test`
}

/** The minute of the row with this number, in Unix seconds. */
export function minuteOfRow(row: number, firstMinute: number): number {
  return firstMinute + 60 * Math.floor(row / ROWS_PER_MINUTE)
}

/**
 * Adds rows until there are `to`. Each batch is sorted by name: every name is random all the same, and no batch writes a page of the
 * index of names twice.
 */
export async function fillWideStore(
  store: Store,
  { from, to, firstMinute }: { from: number; to: number; firstMinute: number },
): Promise<void> {
  for (let row = from; row < to; row += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, to - row) }, (_, index) => randomTask(minuteOfRow(row + index, firstMinute)))
    batch.sort((a, b) => (a.name < b.name ? -1 : 1))
    for (let stored = 0; stored < batch.length; stored += COMMIT) {
      await store.put(batch.slice(stored, stored + COMMIT), { now: Date.now() })
    }
    const filled = row + batch.length
    if (filled % (10 * BATCH) === 0 || filled === to) console.log(`  ${filled} rows after ${(performance.now() / 1000).toFixed(0)} s`)
  }
}
