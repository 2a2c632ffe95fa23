/** Notices that the node is short of something that calls need, such as descriptors: says so once, and as long as it lasts. */
import type { Clock } from '../clock.ts'
import type { Log } from '../telemetry/log.ts'

/** A shortage is over when no call has met it for so long. Calls that met it are made again each second. */
const LASTS_MS = 5000

export class ShortageWatch {
  readonly #clock: Clock
  readonly #log: Log
  #last: { readonly reason: string; readonly at: number } | undefined

  constructor({ clock, log }: { clock: Clock; log: Log }) {
    this.#clock = clock
    this.#log = log
  }

  /** A call could not be begun. @param reason a sentence */
  note(reason: string): void {
    if (this.readiness().shortage === null) this.#log.error('node.short', { error: reason })
    this.#last = { reason, at: this.#clock.monotonic() }
  }

  /** In how many ms the shortage is over, unless another call meets it; undefined where there is none. */
  endsIn(): number | undefined {
    const left = (this.#last?.at ?? -Infinity) + LASTS_MS - this.#clock.monotonic()
    return left > 0 ? left : undefined
  }

  /** What the node is short of; null where it is not. */
  readiness(): { shortage: string | null } {
    return { shortage: this.endsIn() === undefined ? null : (this.#last?.reason ?? null) }
  }
}
