/**
 * What all event streams share: each change is read and formatted once, however many listen, and only while somebody does. Streams
 * are served in turns of bounded work, those that are behind as well as those that are not, so that everything else is let in between.
 */
import type { ServerResponse } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import { CallmeError } from '../../domain/errors.ts'
import type { TaskChange } from '../../domain/task/task-change.ts'
import type { AppOptions } from '../app-options.ts'
import { formatBlock } from './event-block.ts'
import type { EventBlock, EventFilter } from './event-block.ts'
import { EventStream } from './event-stream.ts'
import type { StreamStart } from './event-stream.ts'

const KEEP_ALIVE_MS = 15_000
/** How many streams are given a block in one turn of the event loop. */
const STREAMS_PER_TURN = 16
/** How much is read and formatted in one turn. */
const CHANGES_PER_READ = 500
const BYTES_PER_READ = 2 ** 20
/** How much is held for streams that are about equally far. */
const HELD_BYTES = 8 * 2 ** 20

type HubOptions = Pick<AppOptions, 'store' | 'clock' | 'log' | 'defaults' | 'stopping'>

export class EventHub {
  readonly #options: HubOptions
  readonly #streams = new Set<EventStream>()
  /** those that are told of nothing more among them, until their connection is closed */
  readonly #connected = new Set<EventStream>()
  /** those that may be behind and can be written to; the one that waits longest comes first */
  readonly #waiting = new Set<EventStream>()
  #isServing = false
  /** those read last */
  #blocks: EventBlock[] = []
  #heldBytes = 0
  /** of the last read: the oldest change that is kept, and the newest one */
  #first = 0
  #newest = 0
  /** whether there may be changes after `#newest` */
  #isBehind = true
  #letGo: () => void = () => undefined
  #cancelKeepAlive: () => void = () => undefined

  constructor(options: HubOptions) {
    this.#options = options
    options.stopping.addEventListener('abort', () => {
      for (const stream of this.#connected) stream.stop()
    })
  }

  /** Answers a request with a stream, which lasts until the client leaves, is dropped, or the server stops. */
  open(res: ServerResponse, filter: EventFilter, start: StreamStart): void {
    const { clock, log, stopping } = this.#options
    if (this.#streams.size === 0) this.#begin()
    const stream: EventStream = new EventStream({
      ...{ res, filter, start, clock, log },
      onDrain: () => {
        this.#serveSoon(stream)
      },
      onEnd: () => {
        this.#remove(stream)
      },
      onClose: () => {
        this.#connected.delete(stream)
      },
    })
    this.#streams.add(stream)
    this.#connected.add(stream)
    if (stopping.aborted) stream.stop()
    else this.#serveSoon(stream)
  }

  #remove(stream: EventStream): void {
    this.#waiting.delete(stream)
    this.#streams.delete(stream)
    if (this.#streams.size === 0) this.#rest()
  }

  #begin(): void {
    this.#isBehind = true
    this.#letGo = this.#options.store.onChange(() => {
      this.#serveAll()
    })
    this.#keepAliveLater()
  }

  #rest(): void {
    this.#letGo()
    this.#cancelKeepAlive()
    this.#blocks = []
    this.#heldBytes = 0
  }

  #keepAliveLater(): void {
    this.#cancelKeepAlive = this.#options.clock.setTimer(KEEP_ALIVE_MS, () => {
      for (const stream of this.#streams) stream.keepAlive()
      // A read may have failed since, or word of a change been lost.
      this.#serveAll()
      this.#keepAliveLater()
    })
  }

  #serveAll(): void {
    this.#isBehind = true
    for (const stream of this.#streams) this.#serveSoon(stream)
  }

  #serveSoon(stream: EventStream): void {
    if (stream.isReady) this.#waiting.add(stream)
    if (!this.#isServing) void this.#serve()
  }

  async #serve(): Promise<void> {
    this.#isServing = true
    while (this.#waiting.size > 0) {
      await setImmediate()
      const unread = this.#serveTurn()
      if (unread !== undefined) await this.#read(unread)
    }
    this.#isServing = false
  }

  /** @returns the position of a stream for which something must be read, which ends the turn */
  #serveTurn(): number | undefined {
    let served = 0
    for (const stream of this.#waiting) {
      if (served === STREAMS_PER_TURN) break
      served += 1
      const { position } = stream
      const isUpToDate = position >= this.#newest && !this.#isBehind
      const block = isUpToDate ? undefined : this.#blockAfter(position)
      const isOutrun = position + 1 < this.#first
      if (!isUpToDate && block === undefined && !isOutrun) return position
      this.#waiting.delete(stream)
      if (block !== undefined) this.#give(stream, block)
      else if (!isUpToDate) stream.outrun()
    }
    return undefined
  }

  #give(stream: EventStream, block: EventBlock): void {
    if (stream.isReady) stream.take(block)
    if (stream.isReady) this.#waiting.add(stream)
  }

  #blockAfter(position: number): EventBlock | undefined {
    return this.#blocks.findLast(({ after, last }) => after <= position && position < last)
  }

  /** What cannot be read now is read after the next change, or with the next sign of life: nobody loses anything by it. */
  async #read(after: number): Promise<void> {
    const { store, log } = this.#options
    this.#isBehind = false
    try {
      const { changes, first, last } = await store.changes({ after, limit: CHANGES_PER_READ })
      if (this.#streams.size === 0) return
      this.#first = first
      this.#newest = changes.length === 0 ? after : last
      if (after + 1 >= first) this.#hold(after, changes)
    } catch (error) {
      this.#isBehind = true
      this.#waiting.clear()
      const fields = { method: 'GET', err: error }
      if (error instanceof CallmeError) log.warn('request.failed', fields)
      else log.error('request.failed', fields)
    }
  }

  /** Up to what is held already, so that streams that are about equally far come together. */
  #hold(after: number, changes: readonly TaskChange[]): void {
    let [last, rest, bytes] = [after, changes, 0]
    while (rest.length > 0 && bytes < BYTES_PER_READ && this.#blockAfter(last) === undefined) {
      const block = formatBlock(last, rest, this.#options.defaults)
      this.#blocks.push(block)
      bytes += block.bytes.length
      last = block.last
      rest = rest.slice(block.events.length)
    }
    this.#heldBytes += bytes
    while (this.#heldBytes > HELD_BYTES) this.#heldBytes -= this.#blocks.shift()?.bytes.length ?? 0
  }
}
