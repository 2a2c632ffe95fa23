/** The SQLite store: each verb of the seam is one member of a group commit. Reads see committed rows. */
import { setImmediate } from 'node:timers/promises'
import type { Database } from 'better-sqlite3'
import type { AttemptReport } from '../../domain/attempt/attempt-report.ts'
import type { Handler, HandlerDefinition } from '../../domain/task/handler.ts'
import { TASK_STATES } from '../../domain/task/task.ts'
import type { Attempt, NewTask, Task, TaskState } from '../../domain/task/task.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import type { Changes } from '../rules/changes.ts'
import type { TaskRow } from '../rows/task-row.ts'
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
import { pullDue } from './claims/pull.ts'
import type { Worker } from './claims/pull.ts'
import { Undo } from './commit/group-commit.ts'
import { storeError } from './commit/store-error.ts'
import { HandlerChanges } from './handlers/backfill.ts'
import { findHandler, listHandlers, putHandler, removeHandler } from './handlers/change-handler.ts'
import { SqliteLedger, readHistory } from './history/ledger.ts'
import { acknowledge } from './results/acknowledge.ts'
import { expireRows } from './results/expire.ts'
import { recordReport } from './results/record.ts'
import { renewLeases, rescueRows } from './results/rescue.ts'
import { pruneRows } from './retention/prune.ts'
import { findRow, readTask } from './rows/rows.ts'
import { openSession } from './session.ts'
import type { Session } from './session.ts'
import { putTask } from './tasks/put.ts'
import { removeTasks } from './tasks/remove.ts'
import { rescheduleBatch } from './tasks/reschedule.ts'
import { runTask } from './tasks/run.ts'

export class SqliteStore implements Store {
  readonly #db: Database
  readonly #session: Session
  readonly #afterClose: () => void
  readonly #handlerChanges: HandlerChanges
  readonly #ledger: SqliteLedger

  /** @param db migrated, and used by nobody else from now on */
  constructor(db: Database, afterClose: () => void) {
    this.#db = db
    this.#session = openSession(db)
    this.#handlerChanges = new HandlerChanges(this.#session)
    this.#ledger = new SqliteLedger(this.#session.sql)
    this.#afterClose = afterClose
  }

  put(tasks: readonly NewTask[], options: { now: number; ifAbsent?: boolean }): Promise<PutResult[]> {
    return this.#write((session, changes) => tasks.map((task) => putTask(session, task, options, changes)))
  }

  get(key: TaskKey): Promise<Task | undefined> {
    return this.#read((session) => {
      const row = findRow(session, key)
      return row && readTask(session, row)
    })
  }

  history(key: TaskKey): Promise<Attempt[]> {
    return this.#read(({ sql }) => readHistory(sql, key))
  }

  async list(selection: Selection, { after, limit }: { after?: TaskKey; limit: number }): Promise<{ tasks: Task[]; more: boolean }> {
    const rows: TaskRow[] = []
    let start = after
    do {
      const page = await this.#read(({ pages }) => pages.page(selection, start, limit + 1 - rows.length))
      rows.push(...page.rows)
      start = page.next
      if (start && rows.length <= limit) await setImmediate()
    } while (start && rows.length <= limit)
    const tasks = await this.#read((session) => rows.slice(0, limit).map((row) => readTask(session, row)))
    return { tasks, more: rows.length > limit }
  }

  claimDue(claim: Claim): Promise<ClaimResult> {
    return this.#write((session, changes) => claimDue(session, claim, changes))
  }

  record(reports: readonly AttemptReport[]): Promise<boolean[]> {
    return this.#write((session, changes) => reports.map((report) => recordReport(session, report, changes) !== undefined))
  }

  expire(options: { now: number; limit: number }): Promise<{ tasks: Task[]; more: boolean }> {
    return this.#write((session, changes) => expireRows(session, options, changes))
  }

  pull(handlerName: string, worker: Worker): Promise<PullResult | 'not_pulled'> {
    return this.#write((session, changes) => pullDue(session, handlerName, worker, changes))
  }

  acknowledge(ack: Acknowledgement): Promise<AckResult> {
    return this.#write((session, changes) => acknowledge(session, ack, changes))
  }

  renew(claims: readonly Task[], { leaseUntil }: { leaseUntil: number }): Promise<void> {
    return this.#write((session) => {
      renewLeases(session, claims, leaseUntil)
    })
  }

  rescue(options: { now: number; onlyNode?: string; limit: number }): Promise<Task[]> {
    return this.#write((session, changes) => rescueRows(session, options, changes))
  }

  reschedule(request: RescheduleRequest): ReturnType<Store['reschedule']> {
    return this.#write((session, changes) => {
      const batch = rescheduleBatch(session, request, changes)
      if (request.dryRun) throw new Undo(batch)
      return batch
    })
  }

  run(key: TaskKey, options: { now: number; removeAfter?: boolean }): Promise<Task | 'running' | 'final' | 'unknown'> {
    return this.#write((session, changes) => runTask(session, key, options, changes))
  }

  async remove(selection: Selection, options: { now: number; limit: number; continueSeries?: boolean }): Promise<number> {
    const states = (selection.states ?? TASK_STATES).filter((state) => state !== 'running')
    let removed = 0
    let after: TaskKey | undefined
    do {
      const limits = { ...options, limit: options.limit - removed }
      const batch = await this.#write((session, changes) => removeTasks(session, { ...selection, states }, after, limits, changes))
      removed += batch.removed
      after = batch.next
    } while (after && removed < options.limit)
    return removed
  }

  prune(options: { before: number; limit: number }): Promise<number> {
    return this.#write((session, changes) => pruneRows(session, options, changes))
  }

  async counts(): Promise<Record<TaskState, number>> {
    await this.#write(({ changeLog }) => {
      changeLog.proveWritable()
    })
    return this.#read(({ changeLog }) => changeLog.counts())
  }

  putHandler(name: string, definition: HandlerDefinition, options: { now: number; force: boolean }): ReturnType<Store['putHandler']> {
    return this.#handlerChanges.make((session) => putHandler(session, name, definition, options))
  }

  getHandler(name: string): Promise<Handler | undefined> {
    return this.#read((session) => findHandler(session, name))
  }

  listHandlers(page: { after?: string; limit: number }): ReturnType<Store['listHandlers']> {
    return this.#read((session) => listHandlers(session, page))
  }

  removeHandler(name: string, options: { force: boolean }): ReturnType<Store['removeHandler']> {
    return this.#handlerChanges.make((session) => removeHandler(session, name, options))
  }

  changes(page: { after: number; limit: number }): ReturnType<Store['changes']> {
    return this.#read(({ changeLog }) => changeLog.read(page))
  }

  onChange(listener: () => void): () => void {
    return this.#session.changeLog.listen(listener)
  }

  runs(...[selection, page]: Parameters<Store['runs']>): ReturnType<Store['runs']> {
    return this.#ledger.runs(selection, page)
  }

  /** No other node has a clock or tasks to go by. */
  readonly time = (): Promise<undefined> => Promise.resolve(undefined)
  readonly onDue = (): (() => void) => () => undefined
  readonly tidy = (): Promise<void> => Promise.resolve()

  async close(): Promise<void> {
    this.#handlerChanges.close()
    await this.#session.group.drained()
    this.#db.close()
    this.#afterClose()
  }

  #write<T>(work: (session: Session, changes: Changes) => T): Promise<T> {
    return this.#session.group.write((changes) => work(this.#session, changes))
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the promise turns a thrown error into a rejection
  async #read<T>(work: (session: Session) => T): Promise<T> {
    try {
      return work(this.#session)
    } catch (error) {
      throw storeError(error)
    }
  }
}
