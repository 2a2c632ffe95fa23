/** A caller that makes no call: it records what it is asked for, and a test decides when and how each call ends. */
import type { Caller, CallRequest } from '../../src/caller/caller.ts'
import type { Clock } from '../../src/clock.ts'
import { isHeld, type SharedLease } from '../../src/lease.ts'
import type { CallResult } from '../../src/domain/attempt/verdict.ts'

export class ScriptedCall {
  readonly request: CallRequest
  /** epoch ms; null while it waits behind busy workers */
  startedAt: number | null = null
  isOver = false
  readonly #clock: Clock
  readonly #resolve: (result: CallResult) => void

  constructor(request: CallRequest, clock: Clock, resolve: (result: CallResult) => void) {
    this.request = request
    this.#clock = clock
    this.#resolve = resolve
  }

  /** `name@trigger_at` of its task, as the header has it. */
  get key(): string {
    return this.request.headers['callme-task'] ?? ''
  }

  get host(): string {
    return new URL(this.request.url).host
  }

  answer(status = 200, { body = '', retryAfter }: { body?: string; retryAfter?: string } = {}): void {
    this.end({ kind: 'answered', ...this.#times(), status, body, ...(retryAfter === undefined ? {} : { retryAfter }) })
  }

  /** No complete answer came. */
  fail(error = 'connect ECONNREFUSED'): void {
    this.end({ kind: 'unanswered', ...this.#times(), error })
  }

  /** Nobody knows whether the call was made. */
  lose(error = 'the worker died'): void {
    this.end({ kind: 'lost', ...this.#times(), error })
  }

  end(result: CallResult): void {
    this.isOver = true
    this.#resolve(result)
  }

  #times(): { startedAt: number; endedAt: number } {
    const now = this.#clock.now()
    return { startedAt: this.startedAt ?? now, endedAt: now }
  }
}

export class ScriptedCaller implements Caller {
  /** every call that was started, in order */
  readonly calls: ScriptedCall[] = []
  /** Is told of each call as it starts, and may end it; without a script calls stay under way until the test ends them. */
  script: ((call: ScriptedCall) => void) | undefined
  readonly #clock: Clock
  readonly #lease: SharedLease
  readonly #waiting: ScriptedCall[] = []
  #isBusy = false
  #isStopping = false

  constructor(clock: Clock, lease: SharedLease) {
    this.#clock = clock
    this.#lease = lease
  }

  /** The calls under way, oldest first. */
  get open(): ScriptedCall[] {
    return this.calls.filter((call) => !call.isOver)
  }

  /** The one call under way. @throws Error where there is none, or more than one */
  get only(): ScriptedCall {
    const [call, ...others] = this.open
    if (call === undefined || others.length > 0) throw new Error(`one call should be under way, there are ${this.open.length}`)
    return call
  }

  /** While it is busy, calls wait to be started. */
  setBusy(isBusy: boolean): void {
    this.#isBusy = isBusy
    if (!isBusy) for (const call of this.#waiting.splice(0)) this.#begin(call)
  }

  /** There is nothing to get ready. */
  prepare(): void {
    return
  }

  call(request: CallRequest): Promise<CallResult> {
    return new Promise((resolve) => {
      const call = new ScriptedCall(request, this.#clock, resolve)
      if (this.#isBusy && !this.#isStopping) this.#waiting.push(call)
      else this.#begin(call)
    })
  }

  stop(graceMs: number): Promise<void> {
    this.#isStopping = true
    for (const call of this.#waiting.splice(0)) call.end({ kind: 'not_called', reason: 'stopping' })
    if (this.open.length === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#clock.setTimer(graceMs, () => {
        for (const call of this.open) call.lose('the node stopped before the call had ended')
        resolve()
      })
    })
  }

  #begin(call: ScriptedCall): void {
    if (this.#isStopping) call.end({ kind: 'not_called', reason: 'stopping' })
    else if (this.#clock.now() < call.request.dueAt) call.end({ kind: 'not_called', reason: 'early' })
    else if (this.#clock.now() >= call.request.deadline) call.end({ kind: 'not_called', reason: 'late' })
    else if (!isHeld(this.#lease, call.request, this.#clock.now())) call.end({ kind: 'not_called', reason: 'lease_over' })
    else {
      call.startedAt = this.#clock.now()
      this.calls.push(call)
      this.script?.(call)
    }
  }
}
