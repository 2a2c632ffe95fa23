/** The handlers of names: what is stored of them, and what of it the rows of a name are read with. */
import { servesTasksWithoutCallback } from '../../domain/handler.ts'
import type { Handler, HandlerDefinition } from '../../domain/handler.ts'
import type { ChangeLog } from './change-log.ts'
import type { HandlerStore } from '../store.ts'
import { lanesOf, ownLane } from './lane-name.ts'
import type { Statements } from './statements.ts'

interface HandlerRow {
  readonly name: string
  readonly created: number
  readonly updated: number
  readonly definition: string
}

const MOST_REMEMBERED = 10_000

export class Handlers {
  readonly #statements: Statements
  readonly #changeLog: ChangeLog
  readonly #known = new Map<string, HandlerDefinition | undefined>()
  #areThere: boolean | undefined

  constructor(statements: Statements, changeLog: ChangeLog) {
    this.#statements = statements
    this.#changeLog = changeLog
  }

  /** Whether any name has one. */
  get areThere(): boolean {
    this.#areThere ??= this.#statements.anyHandler.get() !== undefined
    return this.#areThere
  }

  definitionOf(name: string): HandlerDefinition | undefined {
    if (!this.areThere) return undefined
    if (this.#known.has(name)) return this.#known.get(name)
    if (this.#known.size >= MOST_REMEMBERED) this.#known.clear()
    const definition = this.get(name)?.definition
    this.#known.set(name, definition)
    return definition
  }

  get(name: string): Handler | undefined {
    const row = this.#statements.findHandler.get(name) as HandlerRow | undefined
    return row && toHandler(row)
  }

  list(after: string, limit: number): Handler[] {
    return (this.#statements.handlersAfter.all(after, limit) as HandlerRow[]).map(toHandler)
  }

  /** Must run inside a write transaction. */
  put(name: string, definition: HandlerDefinition, { now, force }: { now: number; force: boolean }): ReturnTypeOf<'putHandler'> {
    const before = this.get(name)
    if (!force && !servesTasksWithoutCallback(definition) && this.#isNeeded(name, before)) return 'needed'
    const created = before?.created ?? now
    this.#statements.upsertHandler.run({ name, definition: JSON.stringify(definition), created, now })
    this.#changed(name)
    return { outcome: before ? 'replaced' : 'created', handler: { name, definition, created, updated: now } }
  }

  /** Must run inside a write transaction. */
  remove(name: string, { force }: { force: boolean }): ReturnTypeOf<'removeHandler'> {
    const before = this.get(name)
    if (before === undefined) return 'unknown'
    if (!force && this.#isNeeded(name, before)) return 'needed'
    this.#statements.deleteHandler.run(name)
    this.#statements.forgetStarts.run(name, Number.MAX_SAFE_INTEGER)
    this.#changed(name)
    return 'removed'
  }

  /** What was written may have been undone. */
  forget(): void {
    this.#known.clear()
    this.#areThere = undefined
  }

  /** Whether tasks that have not ended would lose what they are done by. */
  #isNeeded(name: string, before: Handler | undefined): boolean {
    if (!servesTasksWithoutCallback(before?.definition)) return false
    const lane = ownLane(name, '')
    return this.#statements.waitingInLane.get(lane) !== undefined || this.#statements.runningInLane.get(name, lane) !== undefined
  }

  #changed(name: string): void {
    this.forget()
    this.#statements.openLanes.run(lanesOf(name))
    this.#changeLog.touch()
  }
}

type ReturnTypeOf<Verb extends keyof HandlerStore> = Awaited<ReturnType<HandlerStore[Verb]>>

function toHandler({ name, created, updated, definition }: HandlerRow): Handler {
  return { name, definition: JSON.parse(definition) as HandlerDefinition, created, updated }
}
