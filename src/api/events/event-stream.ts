/**
 * One listener's connection: how far it has been told, and what happens when it does not read. Nothing is kept for it but what
 * one write of a block has left in the socket.
 */
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

/** How long a listener may leave what was written to it unread. */
const PATIENCE_MS = 30_000
/** How long a listener that was dropped has to read why, before its connection is cut. */
const FAREWELL_MS = 15_000
/** The same where the server stops, which must not wait for those that do not read. */
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
  /** is told that the stream can take blocks again */
  readonly onDrain: () => void
  /** is told that it takes no more */
  readonly onEnd: () => void
  /** is told that its connection is closed */
  readonly onClose: () => void
}

export class EventStream {
  readonly #options: StreamOptions
  #position: number
  #isOver = false
  #cancelTimer: () => void = () => undefined

  /** Answers the request. */
  constructor(options: StreamOptions) {
    this.#options = options
    const { res, start } = options
    this.#position = start.position
    res.on('drain', () => {
      this.#drained()
    })
    res.on('close', () => {
      this.#close()
    })
    res.writeHead(200, EVENT_STREAM_HEADERS)
    const missed = start.missed === undefined ? '' : formatNotice('missed', start.missed, start.position)
    this.#write(`: this stream tells of changes of tasks\nretry: ${RETRY_MS}\nid: ${start.position}\n\n${missed}`)
  }

  /** Every change up to this id has been written, or is none that the listener wants. */
  get position(): number {
    return this.#position
  }

  /** Whether it takes a block: it is not over, and what was written before has left. */
  get isReady(): boolean {
    return !this.#isOver && !this.#options.res.writableNeedDrain
  }

  /** @param block one that holds the change that follows `position` */
  take(block: EventBlock): void {
    const bytes = pickEvents(block, this.#position, this.#options.filter)
    this.#position = block.last
    if (bytes !== undefined) this.#write(bytes)
  }

  /** Shows that the connection lives, and how far it is: a listener whose filter lets little through resumes from there. */
  keepAlive(): void {
    if (this.isReady) this.#write(`: still here\nid: ${this.#position}\n\n`)
  }

  /** Ends the stream because what follows `position` is no longer kept. */
  outrun(): void {
    const error = `the events after ${this.#position} are kept no longer: there were more of them than could be read; connect again to go on`
    this.#drop('outrun', error)
  }

  /** Ends the stream because the server stops; one that was dropped before has no more time either. */
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

  #drained(): void {
    if (this.#isOver) return
    this.#cancelTimer()
    this.#options.onDrain()
  }

  #drop(reason: 'outrun' | 'unread', error: string): void {
    this.#options.log.info('listener.dropped', { reason, last_event_id: this.#position })
    this.#end(formatNotice('dropped', error), FAREWELL_MS)
  }

  #end(lastWords: string, farewellMs: number): void {
    const { res, clock } = this.#options
    if (!this.#isOver) {
      this.#leave()
      res.end(lastWords)
    }
    this.#cancelTimer()
    this.#cancelTimer = clock.setTimer(farewellMs, () => res.destroy())
  }

  #close(): void {
    this.#cancelTimer()
    if (!this.#isOver) this.#leave()
    this.#options.onClose()
  }

  #leave(): void {
    this.#cancelTimer()
    this.#isOver = true
    this.#options.onEnd()
  }
}
