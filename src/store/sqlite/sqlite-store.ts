/** The SQLite store: each verb of the seam as one member of a group commit. Reads see what is committed. */
import { setImmediate } from 'node:timers/promises'
import type { Database } from 'better-sqlite3'
import type { Handler, HandlerDefinition } from '../../domain/task/handler.ts'
import type { AttemptReport } from '../../domain/attempt/attempt-report.ts'
import { TASK_STATES } from '../../domain/task/task.ts'
import type { Attempt, NewTask, Task, TaskState } from '../../domain/task/task.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import type {
  AckResult,
  Acknowledgement,
  Claim,
  ClaimResult,
  PullResult,
  PutResult,
  RescheduleRequest,
  Selection,
  Store,
} from '../store.ts'
import { claimDue } from './claims/claim-due.ts'
import { findRow, putTask, readTask, removeRows, runTask } from './rows/entries.ts'
import { GroupCommit, Undo } from './commit/group-commit.ts'
import { HandlerChanges } from './handlers/handler-changes.ts'
import { acknowledge, expireRows, recordReport, rescueRows } from './results/outcomes.ts'
import { pullDue } from './claims/pull.ts'
import type { Worker } from './claims/pull.ts'
import { removeTasks } from './tasks/remove.ts'
import { rescheduleBatch } from './tasks/reschedule.ts'
import { toAttempt } from '../rows/task-row.ts'
import type { AttemptRow, TaskRow } from '../rows/task-row.ts'
import { openSession } from './session.ts'
import type { Session } from './session.ts'
import { SqliteLedger } from './history/ledger.ts'
import { storeError } from './commit/store-error.ts'

export class SqliteStore implements Store {
  readonly #db: Database
  readonly #session: Session
  readonly #group: GroupCommit
  readonly #afterClose: () => void
  readonly #handlerChanges: HandlerChanges
  readonly #ledger: SqliteLedger

  /** @param db migrated, and used by nobody else from now on */
  constructor(db: Database, afterClose: () => void) {
    this.#db = db
    this.#session = openSession(db)
    const { cursors, handlers, changeLog } = this.#session
    this.#group = new GroupCommit(db, changeLog, {
      onCommit: () => {
        cursors.committed()
        changeLog.committed()
      },
      onRollback: () => {
        cursors.forget()
        handlers.forget()
        changeLog.forget()
      },
    })
    this.#handlerChanges = new HandlerChanges(this.#session, this.#group)
    this.#ledger = new SqliteLedger(db)
    this.#afterClose = afterClose
  }

  put(tasks: readonly NewTask[], options: { now: number; ifAbsent?: boolean }): Promise<PutResult[]> {
    return this.#group.write((changes) => tasks.map((task) => putTask(this.#session, task, options, changes)))
  }

  get(key: TaskKey): Promise<Task | undefined> {
    return this.#read(() => {
      const row = findRow(this.#session, key)
      return row && readTask(this.#session, row)
    })
  }

  history(key: TaskKey): Promise<Attempt[]> {
    return this.#read(() => (this.#session.statements.history.all(key.name, key.triggerAt) as AttemptRow[]).map(toAttempt))
  }

  async list(selection: Selection, page: { after?: TaskKey; limit: number }): Promise<{ tasks: Task[]; more: boolean }> {
    const rows: TaskRow[] = []
    let after = page.after
    do {
      const stretch = await this.#read(() => this.#session.pages.page(selection, after, page.limit + 1 - rows.length))
      rows.push(...stretch.rows)
      after = stretch.next
      if (after && rows.length <= page.limit) await setImmediate()
    } while (after && rows.length <= page.limit)
    const tasks = await this.#read(() => rows.slice(0, page.limit).map((row) => readTask(this.#session, row)))
    return { tasks, more: rows.length > page.limit }
  }

  claimDue(claim: Claim): Promise<ClaimResult> {
    return this.#group.write((changes) => claimDue(this.#session, claim, changes))
  }

  record(outcomes: readonly AttemptReport[]): Promise<boolean[]> {
    return this.#group.write((changes) => outcomes.map((outcome) => recordReport(this.#session, outcome, changes) !== undefined))
  }

  expire(options: { now: number; limit: number }): Promise<{ tasks: Task[]; more: boolean }> {
    return this.#group.write((changes) => expireRows(this.#session, options, changes))
  }

  pull(handlerName: string, worker: Worker): Promise<PullResult | 'not_pulled'> {
    return this.#group.write((changes) => pullDue(this.#session, handlerName, worker, changes))
  }

  acknowledge(ack: Acknowledgement): Promise<AckResult> {
    return this.#group.write((changes) => acknowledge(this.#session, ack, changes))
  }

  async renew(claims: readonly Task[], { leaseUntil }: { leaseUntil: number }): Promise<void> {
    await this.#group.write(() => {
      for (const { name, triggerAt, runId, attempts } of claims)
        this.#session.statements.renew.run({ name, triggerAt, runId, attempts, leaseUntil })
    })
  }

  rescue(options: { now: number; onlyNode?: string; limit: number }): Promise<Task[]> {
    return this.#group.write((changes) => rescueRows(this.#session, options, changes))
  }

  reschedule(request: RescheduleRequest): ReturnType<Store['reschedule']> {
    return this.#group.write((changes) => {
      const batch = rescheduleBatch(this.#session, request, changes)
      if (request.dryRun) throw new Undo(batch)
      return batch
    })
  }

  run(key: TaskKey, options: { now: number; removeAfter?: boolean }): Promise<Task | 'running' | 'final' | 'unknown'> {
    return this.#group.write((changes) => runTask(this.#session, key, options, changes))
  }

  async remove(selection: Selection, options: { now: number; limit: number; continueSeries?: boolean }): Promise<number> {
    const states = (selection.states ?? TASK_STATES).filter((state) => state !== 'running')
    let removed = 0
    let after: TaskKey | undefined
    do {
      const wanted = { ...options, limit: options.limit - removed }
      const stretch = await this.#group.write((changes) => removeTasks(this.#session, { ...selection, states }, after, wanted, changes))
      removed += stretch.removed
      after = stretch.next
    } while (after && removed < options.limit)
    return removed
  }

  prune({ before, limit }: { before: number; limit: number }): Promise<number> {
    return this.#group.write((changes) => {
      const { statements } = this.#session
      statements.forgetPastRuns.run(before / 1000)
      const rows = statements.finishedBefore.all(before, limit) as Pick<TaskRow, 'id' | 'name' | 'state'>[]
      return removeRows(this.#session, rows, changes)
    })
  }

  async counts(): Promise<Record<TaskState, number>> {
    const { statements } = this.#session
    await this.#group.write(() => {
      // Up and down again: SQLite would see that nothing changes, and write nothing.
      statements.addToCount.run(1, 'pending')
      statements.addToCount.run(-1, 'pending')
    })
    return this.#read(() => {
      const rows = statements.counts.all() as { state: TaskState; n: number }[]
      return Object.fromEntries(rows.map(({ state, n }) => [state, n])) as Record<TaskState, number>
    })
  }

  putHandler(name: string, definition: HandlerDefinition, options: { now: number; force: boolean }): ReturnType<Store['putHandler']> {
    return this.#handlerChanges.make(() => this.#session.handlers.put(name, definition, options))
  }

  getHandler(name: string): Promise<Handler | undefined> {
    return this.#read(() => this.#session.handlers.get(name))
  }

  listHandlers({ after = '', limit }: { after?: string; limit: number }): Promise<{ handlers: Handler[]; more: boolean }> {
    return this.#read(() => {
      const handlers = this.#session.handlers.list(after, limit + 1)
      return { handlers: handlers.slice(0, limit), more: handlers.length > limit }
    })
  }

  removeHandler(name: string, options: { force: boolean }): ReturnType<Store['removeHandler']> {
    return this.#handlerChanges.make(() => this.#session.handlers.remove(name, options))
  }

  changes(page: { after: number; limit: number }): ReturnType<Store['changes']> {
    return this.#read(() => this.#session.changeLog.read(page))
  }

  onChange(listener: () => void): () => void {
    return this.#session.changeLog.listen(listener)
  }

  runs(...[selection, page]: Parameters<Store['runs']>): ReturnType<Store['runs']> {
    return this.#ledger.runs(selection, page)
  }

  /** There is no other node, whose clock or tasks would matter. */
  readonly time = (): Promise<undefined> => Promise.resolve(undefined)
  readonly onDue = (): (() => void) => () => undefined
  readonly tidy = (): Promise<void> => Promise.resolve()

  async close(): Promise<void> {
    this.#handlerChanges.close()
    await this.#group.drained()
    this.#db.close()
    this.#afterClose()
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
