/**
 * Reads the status line of each answer beside undici's parser. The parser refuses answers that break the rules of HTTP, and gives no
 * status for them. Informational answers (1xx) are taken out of what the parser sees, because it gives up at a status of 100.
 */
import type { Socket } from 'node:net'

const STATUS = /^HTTP\/\d\.\d ([1-9]\d\d)[ \r\n]/
/** Of text that may yet become the status of an answer. */
const STATUS_BEGUN = /^(?:H|HT|HTT|HTTP|HTTP\/|HTTP\/\d|HTTP\/\d\.|HTTP\/\d\.\d(?: (?:[1-9]\d{0,2})?)?)$/
/** `HTTP/1.1 200` and one more character */
const STATUS_BYTES = 13
const SWITCHING_PROTOCOLS = 101
const NOTHING = Buffer.alloc(0)
const [LF, CR] = [0x0a, 0x0d]

export class AnswerHead {
  #status: number | undefined
  #held: Buffer = NOTHING
  #isInformational = false
  #isOver = false

  /** Waits for the answer to the next request. */
  begin(): void {
    this.#status = undefined
    this.#held = NOTHING
    this.#isInformational = false
    this.#isOver = false
  }

  /** The final status of the answer; undefined as long as it has not come. */
  get status(): number | undefined {
    return this.#status
  }

  /** @returns the part of the bytes that a parser may see; the rest was informational or waits for more */
  pass(chunk: Buffer): Buffer {
    if (this.#isOver) return chunk
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    this.#held = NOTHING
    for (;;) {
      if (this.#isInformational) {
        const end = endOfHead(bytes)
        // The end of a head may be cut in two.
        if (end === -1) return this.#hold(bytes.subarray(-2))
        bytes = bytes.subarray(end)
        this.#isInformational = false
      }
      while (bytes[0] === CR || bytes[0] === LF) bytes = bytes.subarray(1)
      const text = bytes.toString('latin1', 0, STATUS_BYTES)
      if (text === '' || STATUS_BEGUN.test(text)) return this.#hold(bytes)
      const status = Number(STATUS.exec(text)?.[1])
      this.#isInformational = status < 200 && status !== SWITCHING_PROTOCOLS
      if (!this.#isInformational) {
        this.#isOver = true
        this.#status = Number.isNaN(status) ? undefined : status
        return bytes
      }
    }
  }

  #hold(bytes: Buffer): Buffer {
    this.#held = bytes
    return NOTHING
  }
}

/** Has every byte that a parser reads from the socket pass through `head` before. */
export function tapAnswers(socket: Socket, head: AnswerHead): void {
  const read = socket.read.bind(socket)
  socket.read = (size?: number): Buffer | null => {
    for (;;) {
      const chunk = read(size) as Buffer | null
      if (chunk === null) return null
      const seen = head.pass(chunk)
      if (seen.length > 0) return seen
    }
  }
}

/** Where the empty line ends that ends a head; -1 where it has not come. */
function endOfHead(bytes: Buffer): number {
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at + 1] === LF) return at + 2
    if (bytes[at + 1] === CR && bytes[at + 2] === LF) return at + 3
  }
  return -1
}
