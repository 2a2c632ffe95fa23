/** The changes that were read last, formatted: each is read and formatted once, however many listeners want it. */
import { setImmediate } from 'node:timers/promises'
import { CallmeError } from '../../domain/errors.ts'
import type { TaskChange } from '../../domain/task/task-change.ts'
import type { AppOptions } from '../app-options.ts'
import { formatBlock } from './event-block.ts'
import type { EventBlock } from './event-block.ts'

/** The bounds of one read, because nothing else is done during it. */
const CHANGES_PER_READ = 500
const BYTES_PER_READ = 2 ** 20
const HELD_BYTES = 8 * 2 ** 20

export class EventTail {
  readonly #options: Pick<AppOptions, 'store' | 'log' | 'defaults'>
  readonly #blocks: EventBlock[] = []
  #heldBytes = 0
  /** the oldest change that the store keeps, and its newest one, at the last read */
  #first = 0
  #newest = 0
  /** whether there may be changes after `#newest` */
  #isBehind = true
  #reading: Promise<boolean> | undefined

  constructor(options: Pick<AppOptions, 'store' | 'log' | 'defaults'>) {
    this.#options = options
  }

  /** The store may have more changes from now on. */
  expectMore(): void {
    this.#isBehind = true
  }

  clear(): void {
    this.#drop(0)
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

  async #read(position: number): Promise<boolean> {
    const { store, log } = this.#options
    await setImmediate()
    this.#isBehind = false
    try {
      const { changes, first, last } = await store.changes({ after: position, limit: CHANGES_PER_READ })
      this.#first = first
      this.#newest = changes.length === 0 ? position : last
      if (position + 1 >= first) this.#hold(position, changes)
      return true
    } catch (error) {
      this.#isBehind = true
      const level = error instanceof CallmeError ? 'warn' : 'error'
      log[level]('request.failed', { method: 'GET', err: error })
      return false
    }
  }

  /** Adds changes up to those that are held already, so that listeners that are about equally far come together. */
  #hold(position: number, changes: readonly TaskChange[]): void {
    let [last, rest, bytes] = [position, changes, 0]
    while (rest.length > 0 && bytes < BYTES_PER_READ && this.#find(last) === undefined) {
      const block = formatBlock(last, rest, this.#options.defaults)
      this.#blocks.push(block)
      bytes += block.bytes.length
      last = block.last
      rest = rest.slice(block.events.length)
    }
    this.#heldBytes += bytes
    this.#drop(HELD_BYTES)
  }

  #find(position: number): EventBlock | undefined {
    return this.#blocks.findLast(({ after, last }) => after <= position && position < last)
  }

  /** Drops the blocks that were read first, until at most `limit` bytes are held. */
  #drop(limit: number): void {
    for (const { bytes } of this.#blocks.slice()) {
      if (this.#heldBytes <= limit) return
      this.#blocks.shift()
      this.#heldBytes -= bytes.length
    }
  }
}
