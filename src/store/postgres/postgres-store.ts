/**
 * The PostgreSQL store of one of many nodes: each verb as a member of a group commit, or as a read. Reads see what is committed. Requests,
 * the scheduler, and what takes long are written side by side, so that none of them waits for another.
 */
import { CallmeError } from '../../domain/errors.ts'
import type { Handler, HandlerDefinition } from '../../domain/task/handler.ts'
import type { AttemptReport } from '../../domain/attempt/attempt-report.ts'
import { TASK_STATES } from '../../domain/task/task.ts'
import type { Attempt, NewTask, Task, TaskState } from '../../domain/task/task.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import { toHandler } from '../rows/handler-row.ts'
import type { HandlerRow } from '../rows/handler-row.ts'
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
import { ATTEMPT_COLUMNS, toAttempt } from '../rows/task-row.ts'
import type { AttemptRow } from '../rows/task-row.ts'
import { requestPatience } from './node.ts'
import type { Node } from './node.ts'
import { ANY_EXPIRED } from './results/outcomes.ts'
import { fullDays } from './retention/prune.ts'
import { minutesOf, partitionedDays, unlessInTheWay } from './retention/partitions.ts'
import type { Worker } from './claims/pull.ts'
import { PostgresLedger } from './history/ledger.ts'
import { rescheduleBatch } from './tasks/reschedule.ts'
import { findRow, readTasks } from './rows/rows.ts'
import { readPage } from './rows/pages.ts'
import { Transaction } from './commit/transaction.ts'
import type { Verbs } from './verbs.ts'

/** Within a run the numbers count: the clock may have been set back between two attempts. */
const HISTORY = `
  SELECT ${ATTEMPT_COLUMNS} FROM callme.attempts WHERE trigger_at = $2 AND name = $1
  ORDER BY min(started_at) OVER (PARTITION BY run_id), run_id, number`
const HANDLER = 'SELECT * FROM callme.handlers WHERE name = $1'
const HANDLERS_AFTER = 'SELECT * FROM callme.handlers WHERE name > $1 ORDER BY name LIMIT $2'
const TIME = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now'
/** How many entries are removed in one transaction. */
const PAGE_ROWS = 1000

export class PostgresStore implements Store {
  readonly #node: Node
  readonly #verbs: Verbs
  readonly #ledger: PostgresLedger

  constructor(node: Node) {
    this.#node = node
    this.#verbs = node.verbs
    this.#ledger = new PostgresLedger(node.session.database)
  }

  put(tasks: readonly NewTask[], { now, ifAbsent = false }: { now: number; ifAbsent?: boolean }): Promise<PutResult[]> {
    return this.#node.requests.write(this.#verbs.put, { tasks, now, ifAbsent })
  }

  async get(key: TaskKey): Promise<Task | undefined> {
    const { database, handlers, peers } = this.#node.session
    await peers.catchUp()
    const row = await findRow(database, key)
    return row && (await readTasks(database, handlers, [row]))[0]
  }

  async history(key: TaskKey): Promise<Attempt[]> {
    return (await this.#node.session.database.query<AttemptRow>(HISTORY, [key.name, key.triggerAt])).map(toAttempt)
  }

  async list(selection: Selection, { after, limit }: { after?: TaskKey; limit: number }): Promise<{ tasks: Task[]; more: boolean }> {
    const { database, handlers, peers } = this.#node.session
    await peers.catchUp()
    const { rows } = await readPage(database, selection, after, limit + 1)
    return { tasks: await readTasks(database, handlers, rows.slice(0, limit)), more: rows.length > limit }
  }

  claimDue(claim: Claim): Promise<ClaimResult> {
    return this.#node.schedule(this.#verbs.claimDue, claim)
  }

  record(outcomes: readonly AttemptReport[]): Promise<boolean[]> {
    return this.#node.scheduling.write(this.#verbs.record, outcomes)
  }

  async expire({ now, limit }: { now: number; limit: number }): Promise<{ tasks: Task[]; more: boolean }> {
    const { database, deadlines } = this.#node.session
    const after = deadlines.begin(now)
    const [any] = await database.query(ANY_EXPIRED, [after, now])
    if (any !== undefined) return this.#node.scheduling.write(this.#verbs.expire, { after, now, limit })
    deadlines.clear(now)
    return { tasks: [], more: false }
  }

  pull(handlerName: string, worker: Worker): Promise<PullResult | 'not_pulled'> {
    return this.#node.schedule(this.#verbs.pull, { handlerName, worker }, requestPatience)
  }

  acknowledge(ack: Acknowledgement): Promise<AckResult> {
    return this.#node.scheduling.write(this.#verbs.acknowledge, ack, requestPatience)
  }

  async renew(claims: readonly Task[], { leaseUntil }: { leaseUntil: number }): Promise<void> {
    if (claims.length > 0) await this.#node.scheduling.write(this.#verbs.renew, { claims, leaseUntil })
  }

  rescue(which: { now: number; onlyNode?: string; limit: number }): Promise<Task[]> {
    return this.#node.scheduling.write(this.#verbs.rescue, which)
  }

  reschedule(request: RescheduleRequest): ReturnType<Store['reschedule']> {
    if (!request.dryRun) return this.#node.chores.write(this.#verbs.reschedule, request)
    const { session } = this.#node
    return session.database.tryOut((queries) => rescheduleBatch(session, new Transaction(queries), request))
  }

  run(key: TaskKey, { now, removeAfter = false }: { now: number; removeAfter?: boolean }): ReturnType<Store['run']> {
    return this.#node.requests.write(this.#verbs.run, { key, now, removeAfter })
  }

  async remove(given: Selection, options: { now: number; limit: number; continueSeries?: boolean }): Promise<number> {
    const selection = { ...given, states: (given.states ?? TASK_STATES).filter((state) => state !== 'running') }
    let removed = 0
    let after: TaskKey | undefined
    do {
      const limit = Math.min(options.limit - removed, PAGE_ROWS)
      const stretch = await this.#node.chores.write(this.#verbs.remove, { selection, after, options: { ...options, limit } })
      removed += stretch.removed
      after = stretch.next
    } while (after && removed < options.limit)
    return removed
  }

  async prune({ before, limit }: { before: number; limit: number }): Promise<number> {
    const { database } = this.#node.session
    const needed = new Set<number>()
    let dropped = 0
    for (const day of await partitionedDays(database)) {
      if (minutesOf(day).to * 1000 > before || dropped > limit) continue
      const result = await unlessInTheWay(() => this.#node.chores.write(this.#verbs.pruneDay, { day, before }))
      if (result === 'needed') needed.add(day)
      else dropped += result ?? 0
    }
    if (dropped > 0) return dropped
    const but = (await fullDays(database, before)).filter((day) => !needed.has(day))
    return this.#node.chores.write(this.#verbs.pruneRows, { before, limit, but })
  }

  async counts(): Promise<Record<TaskState, number>> {
    await this.#node.proveWritable()
    return this.#node.changeLog.counts()
  }

  putHandler(name: string, definition: HandlerDefinition, options: { now: number; force: boolean }): ReturnType<Store['putHandler']> {
    return this.#node.changeHandler((writer) => writer.write(this.#verbs.putHandler, { name, definition, ...options }))
  }

  async getHandler(name: string): Promise<Handler | undefined> {
    const [row] = await this.#node.session.database.query<HandlerRow>(HANDLER, [name])
    return row && toHandler(row)
  }

  async listHandlers({ after = '', limit }: { after?: string; limit: number }): Promise<{ handlers: Handler[]; more: boolean }> {
    const rows = await this.#node.session.database.query<HandlerRow>(HANDLERS_AFTER, [after, limit + 1])
    return { handlers: rows.slice(0, limit).map(toHandler), more: rows.length > limit }
  }

  removeHandler(name: string, { force }: { force: boolean }): ReturnType<Store['removeHandler']> {
    return this.#node.changeHandler((writer) => writer.write(this.#verbs.removeHandler, { name, force }))
  }

  changes(page: { after: number; limit: number }): ReturnType<Store['changes']> {
    return this.#node.changeLog.read(page)
  }

  onChange(listener: () => void): () => void {
    return this.#node.changed.add(listener)
  }

  runs(...[selection, page]: Parameters<Store['runs']>): ReturnType<Store['runs']> {
    return this.#ledger.runs(selection, page)
  }

  async time(): Promise<number> {
    const [row] = await this.#node.session.database.query<{ now: number }>(TIME)
    if (row === undefined) throw new CallmeError('store_unavailable', 'the database does not tell the time')
    return row.now
  }

  onDue(listener: (dueAt: number) => void): () => void {
    return this.#node.due.add(listener)
  }

  tidy(): Promise<void> {
    return this.#node.tidy()
  }

  close(): Promise<void> {
    return this.#node.close()
  }
}
