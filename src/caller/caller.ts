/** The seam to the network: one HTTP call, its request and its plain result. */
import type { CallResult } from '../domain/attempt/verdict.ts'
import type { Claimed } from '../lease.ts'

/** One call. It crosses to a worker thread, so it holds only plain data. Where its claim does not hold any more, no request is sent. */
export interface CallRequest extends Claimed {
  readonly url: string
  readonly method: string
  /** every header of the call, in lower case, `callme-*` and `content-type` included */
  readonly headers: Readonly<Record<string, string>>
  /** undefined where the method carries none */
  readonly body: string | undefined
  /** from connecting to the last byte */
  readonly timeoutMs: number
  /** epoch ms; before it (the clock was set back) no request is sent and the result is `not_called` */
  readonly dueAt: number
  /** epoch ms; at or after it no request is sent and the result is `not_called` */
  readonly deadline: number
  /** epoch ms; at or after it (the node was frozen) another node may make the call, so no request is sent: the result is `not_called` */
  readonly leaseUntil: number
  /** Whether it may use an older connection, which the receiver may close at any moment: only for a call that is tried again. */
  readonly mayReuseConnection: boolean
}

export interface Caller {
  /** Gets ready for coming calls, so that the first one is on time. */
  prepare(): void
  /** Makes one call and never retries it. Resolves with every result, bad ones too; it does not reject. */
  call(request: CallRequest): Promise<CallResult>
  /**
   * Starts no further call: waiting calls resolve as `not_called`. Calls under way may end within `graceMs`; then they are cut off and
   * resolve as `lost`. Resolves when no call is left.
   */
  stop(graceMs: number): Promise<void>
}
