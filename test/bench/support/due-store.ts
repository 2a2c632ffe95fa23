/** A store file full of tasks that are due, written with callme's own store while callme is not running. */
import { randomBytes } from 'node:crypto'
import { newTask } from '../../../src/domain/task.ts'
import { minuteOf } from '../../../src/domain/trigger-time.ts'
import { openSqliteStore } from '../../../src/store/sqlite/open-sqlite-store.ts'

const BATCH = 10_000
/** Long enough that none is out of time before the last round has run. */
const MAX_DELAY_MINUTES = 24 * 60

/** Every task was due at the start of this minute, and calls `callback`. */
export async function fillDueStore(path: string, tasks: number, callback: string): Promise<void> {
  const store = openSqliteStore(path)
  const now = Date.now()
  for (let stored = 0; stored < tasks; stored += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, tasks - stored) }, () =>
      newTask({ name: randomBytes(9).toString('hex'), triggerAt: minuteOf(now) }, { callback, max_delay: MAX_DELAY_MINUTES }),
    )
    await store.put(batch, { now })
  }
  await store.close()
}
