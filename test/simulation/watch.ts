/** Looks at what each commit has changed, and holds it against the rules. */
import type { TaskRow } from '../../src/store/rows/task-row.ts'
import { checkAppeared, checkChanged, checkVanished } from './change-rules.ts'
import { isEnded, isWaiting, toEntry } from './entry.ts'
import type { Entry } from './entry.ts'
import type { RuleContext } from './rule-context.ts'
import { checkFollowed, checkHeads } from './series-rules.ts'
import type { Committed } from './world-store.ts'

/** While something is overdue, nodes stand still for no longer. */
const OVERDUE_MS = 5000

export class Watch {
  /** by key, as they are now */
  readonly entries = new Map<string, Entry>()
  readonly byRun = new Map<string, Entry>()
  /** grows with every change */
  version = 0
  readonly #byId = new Map<number, Entry>()
  /** the version since which an entry has had its key */
  readonly #since = new Map<string, number>()

  /** Keys of the entries that have been there, under their key, at least since a version. */
  lastingSince(version: number): string[] {
    return [...this.#since].filter(([, since]) => since <= version).map(([key]) => key)
  }

  /** @throws Violation where a rule does not hold */
  take({ rows, handlers }: Committed, context: RuleContext): void {
    this.version += 1
    const changes = [...rows].map(([id, row]) => this.#replace(id, row))
    context.model.setHandlers(handlers)
    for (const name of context.starts.keys()) if (!context.model.handlers.has(name)) context.starts.delete(name)
    for (const { before, after } of changes) this.#check(before, after, context)
    const series = new Set(
      changes.flatMap(({ before, after }) => ((after ?? before)?.definition.repeat === undefined ? [] : [(after ?? before)?.name ?? ''])),
    )
    for (const name of series) checkHeads(name, context)
  }

  /** The next time (epoch ms) at which something is to happen to an entry; undefined where nothing is. */
  nextMoment(now: number): number | undefined {
    let next: number | undefined
    // What is overdue waits for the next look of a node.
    const consider = (at: number): void => {
      const moment = at > now ? at : now + OVERDUE_MS
      if (next === undefined || moment < next) next = moment
    }
    for (const entry of this.entries.values()) {
      if (isEnded(entry)) continue
      if (isWaiting(entry)) {
        consider(entry.dueAt)
        consider(entry.deadline)
      } else if (entry.leaseUntil !== null && entry.leaseUntil > now) consider(entry.leaseUntil)
      // Whoever looks for what is lost must have seen the store without a gap.
      else return now
    }
    return next
  }

  #replace(id: number, row: TaskRow | undefined): { before: Entry | undefined; after: Entry | undefined } {
    const before = this.#byId.get(id)
    const after = row && toEntry(row)
    // Another entry may have taken the key already.
    if (before && this.entries.get(before.key) === before) {
      this.entries.delete(before.key)
      this.byRun.delete(before.runId)
      if (before.key !== after?.key) this.#since.delete(before.key)
    }
    if (after === undefined) {
      this.#byId.delete(id)
      return { before, after }
    }
    this.#byId.set(id, after)
    this.entries.set(after.key, after)
    this.byRun.set(after.runId, after)
    if (before?.key !== after.key) this.#since.set(after.key, this.version)
    return { before, after }
  }

  #check(before: Entry | undefined, after: Entry | undefined, context: RuleContext): void {
    if (before !== undefined && before.key === after?.key) {
      checkChanged(before, after, context)
      if (isRecorded(before, after)) context.recorded.add(`${before.runId} ${before.attempts}`)
    } else {
      if (before) checkVanished(before, context)
      if (after) checkAppeared(after, context)
    }
    if (after) checkFollowed(before, after, context)
  }
}

/** Whether the attempt of a running task has ended with an outcome. */
function isRecorded(before: Entry, after: Entry): boolean {
  const isSameAttempt = before.runId === after.runId && before.attempts === after.attempts && before.lost === after.lost
  return isSameAttempt && before.state === 'running' && after.state !== 'running'
}
