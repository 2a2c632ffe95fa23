/** What all event streams share: the changes that were read last, the turns of the event loop, and the signs of life. */
import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CallmeError } from '../../domain/errors.ts'
import type { LostChanges, TaskChange } from '../../domain/task/task-change.ts'
import type { AppOptions } from '../app-options.ts'
import { formatBlock, type EventBlock, type EventFilter } from './event-block.ts'
import { EventStream, type StreamStart } from './event-stream.ts'

const KEEP_ALIVE_MS = 15_000
/** How many streams write in one turn of the event loop, so that everything else is let in between. */
const STREAMS_PER_TURN = 16
/** How much is read and formatted in one turn. */
const CHANGES_PER_READ = 500
const BYTES_PER_READ = 2 ** 20
/** How much is held for streams that are about equally far. */
const HELD_BYTES = 8 * 2 ** 20

export class EventHub {
  readonly #options: AppOptions
  /** until their connections are closed */
  readonly #streams = new Set<EventStream>()
  readonly #turns: (() => void)[] = []
  /** the changes that were read last, each formatted once */
  #blocks: EventBlock[] = []
  #heldBytes = 0
  /** the oldest change that the store keeps, and its newest one, at the last read */
  #first = 0
  #newest = 0
  /** whether there may be changes after `#newest` */
  #isBehind = true
  #reading: Promise<boolean> | undefined
  #ignoreChanges: () => void = () => undefined
  #cancelKeepAlive: () => void = () => undefined

  constructor(options: AppOptions) {
    this.#options = options
    options.stopping.addEventListener('abort', () => {
      for (const stream of this.#streams) stream.stop()
    })
  }

  /** Answers a request with a stream, which lasts until the client leaves, is dropped, or the server stops. */
  open(res: ServerResponse, filter: EventFilter, start: StreamStart): void {
    const { clock, log, stopping, store } = this.#options
    const stream = new EventStream({ res, filter, start, clock, log })
    if (this.#streams.size === 0) {
      this.#isBehind = true
      this.#ignoreChanges = store.onChange(() => {
        this.#wakeAll()
      })
      this.#keepAliveLater()
    }
    this.#streams.add(stream)
    res.on('close', () => {
      this.#streams.delete(stream)
      if (this.#streams.size === 0) this.#rest()
    })
    if (stopping.aborted) stream.stop()
    else void stream.serve(this)
  }

  /** @returns the block of the change after `position`, or why there is none: no such change, not read yet, or no longer kept */
  after(position: number): EventBlock | 'none' | 'unread' | 'outrun' {
    if (position >= this.#newest && !this.#isBehind) return 'none'
    return this.#find(position) ?? (position + 1 < this.#first ? 'outrun' : 'unread')
  }

  /** Reads the changes after `position`, or waits for a read that is under way. @returns whether it succeeded; an error is logged */
  read(position: number): Promise<boolean> {
    this.#reading ??= this.#read(position).finally(() => (this.#reading = undefined))
    return this.#reading
  }

  /** Resolves when the caller may write a block; who waits longest comes first. */
  turn(): Promise<void> {
    const serve = (): void => {
      for (const resolve of this.#turns.splice(0, STREAMS_PER_TURN)) resolve()
      if (this.#turns.length > 0) setImmediate(serve)
    }
    return new Promise((resolve) => {
      if (this.#turns.push(resolve) === 1) setImmediate(serve)
    })
  }

  async #read(position: number): Promise<boolean> {
    const { store, log } = this.#options
    await nextTurn()
    this.#isBehind = false
    try {
      const { changes: read, lost = [], first, last } = await store.changes({ after: position, limit: CHANGES_PER_READ })
      const changes = [...read, ...lost].sort((a, b) => a.id - b.id)
      this.#first = first
      this.#newest = changes.length === 0 ? position : last
      if (position + 1 >= first && this.#streams.size > 0) this.#hold(position, changes)
      return true
    } catch (error) {
      this.#isBehind = true
      log[error instanceof CallmeError ? 'warn' : 'error']('request.failed', { method: 'GET', err: error })
      return false
    }
  }

  /** Adds changes up to those that are held already, so that streams that are about equally far come together. */
  #hold(position: number, changes: readonly (TaskChange | LostChanges)[]): void {
    let [last, rest, bytes] = [position, changes, 0]
    while (rest.length > 0 && bytes < BYTES_PER_READ && this.#find(last) === undefined) {
      const block = formatBlock(last, rest, this.#options.defaults)
      this.#blocks.push(block)
      bytes += block.bytes.length
      last = block.last
      rest = rest.slice(block.events.length)
    }
    this.#heldBytes += bytes
    for (const block of [...this.#blocks]) {
      if (this.#heldBytes <= HELD_BYTES) return
      this.#heldBytes -= block.bytes.length
      this.#blocks.shift()
    }
  }

  #find(position: number): EventBlock | undefined {
    return this.#blocks.findLast(({ after, last }) => after <= position && position < last)
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
    this.#isBehind = true
    for (const stream of this.#streams) stream.wake()
  }

  #rest(): void {
    this.#ignoreChanges()
    this.#cancelKeepAlive()
    this.#blocks = []
    this.#heldBytes = 0
  }
}
