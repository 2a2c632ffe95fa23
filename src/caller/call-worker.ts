/** The entry of a worker thread: makes the calls it is given, a limited number at once and in their order, and sends back the results. */
import { parentPort, workerData } from 'node:worker_threads'
import { offsetClock, systemClock } from '../clock.ts'
import type { ClockOffset } from '../clock.ts'
import type { CallResult } from '../domain/attempt/verdict.ts'
import type { CallRequest } from './caller.ts'
import { httpCall } from './http-call.ts'
import { warmUp } from './warm-up.ts'

export interface CallWorkerData {
  /** how many calls may be under way at once */
  readonly concurrency: number
  /** one number, kept by the worker: how many calls it has started. It can be read when the worker is dead. */
  readonly started: BigInt64Array
  /** of the time that deadlines and results go by */
  readonly clockOffset: ClockOffset
}

/** To the worker: calls, numbered from 0 in the order in which they are sent, or the word to start none of those that wait. */
export type ToCallWorker = readonly CallRequest[] | 'stop'

/** From the worker: results, each with the number of its call. */
export type FromCallWorker = readonly { readonly number: number; readonly result: CallResult }[]

if (parentPort === null) throw new Error('call-worker is the entry of a worker thread and cannot be run by itself')
const port = parentPort
const { concurrency, started, clockOffset } = workerData as CallWorkerData
const clock = offsetClock(systemClock, clockOffset)
const waiting: CallRequest[] = []
let underWay = 0
let nextNumber = 0
let results: { number: number; result: CallResult }[] = []

port.on('message', (message: ToCallWorker) => {
  if (message === 'stop') {
    waiting.splice(0).forEach(() => {
      give(nextNumber++, { kind: 'not_called', reason: 'stopping' })
    })
  } else {
    waiting.push(...message)
    startWaiting()
  }
})

// Without it the first call is late, and nothing else is worse.
warmUp().catch(() => undefined)

function startWaiting(): void {
  for (let request; underWay < concurrency && (request = waiting.shift());) {
    const number = nextNumber++
    underWay += 1
    // Before the call: one that a dying worker may have made must never count as not started.
    Atomics.store(started, 0, BigInt(nextNumber))
    void httpCall(request, clock).then((result) => {
      underWay -= 1
      give(number, result)
      startWaiting()
    })
  }
}

/** The results of one turn of the event loop travel together. */
function give(number: number, result: CallResult): void {
  if (results.push({ number, result }) === 1) setImmediate(sendResults)
}

function sendResults(): void {
  port.postMessage(results satisfies FromCallWorker)
  results = []
}
