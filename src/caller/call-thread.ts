/** One worker thread and its calls. A thread that dies is replaced, and each of its calls gets a result. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Clock, ClockOffset } from '../clock.ts'
import type { CallResult } from '../domain/attempt/verdict.ts'
import type { SharedLease } from '../lease.ts'
import type { Log } from '../telemetry/log.ts'
import type { CallWorkerData, FromCallWorker, ToCallWorker } from './call-worker.ts'
import type { CallRequest } from './caller.ts'
import { isShortage } from './shortage.ts'

export interface CallThreadOptions {
  /** how many calls may be under way at once; more calls wait */
  readonly concurrency: number
  /** a thread with a larger heap dies alone; the process lives */
  readonly maxHeapMb: number
  /** how many name lookups may be under way at once */
  readonly lookups: number
  readonly clock: Clock
  /** of `clock`; each thread goes by it as well */
  readonly clockOffset: ClockOffset
  /** under which the calls are claimed */
  readonly lease: SharedLease
  readonly log: Log
}

// The source runs as TypeScript in a checkout, as JavaScript in a built package.
const ENTRY = new URL(`call-worker${extname(import.meta.url)}`, import.meta.url)
/** A thread that dies at once, again and again, must not use a whole core. */
const REPLACE_AFTER_MS = 250
/** So long after a thread could not be started, another one is tried. */
const START_AGAIN_AFTER_MS = 1000
const NOT_CALLED: CallResult = { kind: 'not_called', reason: 'stopping' }
const NO_THREAD: CallResult = { kind: 'not_called', reason: 'shortage', error: 'the node cannot start a thread for calls' }
const DIED = 'the worker thread died while the call was under way; it is not known whether it was made'
const CUT_OFF = 'the node stopped while the call was under way; it is not known how it ended'

export class CallThread {
  readonly #options: CallThreadOptions
  readonly #outstanding = new Map<number, { givenAt: number; resolve: (result: CallResult) => void }>()
  #worker: Worker | undefined
  #started: CallWorkerData['started'] = new BigInt64Array(1)
  #nextNumber = 0
  #unsent: CallRequest[] = []
  #cancelReplacement: (() => void) | undefined
  #isStopping = false
  #onIdle: (() => void) | undefined

  constructor(options: CallThreadOptions) {
    this.#options = options
  }

  /** Starts the thread, unless it runs or is about to. A node without tasks need not spend its memory. */
  prepare(): void {
    if (this.#worker === undefined && this.#cancelReplacement === undefined && !this.#isStopping) this.#spawn()
  }

  /** Whether the thread has died and its replacement does not run yet. */
  get isDead(): boolean {
    return this.#cancelReplacement !== undefined
  }

  /** How many calls have no result yet. */
  get load(): number {
    return this.#outstanding.size
  }

  call(request: CallRequest): Promise<CallResult> {
    this.prepare()
    return new Promise((resolve) => {
      this.#outstanding.set(this.#nextNumber++, { givenAt: this.#options.clock.now(), resolve })
      if (this.#unsent.push(request) === 1) setImmediate(this.#send)
    })
  }

  /** Starts no further call. Resolves when no call is left. `call` must not be used any more. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#cancelReplacement?.()
    for (let number = this.#nextNumber - this.#unsent.splice(0).length; number < this.#nextNumber; number += 1) {
      this.#resolve(number, NOT_CALLED)
    }
    this.#worker?.postMessage('stop' satisfies ToCallWorker)
    if (this.load > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
  }

  /** Ends the thread. The calls under way are cut off and lost. */
  async terminate(): Promise<void> {
    this.#resolveAll(CUT_OFF)
    await this.#worker?.terminate()
  }

  #spawn(): void {
    const started = new BigInt64Array(new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT))
    const { concurrency, maxHeapMb, lookups, clockOffset, lease } = this.#options
    const workerData: CallWorkerData = { concurrency, lookups, started, clockOffset, lease }
    let worker: Worker
    let error: unknown
    try {
      worker = new Worker(ENTRY, { name: 'callme calls', workerData, resourceLimits: { maxOldGenerationSizeMb: maxHeapMb } })
    } catch (cause) {
      this.#replace(cause)
      return
    }
    worker.on('message', (results: FromCallWorker) => {
      for (const { number, result } of results) this.#resolve(number, result)
    })
    worker.on('error', (cause) => {
      error = cause
    })
    // 'exit' comes after the last message and after the error.
    worker.on('exit', (exitCode) => {
      this.#worker = undefined
      if (!this.#isStopping) this.#replace(error, exitCode)
      else this.#resolveAll(DIED)
    })
    this.#started = started
    this.#worker = worker
    this.#send()
  }

  #replace(error: unknown, exitCode?: number): void {
    const { clock, log } = this.#options
    // Calls that cannot begin say so themselves.
    const hasStarted = !isShortage(error)
    if (hasStarted) log.warn('worker.died', { err: error, exit_code: exitCode, calls: this.load })
    this.#resolveAll(DIED, hasStarted ? NOT_CALLED : NO_THREAD)
    this.#cancelReplacement = clock.setTimer(hasStarted ? REPLACE_AFTER_MS : START_AGAIN_AFTER_MS, () => {
      this.#cancelReplacement = undefined
      this.#spawn()
    })
  }

  /** Sends the calls of one turn of the event loop together. */
  readonly #send = (): void => {
    if (this.#worker === undefined || this.#unsent.length === 0) return
    this.#worker.postMessage(this.#unsent satisfies ToCallWorker)
    this.#unsent = []
  }

  #resolve(number: number, result: CallResult): void {
    this.#outstanding.get(number)?.resolve(result)
    this.#outstanding.delete(number)
    if (this.load === 0) this.#onIdle?.()
  }

  /** The started calls are lost with the thread. The other calls were not made. */
  #resolveAll(error: string, others = NOT_CALLED): void {
    const started = Atomics.load(this.#started, 0)
    const endedAt = this.#options.clock.now()
    for (const [number, { givenAt }] of this.#outstanding) {
      this.#resolve(number, number < started ? { kind: 'lost', startedAt: givenAt, endedAt, error } : others)
    }
    this.#unsent = []
    this.#nextNumber = 0
    this.#started = new BigInt64Array(1)
  }
}
