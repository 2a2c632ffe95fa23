/** One thread of the bare loop: the next call starts when one has its result. */
import { parentPort } from 'node:worker_threads'
import type { CallRequest } from '../../../src/caller/caller.ts'
import { httpCall } from '../../../src/caller/http-call.ts'
import { bareCall } from './bare-call.ts'

export interface LoopOrder {
  /** `undici`: as callme makes its calls */
  readonly client: 'undici' | 'node:http'
  readonly request: CallRequest
  readonly calls: number
  /** how many are under way at once */
  readonly inflight: number
}

parentPort?.on('message', ({ client, request, calls, inflight }: LoopOrder) => {
  const call = client === 'undici' ? httpCall : bareCall
  let started = 0
  const callOneAfterTheOther = async (): Promise<void> => {
    while (started < calls) {
      started += 1
      const result = await call(request)
      if (!('status' in result) || result.status !== 200) throw new Error(`a call of the loop failed: ${JSON.stringify(result)}`)
    }
  }
  void Promise.all(Array.from({ length: inflight }, callOneAfterTheOther)).then(() => parentPort?.postMessage('done'))
})
