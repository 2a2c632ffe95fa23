/** The yardsticks of the drain bench: the same calls by one client in as many threads as a node has, and nothing around them. */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { newTask } from '../../../src/domain/task/task.ts'
import { minuteOf } from '../../../src/domain/time/trigger-time.ts'
import { callRequestOf } from '../../../src/scheduler/call-request.ts'
import { openSqliteStore } from '../../../src/store/sqlite/open-sqlite-store.ts'
import { VERSION } from '../../../src/version.ts'
import { answerParent } from './child.ts'
import type { LoopOrder } from './call-loop-worker.ts'

export type CallLoopVerbs = typeof verbs

const INFLIGHT = 128
const TIMEOUT_MS = 15_000
/** As many as a node has. */
const THREADS = availableParallelism() > 2 ? 2 : 1

const threads = Array.from({ length: THREADS }, () => new Worker(new URL('call-loop-worker.ts', import.meta.url)))

const verbs = {
  /** Makes that many calls and answers when the last has its result. */
  run: async (client: LoopOrder['client'], callback: string, calls: number): Promise<void> => {
    const request = await sampleRequest(callback)
    const share = (whole: number, index: number): number => Math.floor((whole + index) / THREADS)
    await Promise.all(
      threads.map((thread, index) => runIn(thread, { client, request, calls: share(calls, index), inflight: share(INFLIGHT, index) })),
    )
  },
}
answerParent(verbs)

function runIn(thread: Worker, order: LoopOrder): Promise<void> {
  return new Promise((resolve, reject) => {
    thread.once('message', () => {
      resolve()
    })
    thread.once('error', reject)
    thread.postMessage(order)
  })
}

/** What callme sends for a task of the drain. */
async function sampleRequest(callback: string): Promise<LoopOrder['request']> {
  const now = Date.now()
  const store = openSqliteStore(':memory:')
  const [result] = await store.put([newTask({ name: '0123456789abcdef01', triggerAt: minuteOf(now) }, { callback, max_delay: 60 }, now)], {
    now,
  })
  await store.close()
  if (!result || !('task' in result)) throw new Error('the store took no task')
  const claimed = { ...result.task, attempts: 1, leaseUntil: Number.MAX_SAFE_INTEGER }
  const request = callRequestOf(claimed, { version: VERSION, timeoutMs: TIMEOUT_MS, expectedStatus: 200 })
  if (request === undefined) throw new Error('the task has nothing to call')
  return request
}
