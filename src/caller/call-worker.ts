/** The main file of a worker thread: makes calls in their order, a limited number at once, and sends back the results. */
import { parentPort, workerData } from 'node:worker_threads'
import { offsetClock, systemClock, type ClockOffset } from '../clock.ts'
import type { CallResult } from '../domain/attempt/verdict.ts'
import type { SharedLease } from '../lease.ts'
import type { CallRequest } from './caller.ts'
import { Connections } from './connections.ts'
import { httpCall } from './http-call.ts'
import { NameLookup } from './name-lookup.ts'
import { warmUp } from './warm-up.ts'

export interface CallWorkerData {
  /** how many calls may be under way at once */
  readonly concurrency: number
  /** how many name lookups may be under way at once */
  readonly lookups: number
  /** one number: how many calls the worker has started. The main thread can read it when the worker is dead. */
  readonly started: BigInt64Array
  /** of the clock for deadlines and results */
  readonly clockOffset: ClockOffset
  readonly lease: SharedLease
}

/** To the worker: calls, numbered from 0 in the order of sending, or `stop`, after which no waiting call starts. */
export type ToCallWorker = readonly CallRequest[] | 'stop'

/** From the worker: results, each with the number of its call. */
export type FromCallWorker = readonly { readonly number: number; readonly result: CallResult }[]

if (parentPort === null) throw new Error('call-worker is the entry of a worker thread and cannot be run by itself')
const port = parentPort
const { concurrency, lookups, started, clockOffset, lease } = workerData as CallWorkerData
const clock = offsetClock(systemClock, clockOffset)
const connections = new Connections(new NameLookup({ slots: lookups, clock: systemClock }))
const waiting: CallRequest[] = []
let underWay = 0
let nextNumber = 0
let results: FromCallWorker[number][] = []

port.on('message', (message: ToCallWorker) => {
  if (message !== 'stop') waiting.push(...message)
  else while (waiting.pop()) give(nextNumber++, { kind: 'not_called', reason: 'stopping' })
  startWaiting()
})

// A failed warm-up only makes the first call late.
warmUp().catch(() => undefined)

function startWaiting(): void {
  for (let request; underWay < concurrency && (request = waiting.shift());) {
    const number = nextNumber++
    underWay += 1
    // Before the call: a call that a dying worker may have made must count as started.
    Atomics.store(started, 0, BigInt(nextNumber))
    void httpCall(request, clock, connections, lease).then((result) => {
      underWay -= 1
      give(number, result)
      startWaiting()
    })
  }
}

/** Sends the results of one turn of the event loop together. */
function give(number: number, result: CallResult): void {
  if (results.push({ number, result }) > 1) return
  setImmediate(() => {
    port.postMessage(results)
    results = []
  })
}
