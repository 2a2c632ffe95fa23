/** The handlers: what is stored of them, which one applies to a task's name, and in which lane that puts its rows. */
import { isErrorCallback } from '../../../domain/task/error-callback.ts'
import { servesTasksWithoutCallback } from '../../../domain/task/handler.ts'
import type { Handler, HandlerDefinition } from '../../../domain/task/handler.ts'
import { isPattern, rangeOfNames } from '../../../domain/task/name-pattern.ts'
import { HandlerPatterns } from '../../rules/handler-patterns.ts'
import { toHandler } from '../../rows/handler-row.ts'
import type { HandlerRow } from '../../rows/handler-row.ts'
import type { HandlerStore } from '../../store.ts'
import type { ChangeLog } from '../history/change-log.ts'
import { ORPHANS, handlerLane, lanesOf, parseLane } from '../../rows/lane-name.ts'
import type { Statements } from '../statements.ts'

type ResultOf<Verb extends keyof HandlerStore> = Awaited<ReturnType<HandlerStore[Verb]>>

const MOST_REMEMBERED = 10_000

export class Handlers {
  readonly #statements: Statements
  readonly #changeLog: ChangeLog
  /** by the name of a task */
  readonly #known = new Map<string, Handler | undefined>()
  #areThere: boolean | undefined
  /** those of more than one name */
  #patterns: HandlerPatterns | undefined

  constructor(statements: Statements, changeLog: ChangeLog) {
    this.#statements = statements
    this.#changeLog = changeLog
  }

  /** Whether there is any. */
  get areThere(): boolean {
    this.#areThere ??= this.#statements.anyHandler.get() !== undefined
    return this.#areThere
  }

  /** The one that applies to tasks of a name: that of the name itself, else the one of the longest pattern. */
  of(name: string): Handler | undefined {
    if (!this.areThere || isErrorCallback({ name })) return undefined
    if (this.#known.has(name)) return this.#known.get(name)
    if (this.#known.size >= MOST_REMEMBERED) this.#known.clear()
    const handler = this.get(name) ?? this.#patternOf(name)
    this.#known.set(name, handler)
    return handler
  }

  get(name: string): Handler | undefined {
    const row = this.#statements.findHandler.get(name) as HandlerRow | undefined
    return row && toHandler(row)
  }

  list(after: string, limit: number): Handler[] {
    return (this.#statements.handlersAfter.all(after, limit) as HandlerRow[]).map(toHandler)
  }

  /** The lane in which the rows of a name to one host belong; the empty host is that of rows without a callback of their own. */
  laneOf(name: string, host: string): string {
    const handler = this.of(name)
    if (handler !== undefined) return handlerLane(handler.name, host)
    return host === '' ? ORPHANS : host
  }

  /** Must run inside a write transaction. */
  put(name: string, definition: HandlerDefinition, { now, force }: { now: number; force: boolean }): ResultOf<'putHandler'> {
    const before = this.get(name)
    if (!force && !servesTasksWithoutCallback(definition) && this.#isNeeded(before ?? this.#behind(name), name)) return 'needed'
    const created = before?.created ?? now
    this.#statements.upsertHandler.run({ name, definition: JSON.stringify(definition), created, now })
    this.#changed(name)
    if (before === undefined) this.#moveRunning(name)
    if (before === undefined || before.definition.max_delay !== definition.max_delay) this.#beginBackfill(name)
    return { status: before ? 'replaced' : 'created', handler: { name, definition, created, updated: now } }
  }

  /** Must run inside a write transaction. */
  remove(name: string, { force }: { force: boolean }): ResultOf<'removeHandler'> {
    const before = this.get(name)
    if (before === undefined) return 'unknown'
    const next = this.#behind(name)
    if (!force && !servesTasksWithoutCallback(next?.definition) && this.#isNeeded(before, name)) return 'needed'
    this.#statements.deleteHandler.run(name)
    this.#statements.forgetStarts.run(name, Number.MAX_SAFE_INTEGER)
    this.#changed(name)
    this.#moveRunning(name)
    this.#beginBackfill(name)
    return 'removed'
  }

  /** What was written may have been undone. */
  forget(): void {
    this.#known.clear()
    this.#areThere = undefined
    this.#patterns = undefined
  }

  /** The one that names have where no handler is called `name`: of a pattern the next shorter one, which matches all that it does. */
  #behind(name: string): Handler | undefined {
    return this.#patternOf(isPattern(name) ? rangeOfNames(name).first : name, name)
  }

  /** @param but a pattern that is passed over */
  #patternOf(name: string, but?: string): Handler | undefined {
    this.#patterns ??= new HandlerPatterns((this.#statements.patterns.all() as HandlerRow[]).map(toHandler))
    return this.#patterns.longestFor(name, but)
  }

  /** Whether tasks that have not ended have no callback but that of `handler`, of those whose names `pattern` stands for. */
  #isNeeded(handler: Handler | undefined, pattern: string): boolean {
    if (handler === undefined || !servesTasksWithoutCallback(handler.definition)) return false
    const rows = { lane: handlerLane(handler.name, ''), ...rangeOfNames(pattern) }
    return this.#statements.waitingInLane.get(rows) !== undefined || this.#statements.runningInLane.get(rows) !== undefined
  }

  /** What waited for a limit of the handler, or of the one behind it, is looked at anew. */
  #changed(name: string): void {
    this.forget()
    for (const group of [name, this.#behind(name)?.name]) if (group !== undefined) this.#statements.openLanes.run(lanesOf(group))
    this.#changeLog.notify()
  }

  /** What runs is counted by its lane, so it changes lanes with the handler. */
  #moveRunning(name: string): void {
    const { moveToLane, runningOfNames } = this.#statements
    for (const row of runningOfNames.all(rangeOfNames(name)) as { id: number; name: string; lane: string }[]) {
      const lane = this.laneOf(row.name, parseLane(row.lane).host)
      if (lane !== row.lane) moveToLane.run(lane, row.id)
    }
  }

  /** What waits is gone through in the writes that follow, also after a crash. */
  #beginBackfill(name: string): void {
    this.#statements.beginBackfill.run(name, rangeOfNames(name).first)
  }
}
