/** One listener's connection: its position, and the patience with a listener that does not read. It keeps at most one block in the socket. */
import type { ServerResponse } from 'node:http'
import type { Clock } from '../../clock.ts'
import type { Log } from '../../telemetry/log.ts'
import { formatNotice, pickEvents } from './event-block.ts'
import type { EventBlock, EventFilter } from './event-block.ts'

export const EVENT_STREAM_HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache',
  // nginx would hold the events back until its buffer is full.
  'X-Accel-Buffering': 'no',
  // The end of the stream is the end of the connection: a server that stops need not wait for the client to close it.
  Connection: 'close',
} as const

/** How long a listener may leave a write unread. */
const PATIENCE_MS = 30_000
/** How long a dropped listener has to read the reason, before its connection is cut. */
const FAREWELL_MS = 15_000
/** The same where the server stops, which must not wait for listeners that do not read. */
const STOP_MS = 1000
/** How long a client waits before it connects again. */
const RETRY_MS = 3000

export interface StreamStart {
  /** the id after which the stream starts */
  readonly position: number
  /** why the listener has missed events, where it has */
  readonly missed?: string
}

interface StreamOptions {
  readonly res: ServerResponse
  readonly filter: EventFilter
  readonly start: StreamStart
  readonly clock: Clock
  readonly log: Log
  /** is called once, when the stream takes no more blocks */
  readonly onEnd: () => void
  /** is called when the connection is closed */
  readonly onClose: () => void
}

export class EventStream {
  readonly #options: StreamOptions
  #position: number
  #isOver = false
  #cancelTimer: () => void = () => undefined
  #wake: () => void = () => undefined

  /** Answers the request. */
  constructor(options: StreamOptions) {
    this.#options = options
    const { res, start, onClose } = options
    this.#position = start.position
    res.on('drain', () => {
      // The timer of a stream that is over cuts its connection.
      if (this.#isOver) return
      this.#cancelTimer()
      this.wake()
    })
    res.on('close', () => {
      this.#leave()
      onClose()
    })
    res.writeHead(200, EVENT_STREAM_HEADERS)
    const missed = start.missed === undefined ? '' : formatNotice('missed', start.missed, start.position)
    this.#write(`: this stream tells of changes of tasks\nretry: ${RETRY_MS}\nid: ${start.position}\n\n${missed}`)
  }

  /** Every change up to this id has been written, or is none that the listener wants. */
  get position(): number {
    return this.#position
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Whether it takes a block: it is not over, and the last write has left. */
  get isReady(): boolean {
    return !this.#isOver && !this.#options.res.writableNeedDrain
  }

  /** @returns a promise that lasts until `wake`, until the last write has left, or until the stream is over */
  sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  wake(): void {
    this.#wake()
  }

  /** @param block holds the change that follows `position` */
  take(block: EventBlock): void {
    const bytes = pickEvents(block, this.#position, this.#options.filter)
    this.#position = block.last
    if (bytes.length > 0) this.#write(bytes)
  }

  /** Shows that the connection lives, and the position: a listener whose filter lets little through resumes from there. */
  keepAlive(): void {
    if (this.isReady) this.#write(`: still here\nid: ${this.#position}\n\n`)
  }

  /** Ends the stream because the changes after `position` are no longer kept. */
  outrun(): void {
    const error = `the events after ${this.#position} are kept no longer: there were more of them than could be read; connect again to go on`
    this.#drop('outrun', error)
  }

  /** Ends the stream because the server stops. A stream that was dropped before has no more time either. */
  stop(): void {
    this.#end(': callme stops; connect again to go on\n\n', STOP_MS)
  }

  #write(text: string | Buffer): void {
    if (this.#options.res.write(text)) return
    this.#cancelTimer()
    this.#cancelTimer = this.#options.clock.setTimer(PATIENCE_MS, () => {
      this.#drop('unread', `nothing was read for ${PATIENCE_MS / 1000} seconds; connect again to go on after the last event that was read`)
    })
  }

  #drop(reason: 'outrun' | 'unread', error: string): void {
    this.#options.log.info('listener.dropped', { reason, last_event_id: this.#position })
    this.#end(formatNotice('dropped', error), FAREWELL_MS)
  }

  #end(lastWords: string, farewellMs: number): void {
    const { res, clock } = this.#options
    if (!this.#isOver) res.end(lastWords)
    this.#leave()
    this.#cancelTimer = clock.setTimer(farewellMs, () => res.destroy())
  }

  #leave(): void {
    this.#cancelTimer()
    if (this.#isOver) return
    this.#isOver = true
    this.#options.onEnd()
    this.wake()
  }
}
