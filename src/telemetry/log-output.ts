/**
 * Where log lines go. A line that cannot be written is dropped. So a reader that has gone, a full disk or a blocked pipe never stops
 * callme, and never costs much memory.
 */
import type { Writable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'

/** bytes: so much waits for a slow reader */
const MOST_WAITING = 2 ** 20
/** how long the end of the program waits for it */
const PATIENCE_MS = 500

type Stream = Pick<Writable, 'write' | 'writableLength'>

export class LogOutput {
  readonly #stream: Stream
  readonly isTTY: boolean
  #fault: string | undefined
  #dropped = 0

  /** @param stream writes without blocking; its errors must have a listener, because an event without one ends the process */
  constructor(stream: Stream, { isTTY }: { readonly isTTY: boolean }) {
    this.#stream = stream
    this.isTTY = isTTY
  }

  /** Why the latest line was not written, and how many were lost so far; undefined while lines are written. */
  get fault(): string | undefined {
    return this.#fault === undefined ? undefined : `the log cannot be written: ${this.#fault}; ${this.#dropped} lines are lost so far`
  }

  write(line: string): void {
    if (this.#stream.writableLength > MOST_WAITING) this.#drop('its reader does not read')
    else {
      this.#stream.write(line, (error) => {
        if (error) this.#drop(error.message)
        else this.#fault = undefined
      })
    }
  }

  /** Resolves once the lines are written, or after a while. */
  async drained(): Promise<void> {
    const written = new Promise<void>((resolve) => {
      this.#stream.write('', () => {
        resolve()
      })
    })
    await Promise.race([written, setTimeout(PATIENCE_MS)])
  }

  #drop(fault: string): void {
    this.#fault = fault
    this.#dropped += 1
  }
}
