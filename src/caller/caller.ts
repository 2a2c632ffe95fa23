/** The seam to the network: one HTTP call, its request and its plain outcome. */
import type { CallResult } from '../domain/attempt/verdict.ts'

/** Everything one call needs; it crosses to a worker thread, so it holds only plain data. */
export interface CallRequest {
  readonly url: string
  readonly method: string
  /** every header of the call, in lower case, `callme-*` and `content-type` included */
  readonly headers: Readonly<Record<string, string>>
  /** undefined where the method carries none */
  readonly body: string | undefined
  /** from connecting to the last byte */
  readonly timeoutMs: number
  /** epoch ms; before it no request is sent, because the clock was set back, and the result is `not_called` */
  readonly dueAt: number
  /** epoch ms; at or after it no request is sent and the result is `not_called` */
  readonly deadline: number
  /**
   * Whether the call may use a connection of an earlier one. The receiver may be closing it at that moment, and then the call fails:
   * what is not tried again wants a connection of its own.
   */
  readonly mayReuseConnection: boolean
}

export interface Caller {
  /** Gets ready for calls that will come, so that the first one is on time. */
  prepare(): void
  /** Makes one call and never retries it. Resolves with every outcome, bad ones too; it does not reject. */
  call(request: CallRequest): Promise<CallResult>
  /**
   * Starts no further call: those that wait resolve as `not_called`. Those under way may end within `graceMs`, then
   * they are cut off and resolve as `lost`. Resolves when no call is left.
   */
  stop(graceMs: number): Promise<void>
}
