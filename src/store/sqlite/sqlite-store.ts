/** The SQLite store: each verb of the seam is one member of a group commit. Reads see committed rows. */
import { setImmediate } from 'node:timers/promises'
import type { Database } from 'better-sqlite3'
import type { OnFailure } from '../../domain/task/error-callback.ts'
import { TASK_STATES, type TaskState } from '../../domain/task/task.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import type { TaskRow } from '../rows/task-row.ts'
import { PAGE_BYTES, weightOf } from '../../domain/task/page-size.ts'
import type { Store } from '../store.ts'
import { claimDue } from './claims/claim-due.ts'
import { pullDue } from './claims/pull.ts'
import type { GroupCommit } from './commit/group-commit.ts'
import type { Hold } from './commit/hold.ts'
import { storeError } from './commit/store-error.ts'
import { HandlerChanges } from './handlers/backfill.ts'
import { findHandler, listHandlers, putHandler, removeHandler } from './handlers/change-handler.ts'
import { readHistory, readRuns } from './history/ledger.ts'
import { acknowledge } from './results/acknowledge.ts'
import { expireRows } from './results/expire.ts'
import { recordReports } from './results/record.ts'
import { renewLeases, rescueRows } from './results/rescue.ts'
import { pruneRows } from './retention/prune.ts'
import { SHRINK_PAGES, SHRINK_STEPS, canShrink, shrink } from './retention/shrink.ts'
import { readPage } from './rows/pages.ts'
import { getTask, readTask } from './rows/rows.ts'
import { openSession, type Session, type Transaction } from './session.ts'
import { editTask } from './tasks/edit.ts'
import { putTasks } from './tasks/put.ts'
import { removeTasks } from './tasks/remove.ts'
import { rescheduleBatch } from './tasks/reschedule.ts'
import { runTask } from './tasks/run.ts'

export class SqliteStore implements Store {
  readonly put = this.#writing(putTasks, ([tasks]) => weightOf(tasks))
  readonly get = this.#reading(getTask)
  readonly history = this.#reading(readHistory)
  readonly claimDue = this.#writing(claimDue)
  readonly record = this.#writing(recordReports)
  readonly expire = this.#writing(expireRows)
  readonly pull = this.#writing(pullDue)
  readonly acknowledge = this.#writing(acknowledge)
  readonly renew = this.#writing(renewLeases)
  readonly rescue = this.#writing(rescueRows)
  readonly reschedule = this.#writing(rescheduleBatch, ([{ limit }]) => limit)
  readonly run = this.#writing(runTask)
  readonly edit = this.#writing(editTask)
  readonly prune = this.#writing(pruneRows, ([{ limit }]) => limit)
  readonly putHandler = this.#changing(putHandler)
  readonly getHandler = this.#reading(findHandler)
  readonly listHandlers = this.#reading(listHandlers)
  readonly removeHandler = this.#changing(removeHandler)
  readonly runs = this.#reading(readRuns)
  readonly changes = this.#reading(({ changeLog }, page: Parameters<Store['changes']>[0]) => changeLog.read(page))
  readonly onChange = (listener: () => void): (() => void) => this.#session.changeLog.listen(listener)
  /** No other node has a clock or tasks that matter here. */
  readonly time = (): Promise<undefined> => Promise.resolve(undefined)
  readonly onDue = (): (() => void) => () => undefined
  /** No other process can have the file open. */
  readonly announce = (): Promise<void> => Promise.resolve()
  readonly isNew: boolean
  readonly #db: Database
  readonly #hold: Hold
  readonly #session: Session
  readonly #group: GroupCommit<Transaction>
  readonly #handlerChanges: HandlerChanges
  readonly #afterClose: () => void

  /** @param db a migrated database, which nobody else uses from now on */
  constructor(
    db: Database,
    hold: Hold,
    afterClose: () => void,
    { isNew, onFailure }: { isNew: boolean; onFailure?: OnFailure | undefined },
  ) {
    this.isNew = isNew
    this.#db = db
    this.#hold = hold
    const { session, group } = openSession(db, hold, onFailure)
    this.#session = session
    this.#group = group
    this.#handlerChanges = new HandlerChanges(session.sql, group)
    this.#afterClose = afterClose
  }

  async list(...[selection, { after, limit }]: Parameters<Store['list']>): ReturnType<Store['list']> {
    const rows: TaskRow[] = []
    let [start, bytes] = [after, PAGE_BYTES]
    let isCut: boolean
    do {
      const position = { after: start, limit: limit + 1 - rows.length, bytes }
      const page = await this.#read(({ sql }) => readPage(sql, selection, position))
      rows.push(...page.rows)
      bytes -= page.rows.reduce((sum, { definition }) => sum + definition.length, 0)
      ;({ next: start, isCut } = page)
      if (start && !isCut && rows.length <= limit) await setImmediate()
    } while (start && !isCut && rows.length <= limit)
    const tasks = await this.#read((session) => rows.slice(0, limit).map((row) => readTask(session, row)))
    return { tasks, more: isCut || rows.length > limit }
  }

  async remove(...[selection, options]: Parameters<Store['remove']>): Promise<number> {
    const states = (selection.states ?? TASK_STATES).filter((state) => state !== 'running')
    let removed = 0
    let after: TaskKey | undefined
    do {
      const limits = { ...options, after, limit: options.limit - removed }
      const batch = await this.#group.write((transaction) => removeTasks(transaction, { ...selection, states }, limits), limits.limit)
      removed += batch.removed
      after = batch.next
    } while (after && removed < options.limit)
    return removed
  }

  async counts(): Promise<Record<TaskState, number>> {
    await this.#group.write(({ changeLog }) => {
      changeLog.proveWritable()
    })
    return this.#read(({ changeLog }) => changeLog.counts())
  }

  async tidy(): Promise<void> {
    for (let step = 0; step < SHRINK_STEPS && (await this.#read(() => canShrink(this.#db))); step += 1) {
      await this.#group.write(() => {
        shrink(this.#db)
      }, SHRINK_PAGES)
    }
  }

  async close(): Promise<void> {
    this.#handlerChanges.close()
    await this.#group.drained()
    this.#hold.release()
    this.#db.close()
    this.#afterClose()
  }

  #writing<Args extends unknown[], T>(
    verb: (transaction: Transaction, ...args: Args) => T,
    weightOfArgs: (args: Args) => number = () => 1,
  ): (...args: Args) => Promise<T> {
    return (...args) => this.#group.write((transaction) => verb(transaction, ...args), weightOfArgs(args))
  }

  #changing<Args extends unknown[], T>(verb: (transaction: Transaction, ...args: Args) => T): (...args: Args) => Promise<T> {
    return (...args) => this.#handlerChanges.make((transaction) => verb(transaction, ...args))
  }

  #reading<Args extends unknown[], T>(verb: (session: Session, ...args: Args) => T): (...args: Args) => Promise<T> {
    return (...args) => this.#read((session) => verb(session, ...args))
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the promise turns a thrown error into a rejection
  async #read<T>(work: (session: Session) => T): Promise<T> {
    try {
      this.#hold.mustBeThereLately()
      return work(this.#session)
    } catch (error) {
      this.#hold.failed(error)
      throw storeError(error, this.#db.name)
    }
  }
}
