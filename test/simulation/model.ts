/** What the world knows without asking the code under test: what was asked for, what holds for it, and which commands are under way. */
import type { Body, HandlerBody } from './definitions.ts'
import { PATTERNS } from './definitions.ts'
import type { Entry } from './entry.ts'
import type { WorldTime } from './world-time.ts'

/** `attempts` are not known of an entry that is not there yet. */
export type Subject = Pick<Entry, 'name' | 'triggerAt'> & Partial<Pick<Entry, 'attempts'>>

/** What a person has asked for and may have got, also where no answer came. */
export interface Command {
  readonly does: 'put' | 'run' | 'remove' | 'move' | 'ack' | 'pull' | 'handler'
  /** whether it may be about this entry */
  readonly isAbout: (entry: Subject) => boolean
  /** whether it has been answered, or its node is gone */
  isOver: boolean
  /** whether no other one that puts, moves or removes was under way at any time while it was */
  isAlone: boolean
}

const MEDDLING: readonly Command['does'][] = ['put', 'move', 'remove']

/** A rule of the world that does not hold. */
export class Violation extends Error {
  readonly rule: string
  constructor(rule: string, detail: string) {
    super(`${rule}: ${detail}`)
    this.rule = rule
  }
}

interface Window {
  readonly from: number
  readonly to: number
}

export class Model {
  /** what was sent, by the number of its decision and its name */
  readonly bodies = new Map<string, Body>()
  /** as they are stored, by name */
  handlers: ReadonlyMap<string, HandlerBody> = new Map()
  handlersBefore: ReadonlyMap<string, HandlerBody> = new Map()
  readonly #time: WorldTime
  readonly #commands = new Set<Command>()
  /** runs that a person has asked for, by key: when they may have begun */
  readonly #runs = new Map<string, Set<Window>>()
  /** every `max_delay` that a handler has had, by its name */
  readonly #delays = new Map<string, Set<number>>()

  constructor(time: WorldTime) {
    this.#time = time
  }

  begin(wanted: Pick<Command, 'does' | 'isAbout'>): Command {
    const others = [...this.#commands].filter(({ does }) => MEDDLING.includes(does))
    const command: Command = { ...wanted, isOver: false, isAlone: others.length === 0 }
    if (MEDDLING.includes(wanted.does)) for (const other of this.#commands) other.isAlone = false
    this.#commands.add(command)
    return command
  }

  /** Commands that had ended before this look explain nothing that comes after it. */
  forgetEnded(): void {
    for (const command of this.#commands) if (command.isOver) this.#commands.delete(command)
  }

  /** Whether a command of one of these kinds explains a change of an entry. */
  isCommanded(entry: Subject, ...kinds: Command['does'][]): boolean {
    for (const { does, isAbout } of this.#commands) if (kinds.includes(does) && isAbout(entry)) return true
    return false
  }

  setHandlers(handlers: ReadonlyMap<string, HandlerBody> | undefined): void {
    this.handlersBefore = this.handlers
    if (handlers === undefined) return
    this.handlers = handlers
    for (const [name, { max_delay: delay = 10 }] of handlers) this.#delays.set(name, (this.#delays.get(name) ?? new Set()).add(delay))
  }

  /** The handler that applies to a name: that of the very name, else the pattern that matches; of all that there are it is the only one. */
  groupOf(name: string, handlers = this.handlers): string | undefined {
    if (name.includes('@')) return undefined
    if (handlers.has(name)) return name
    return name.startsWith('mail.') && handlers.has('mail.*') ? 'mail.*' : undefined
  }

  bodyOf({ of, name }: Entry): Body | undefined {
    return of === undefined ? undefined : this.bodies.get(`${of} ${name}`)
  }

  /** Where a task is called as things are; undefined where there is nothing to call. */
  urlOf(entry: Entry): string | undefined {
    const { callback } = this.bodyOf(entry) ?? entry.definition
    return callback ?? this.handlers.get(this.groupOf(entry.name) ?? '')?.callback
  }

  retryOf(entry: Entry): number {
    const body = this.bodyOf(entry)
    if (body === undefined) return entry.definition.retry ?? 1
    return body.delivery === 'at_most_once' ? 0 : (body.retry ?? 1)
  }

  isAtMostOnce(entry: Entry): boolean {
    return this.bodyOf(entry)?.delivery === 'at_most_once'
  }

  /** Notes that a person asks for a run. @param key of an entry, or the name of all that may run @returns what is to be told whether it may have begun */
  beginRun(key: string): (mayHaveBegun: boolean) => void {
    const window = { from: this.#time.now, to: Infinity }
    const runs = this.#runs.get(key) ?? new Set<Window>()
    this.#runs.set(key, runs.add(window))
    return (mayHaveBegun) => {
      window.to = this.#time.latest
      if (!mayHaveBegun) runs.delete(window)
    }
  }

  /** The shortest and the longest that the window of an entry may be, ms. */
  delaysOf(entry: Entry): { readonly least: number; readonly most: number } {
    const own = (entry.of === undefined ? entry.definition : this.bodyOf(entry))?.max_delay
    // Of what cannot be read it is known only until something begins another window.
    if (own !== undefined && entry.unreadable === undefined) return { least: own * 60_000, most: own * 60_000 }
    const delays = [
      ...[10, own ?? 10],
      ...(this.#delays.get(entry.name) ?? []),
      ...(entry.name.startsWith('mail.') ? (this.#delays.get('mail.*') ?? []) : []),
    ]
    return { least: Math.min(...delays) * 60_000, most: Math.max(...delays) * 60_000 }
  }

  /** When the windows of an entry may have begun, from and to. */
  windowsOf(entry: Entry): Window[] {
    // An error callback is due when its task ends, which is not on a minute.
    if (entry.isErrorCallback) return [{ from: entry.created, to: entry.created }]
    const own = entry.triggerAt * 1000
    // The window of a task that is stored within its own minute begins then.
    const latest = Math.min(Math.max(own, entry.windowFrom ?? own), own + 60_000)
    return [{ from: own, to: latest }, ...(this.#runs.get(entry.key) ?? []), ...(this.#runs.get(entry.name) ?? [])]
  }

  /** Whether a call may begin at a time (epoch ms): in one of the windows, where the wall clock has been at or after its beginning. */
  mayCallAt(entry: Entry, now: number): boolean {
    const { most } = this.delaysOf(entry)
    return this.windowsOf(entry).some(({ from, to }) => this.#time.latest >= from && now < to + most)
  }

  /** The first time of a series after a time, both in Unix seconds. */
  nextOf(name: string, after: number): number {
    const { period, first } = PATTERNS.find((pattern) => pattern.name === name) ?? PATTERNS[0]
    return first + (Math.floor((after - first) / period) + 1) * period
  }
}
