/** All event streams of an app. Each has a loop of its own; they share what is read, one timer, and the turns of the event loop. */
import type { ServerResponse } from 'node:http'
import type { AppOptions } from '../app-options.ts'
import type { EventFilter } from './event-block.ts'
import { EventStream } from './event-stream.ts'
import type { StreamStart } from './event-stream.ts'
import { EventTail } from './event-tail.ts'

const KEEP_ALIVE_MS = 15_000
/** How many streams may write a block in one turn of the event loop, so that everything else is let in between. */
const STREAMS_PER_TURN = 16

export class EventHub {
  readonly #options: AppOptions
  readonly #tail: EventTail
  /** the streams that are not over */
  readonly #streams = new Set<EventStream>()
  /** the streams whose connection is not closed */
  readonly #connected = new Set<EventStream>()
  /** the streams that wait for their turn, by what lets them go on; longest first */
  #turns: (() => void)[] = []
  #ignoreChanges: () => void = () => undefined
  #cancelKeepAlive: () => void = () => undefined

  constructor(options: AppOptions) {
    this.#options = options
    this.#tail = new EventTail(options)
    options.stopping.addEventListener('abort', () => {
      for (const stream of this.#connected) stream.stop()
    })
  }

  /** Answers a request with a stream, which lasts until the client leaves, is dropped, or the server stops. */
  open(res: ServerResponse, filter: EventFilter, start: StreamStart): void {
    const { clock, log, stopping } = this.#options
    if (this.#streams.size === 0) this.#begin()
    const onEnd = (): void => {
      this.#streams.delete(stream)
      if (this.#streams.size === 0) this.#rest()
    }
    const stream: EventStream = new EventStream({ res, filter, start, clock, log, onEnd, onClose: () => this.#connected.delete(stream) })
    this.#streams.add(stream)
    this.#connected.add(stream)
    if (stopping.aborted) stream.stop()
    else void this.#serve(stream)
  }

  /** What cannot be read now is read after the next change or sign of life, so a failing store costs a listener nothing. */
  async #serve(stream: EventStream): Promise<void> {
    while (!stream.isOver) {
      const next = stream.isReady ? this.#tail.after(stream.position) : 'none'
      if (next === 'none') await stream.sleep()
      else if (next === 'unread') {
        if (!(await this.#tail.read(stream.position))) await stream.sleep()
      } else {
        await this.#turn()
        if (!stream.isReady) continue
        if (next === 'outrun') stream.outrun()
        else stream.take(next)
      }
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#turns.push(resolve) === 1) setImmediate(this.#nextTurn)
    })
  }

  readonly #nextTurn = (): void => {
    for (const goOn of this.#turns.splice(0, STREAMS_PER_TURN)) goOn()
    if (this.#turns.length > 0) setImmediate(this.#nextTurn)
  }

  #begin(): void {
    this.#tail.expectMore()
    this.#ignoreChanges = this.#options.store.onChange(() => {
      this.#wakeAll()
    })
    this.#keepAliveLater()
  }

  #rest(): void {
    this.#ignoreChanges()
    this.#cancelKeepAlive()
    this.#tail.clear()
  }

  #keepAliveLater(): void {
    this.#cancelKeepAlive = this.#options.clock.setTimer(KEEP_ALIVE_MS, () => {
      for (const stream of this.#streams) stream.keepAlive()
      // A read may have failed since, or the store may have missed a change.
      this.#wakeAll()
      this.#keepAliveLater()
    })
  }

  #wakeAll(): void {
    this.#tail.expectMore()
    for (const stream of this.#streams) stream.wake()
  }
}
