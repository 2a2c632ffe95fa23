/**
 * Where log lines go. A line that cannot be written is dropped. So a reader that has gone, a full disk or a blocked pipe never stops
 * callme, and never costs much memory.
 */
import type { Writable } from 'node:stream'

/** bytes: so much waits for a slow reader */
const MOST_WAITING = 2 ** 20

export class LogOutput {
  readonly #stream: Pick<Writable, 'write' | 'writableLength'>
  readonly isTTY: boolean
  #fault: string | undefined
  #dropped = 0

  /** @param stream its errors must have a listener, as an event without one ends the process */
  constructor(stream: Pick<Writable, 'write' | 'writableLength'> & { readonly isTTY?: boolean }) {
    this.#stream = stream
    this.isTTY = stream.isTTY === true
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

  #drop(fault: string): void {
    this.#fault = fault
    this.#dropped += 1
  }
}
