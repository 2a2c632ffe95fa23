/** One thread of the bare loop: the next call starts when one has its result. */
import { parentPort } from 'node:worker_threads'
import type { CallRequest } from '../../../src/caller/caller.ts'
import { httpCall } from '../../../src/caller/http-call.ts'

export interface LoopOrder {
  readonly request: CallRequest
  readonly calls: number
  /** how many are under way at once */
  readonly inflight: number
}

parentPort?.on('message', ({ request, calls, inflight }: LoopOrder) => {
  let started = 0
  const callOneAfterTheOther = async (): Promise<void> => {
    while (started < calls) {
      started += 1
      const result = await httpCall(request)
      if (result.kind !== 'answered' || result.status !== 200) throw new Error(`a call of the loop failed: ${JSON.stringify(result)}`)
    }
  }
  void Promise.all(Array.from({ length: inflight }, callOneAfterTheOther)).then(() => parentPort?.postMessage('done'))
})
