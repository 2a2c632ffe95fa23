/** The SQLite store: each verb of the seam as one member of a group commit. Reads see what is committed. */
import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Database } from 'better-sqlite3'
import { lossOf } from '../../domain/outcome.ts'
import type { Outcome } from '../../domain/outcome.ts'
import { TASK_STATES, isFinal, windowOf } from '../../domain/task.ts'
import type { Attempt, NewTask, Task, TaskState } from '../../domain/task.ts'
import type { TaskKey } from '../../domain/task-key.ts'
import { nextState, settle } from '../../domain/transitions.ts'
import { expiry } from '../../domain/verdict.ts'
import type { Claim, ClaimResult, PutResult, RescheduleRequest, Selection, Store } from '../store.ts'
import { claimDue } from './claim-due.ts'
import type { Tally } from './counters.ts'
import { GroupCommit, Undo } from './group-commit.ts'
import { rescheduleBatch } from './reschedule.ts'
import { toAttempt, toTask } from './row.ts'
import type { AttemptRow, TaskRow } from './row.ts'
import { openSession } from './session.ts'
import type { Session } from './session.ts'
import type { Statements } from './statements.ts'
import { storeError } from './store-error.ts'

export class SqliteStore implements Store {
  readonly #db: Database
  readonly #session: Session
  readonly #statements: Statements
  readonly #group: GroupCommit
  readonly #afterClose: () => void

  /** @param db migrated, and used by nobody else from now on */
  constructor(db: Database, afterClose: () => void) {
    this.#db = db
    this.#session = openSession(db)
    this.#statements = this.#session.statements
    this.#group = new GroupCommit(db, this.#statements.addToCount, () => {
      this.#session.bounds.forget()
    })
    this.#afterClose = afterClose
  }

  put(tasks: readonly NewTask[], options: { now: number; ifAbsent?: boolean }): Promise<PutResult[]> {
    return this.#group.write((tally) => tasks.map((task) => this.#putOne(task, options, tally)))
  }

  get(key: TaskKey): Promise<Task | undefined> {
    return this.#read(() => {
      const row = this.#statements.findByKey.get(key.name, key.triggerAt) as TaskRow | undefined
      return row && toTask(row)
    })
  }

  history(key: TaskKey): Promise<Attempt[]> {
    return this.#read(() => (this.#statements.history.all(key.name, key.triggerAt) as AttemptRow[]).map(toAttempt))
  }

  async list(selection: Selection, page: { after?: TaskKey; limit: number }): Promise<{ tasks: Task[]; more: boolean }> {
    const rows: TaskRow[] = []
    let after = page.after
    do {
      const stretch = await this.#read(() => this.#session.selections.stretch(selection, after, page.limit + 1 - rows.length))
      rows.push(...stretch.rows)
      after = stretch.next
      if (after && rows.length <= page.limit) await setImmediate()
    } while (after && rows.length <= page.limit)
    return { tasks: rows.slice(0, page.limit).map(toTask), more: rows.length > page.limit }
  }

  claimDue(claim: Claim): Promise<ClaimResult> {
    return this.#group.write((tally) => claimDue(this.#session, claim, tally))
  }

  record(outcomes: readonly Outcome[]): Promise<boolean[]> {
    return this.#group.write((tally) => outcomes.map((outcome) => this.#recordOne(outcome, tally)))
  }

  expire({ now, limit }: { now: number; limit: number }): Promise<Task[]> {
    return this.#group.write((tally) => {
      const tasks = (this.#statements.expired.all(now, limit) as TaskRow[]).map(toTask)
      return tasks.map((task) => {
        const settlement = settle(task, expiry(task), now)
        this.#statements.end.run({ name: task.name, triggerAt: task.triggerAt, state: settlement.state, error: settlement.error, now })
        tally.moved(task.state, settlement.state)
        return { ...task, ...settlement, updated: now }
      })
    })
  }

  async renew(claims: readonly Task[], { leaseUntil }: { leaseUntil: number }): Promise<void> {
    await this.#group.write(() => {
      for (const { name, triggerAt, runId, attempts } of claims)
        this.#statements.renew.run({ name, triggerAt, runId, attempts, leaseUntil })
    })
  }

  rescue({ now, onlyNode, limit }: { now: number; onlyNode?: string; limit: number }): Promise<Task[]> {
    return this.#group.write((tally) => {
      const found = onlyNode === undefined ? this.#statements.leaseOver.all(now, limit) : this.#statements.abandoned.all(onlyNode, limit)
      return (found as TaskRow[]).map((row) => {
        this.#recordOne(lossOf(toTask(row), now), tally)
        return toTask(this.#statements.findByKey.get(row.name, row.trigger_at) as TaskRow)
      })
    })
  }

  reschedule(request: RescheduleRequest): ReturnType<Store['reschedule']> {
    return this.#group.write((tally) => {
      const batch = rescheduleBatch(this.#session, request, tally)
      if (request.dryRun) throw new Undo(batch)
      return batch
    })
  }

  run(key: TaskKey, { now }: { now: number }): Promise<Task | 'running' | 'unknown'> {
    return this.#group.write((tally) => {
      const row = this.#statements.findByKey.get(key.name, key.triggerAt) as TaskRow | undefined
      if (row === undefined) return 'unknown'
      if (nextState(row.state, 'run', row.attempts) === undefined) return 'running'
      const { deadline } = windowOf(now, toTask(row).definition)
      const change = { id: row.id, now, deadline, inAdvance: row.trigger_at * 1000 > now ? 1 : 0 }
      if (isFinal(row.state)) this.#statements.runAgain.run({ ...change, runId: randomUUID() })
      else this.#statements.bringForward.run(change)
      tally.moved(row.state, nextState(row.state, 'run', row.attempts))
      this.#session.bounds.lower(row.lane, now)
      return toTask(this.#statements.findByKey.get(key.name, key.triggerAt) as TaskRow)
    })
  }

  async remove(selection: Selection, { limit }: { limit: number }): Promise<number> {
    const states = (selection.states ?? TASK_STATES).filter((state) => state !== 'running')
    let removed = 0
    let after: TaskKey | undefined
    do {
      const stretch = await this.#group.write((tally) => {
        const { rows, next } = this.#session.selections.stretch({ ...selection, states }, after, limit - removed)
        return { removed: this.#removeRows(rows, tally), next }
      })
      removed += stretch.removed
      after = stretch.next
    } while (after && removed < limit)
    return removed
  }

  prune({ before, limit }: { before: number; limit: number }): Promise<number> {
    return this.#group.write((tally) => this.#removeRows(this.#statements.finishedBefore.all(before, limit) as TaskRow[], tally))
  }

  async counts(): Promise<Record<TaskState, number>> {
    await this.#group.write(() => {
      // Up and down again: SQLite would see that nothing changes, and write nothing.
      this.#statements.addToCount.run(1, 'pending')
      this.#statements.addToCount.run(-1, 'pending')
    })
    return this.#read(() => {
      const rows = this.#statements.counts.all() as { state: TaskState; n: number }[]
      return Object.fromEntries(rows.map(({ state, n }) => [state, n])) as Record<TaskState, number>
    })
  }

  async close(): Promise<void> {
    await this.#group.settled()
    this.#db.close()
    this.#afterClose()
  }

  #putOne(task: NewTask, { now, ifAbsent }: { now: number; ifAbsent?: boolean }, tally: Tally): PutResult {
    const row = { ...task, now, rescheduledFrom: null, definition: JSON.stringify(task.definition) }
    const isNew = this.#statements.insert.run({ ...row, id: this.#session.rowIds.next(task.triggerAt) }).changes === 1
    const existing = isNew
      ? undefined
      : (this.#statements.findState.get(task.name, task.triggerAt) as Pick<TaskRow, 'id' | 'state' | 'created'>)
    if (existing && ifAbsent) return { outcome: 'exists' }
    if (existing && nextState(existing.state, 'replaced', 0) === undefined) return { outcome: 'running' }
    if (existing) this.#statements.reset.run({ ...row, id: existing.id })
    tally.moved(existing?.state, 'pending')
    this.#session.bounds.lower(task.lane, task.dueAt)
    return { outcome: existing ? 'replaced' : 'created', task: pendingTask(task, existing?.created ?? now, now) }
  }

  #recordOne({ task, settlement, now, responseStatus, responseBody, attempt }: Outcome, tally: Tally): boolean {
    const executedAt = attempt ? attempt.startedAt + attempt.durationMs : null
    const guard = { name: task.name, triggerAt: task.triggerAt, runId: task.runId, claimedAttempts: task.attempts }
    const taskId = this.#statements.record.get({ ...guard, ...settlement, now, executedAt, responseStatus, responseBody }) as
      number | undefined
    if (taskId === undefined) return false
    if (attempt) this.#statements.insertAttempt.run({ ...attempt, taskId })
    if (!isFinal(settlement.state)) this.#session.bounds.lower(task.lane, settlement.dueAt)
    tally.moved('running', settlement.state)
    return true
  }

  #removeRows(rows: readonly Pick<TaskRow, 'id' | 'state'>[], tally: Tally): number {
    for (const { id, state } of rows) {
      this.#statements.remove.run(id)
      this.#statements.removeAttempts.run(id)
      tally.moved(state, undefined)
    }
    return rows.length
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the promise turns a thrown error into a rejection
  async #read<T>(work: () => T): Promise<T> {
    try {
      return work()
    } catch (error) {
      throw storeError(error)
    }
  }
}

function pendingTask(task: NewTask, created: number, now: number): Task {
  return {
    ...task,
    state: 'pending',
    attempts: 0,
    lost: 0,
    inAdvance: false,
    claimedBy: null,
    leaseUntil: null,
    executedAt: null,
    responseStatus: null,
    responseBody: null,
    error: null,
    created,
    updated: now,
    rescheduledTo: null,
    rescheduledFrom: null,
  }
}
