/** The caller of a node: spreads calls over worker threads, so that the main thread stays free for the API and the store. */
import { CallThread, type CallThreadOptions } from './call-thread.ts'
import type { Caller } from './caller.ts'

/** The concurrency is that of all threads together. */
export interface WorkerPoolOptions extends Omit<CallThreadOptions, 'maxHeapMb' | 'lookups'>, Partial<Pick<CallThreadOptions, 'maxHeapMb'>> {
  /** how many threads make calls */
  readonly workers: number
  /** how many threads libuv has; half of them may look up names. libuv starts 4 unless it is told otherwise. */
  readonly poolThreads?: number
}

/** Enough for several hundred calls with the largest payload. */
const MAX_HEAP_MB = 1024
const DEFAULT_POOL_THREADS = 4
/** So many lookups are left to the rest of the node, where it is not the only one. */
const OTHER_LOOKUPS = 1

/**
 * The threads start with `prepare` or the first call. When a thread dies, it is replaced; its started calls resolve as `lost`, its
 * waiting calls as `not_called`.
 */
export function createWorkerPool(pool: WorkerPoolOptions): Caller {
  const { workers, concurrency, maxHeapMb = MAX_HEAP_MB, poolThreads = DEFAULT_POOL_THREADS, clock, clockOffset, lease, log } = pool
  const count = Math.min(workers, concurrency)
  const lookups = Math.max(1, Math.floor((Math.floor((poolThreads + 1) / 2) - OTHER_LOOKUPS) / count))
  const options = { maxHeapMb, lookups, clock, clockOffset, lease, log }
  const share = (index: number) => Math.floor((concurrency + index) / count)
  const threads = Array.from({ length: count }, (_, index) => new CallThread({ ...options, concurrency: share(index) }))
  let stopped: Promise<void> | undefined

  async function stop(graceMs: number): Promise<void> {
    const drained = Promise.all(threads.map((thread) => thread.stop()))
    await new Promise<void>((resolve) => {
      const cancel = clock.setTimer(graceMs, resolve)
      void drained.then(cancel).then(resolve)
    })
    await Promise.all(threads.map((thread) => thread.terminate()))
  }

  return {
    prepare: () => {
      for (const thread of threads) thread.prepare()
    },
    call(request) {
      if (stopped) return Promise.resolve({ kind: 'not_called', reason: 'stopping' })
      return threads.reduce(lessLoaded).call(request)
    },
    stop: (graceMs) => (stopped ??= stop(graceMs)),
  }
}

function lessLoaded(one: CallThread, other: CallThread): CallThread {
  if (one.isDead !== other.isDead) return one.isDead ? other : one
  return other.load < one.load ? other : one
}
