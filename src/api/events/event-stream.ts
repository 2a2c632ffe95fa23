/** One listener: the loop that writes its events, and the patience with one that does not read. It keeps one block at most. */
import type { ServerResponse } from 'node:http'
import type { Clock } from '../../clock.ts'
import type { Log } from '../../telemetry/log.ts'
import { formatNotice, pickEvents, type EventBlock, type EventFilter } from './event-block.ts'
import type { EventHub } from './event-hub.ts'

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
}

export class EventStream {
  readonly #options: StreamOptions
  /** Every change up to this id has been written, or is none that the listener wants. */
  #position: number
  #isOver = false
  #cancelTimer: () => void = () => undefined
  /** Ends the loop's sleep. */
  wake: () => void = () => undefined

  /** Answers the request. */
  constructor(options: StreamOptions) {
    this.#options = options
    const { res, start } = options
    this.#position = start.position
    res.on('drain', () => {
      // The timer of a stream that is over cuts its connection.
      if (!this.#isOver) this.#cancelTimer()
      this.wake()
    })
    res.on('close', () => {
      this.#cancelTimer()
      this.#isOver = true
      this.wake()
    })
    res.writeHead(200, EVENT_STREAM_HEADERS)
    const missed = start.missed === undefined ? '' : formatNotice('missed', start.missed, start.position)
    this.#write(`: this stream tells of changes of tasks\nretry: ${RETRY_MS}\nid: ${start.position}\n\n${missed}`)
  }

  /** Writes events until the stream is over. A change that cannot be read is read after the next change or sign of life. */
  async serve(hub: EventHub): Promise<void> {
    while (!this.#isOver) {
      const next = this.#isReady ? hub.after(this.#position) : 'none'
      if (next === 'none') await this.#sleep()
      else if (next === 'unread') {
        if (!(await hub.read(this.#position))) await this.#sleep()
      } else {
        await hub.turn()
        if (this.#isReady) this.#take(next)
      }
    }
  }

  /** Shows that the connection lives, and the position: a listener whose filter lets little through resumes from there. */
  keepAlive(): void {
    if (this.#isReady) this.#write(`: still here\nid: ${this.#position}\n\n`)
  }

  /** Ends the stream because the server stops. A stream that was dropped before has no more time either. */
  stop(): void {
    this.#end(': callme stops; connect again to go on\n\n', STOP_MS)
  }

  /** Whether it takes a block: it is not over, and the last write has left. */
  get #isReady(): boolean {
    return !this.#isOver && !this.#options.res.writableNeedDrain
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => (this.wake = resolve))
  }

  #take(next: EventBlock | 'outrun'): void {
    if (next === 'outrun') {
      const error = `the events after ${this.#position} are kept no longer: there were more of them than could be read; connect again to go on`
      this.#drop(next, error)
      return
    }
    const bytes = pickEvents(next, this.#position, this.#options.filter)
    this.#position = next.last
    if (bytes.length > 0) this.#write(bytes)
  }

  #write(text: string | Buffer): void {
    if (this.#options.res.write(text)) return
    const error = `nothing was read for ${PATIENCE_MS / 1000} seconds; connect again to go on after the last event that was read`
    this.#setTimer(PATIENCE_MS, () => {
      this.#drop('unread', error)
    })
  }

  #drop(reason: 'outrun' | 'unread', error: string): void {
    this.#options.log.info('listener.dropped', { reason, last_event_id: this.#position })
    this.#end(formatNotice('dropped', error), FAREWELL_MS)
  }

  #end(lastWords: string, farewellMs: number): void {
    const { res } = this.#options
    if (!this.#isOver) res.end(lastWords)
    this.#isOver = true
    this.#setTimer(farewellMs, () => res.destroy())
    this.wake()
  }

  #setTimer(ms: number, act: () => void): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#options.clock.setTimer(ms, act)
  }
}
