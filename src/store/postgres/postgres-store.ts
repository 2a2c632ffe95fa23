/**
 * The store on PostgreSQL, which many nodes share: each verb as a read, or as a write of one of three writers. Reads see what is committed.
 *
 * The writers work side by side, so that none waits for another. `requests` stores what clients ask for. `scheduling` claims tasks and writes
 * all that changes running ones, an acknowledgement too: claims and results never wait for each other's locks. `chores` takes long work.
 */
import type { AttemptReport } from '../../domain/attempt/attempt-report.ts'
import type { Handler, HandlerDefinition } from '../../domain/task/handler.ts'
import type { NewTask, Task, TaskState } from '../../domain/task/task.ts'
import type { TaskKey } from '../../domain/task/task-key.ts'
import { toHandler, type HandlerRow } from '../rows/handler-row.ts'
import { ownDefinition } from '../rows/task-row.ts'
import type { PutResult, Revise } from '../../domain/task/client-write.ts'
import type { Acknowledgement, Claim, ClaimResult, RescheduleRequest, Selection, Store } from '../store.ts'
import { claimDue } from './claims/claim-due.ts'
import { pull } from './claims/pull.ts'
import { PATIENCE_MS, closeConnections, one, type Connections } from './commit/database.ts'
import { GroupWriter } from './commit/group-writer.ts'
import { Transaction } from './commit/transaction.ts'
import { HandlerChanges, findHandler, putHandler, removeHandler } from './handlers/change-handler.ts'
import { ChangeLog } from './history/change-log.ts'
import { readHistory, readRuns } from './history/ledger.ts'
import { Node, type Streams } from './node.ts'
import { acknowledge } from './results/acknowledge.ts'
import { expire } from './results/expire.ts'
import { record } from './results/record.ts'
import { renew, rescue } from './results/rescue.ts'
import { prune } from './retention/prune.ts'
import { readPage } from './rows/pages.ts'
import { bounded, readTask, readTasks, findRow, type Found } from './rows/rows.ts'
import { showPresence } from './presence.ts'
import type { Session } from './session.ts'
import { editTask } from './tasks/edit.ts'
import { putTasks } from './tasks/put.ts'
import { removeMatching } from './tasks/remove.ts'
import { reschedule, rescheduleBatch } from './tasks/reschedule.ts'
import { runTask } from './tasks/run.ts'

/** The scheduler waits this long for the database, so that it knows what became of a claim. No node rescues just after the database was away. */
const SCHEDULING_PATIENCE_MS = 50_000

const HANDLERS_AFTER = bounded('SELECT * FROM callme.handlers WHERE name > $1 ORDER BY name LIMIT $2', 'name')
/** As text, because `extra_float_digits` decides how much of a float is sent. */
const TIME = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::text AS now'

const requestPatience = (): number => PATIENCE_MS

export class PostgresStore implements Store {
  readonly isNew: boolean
  readonly #connections: Connections
  readonly #session: Session
  readonly #requests: GroupWriter
  readonly #scheduling: GroupWriter
  readonly #chores: GroupWriter
  readonly #handlerChanges: HandlerChanges
  readonly #changeLog: ChangeLog
  readonly #node: Node
  readonly #closing = new AbortController()

  /** @param stopping once aborted, the scheduler waits as short as a request */
  constructor(connections: Connections, session: Session, streams: Streams, stopping: AbortSignal, isNew: boolean) {
    this.isNew = isNew
    this.#connections = connections
    this.#session = session
    const schedulingPatience = (): number => (stopping.aborted ? PATIENCE_MS : SCHEDULING_PATIENCE_MS)
    const writer = { session, database: connections.writing, patienceMs: requestPatience }
    this.#requests = new GroupWriter({ ...writer, stream: streams.requests })
    this.#scheduling = new GroupWriter({ ...writer, stream: streams.scheduling, patienceMs: schedulingPatience })
    this.#chores = new GroupWriter({ ...writer, stream: streams.chores })
    this.#handlerChanges = new HandlerChanges(this.#requests, this.#chores, this.#closing.signal)
    this.#changeLog = new ChangeLog(session.database)
    this.#node = new Node(session, connections.identity, streams, this.#changeLog, this.#handlerChanges)
    this.#node.start(this.#closing.signal)
  }

  put(tasks: readonly NewTask[], { now, ifAbsent = false }: { now: number; ifAbsent?: boolean }): Promise<PutResult[]> {
    return this.#requests.write(putTasks, { tasks, now, ifAbsent })
  }

  async get(key: TaskKey, { own = false } = {}): Promise<Task | undefined> {
    const { database, peers } = this.#session
    await peers.catchUp()
    const row = await findRow(database, key)
    return row && { ...(await readTask(database, this.#session, row)), ...(own && { definition: ownDefinition(row) }) }
  }

  history(key: TaskKey): ReturnType<Store['history']> {
    return readHistory(this.#session.database, key)
  }

  async list(selection: Selection, { after, limit }: { after?: TaskKey; limit: number }): Promise<{ tasks: Task[]; more: boolean }> {
    const { database, peers } = this.#session
    await peers.catchUp()
    const { rows, isCut } = await readPage(database, selection, after, limit + 1)
    return { tasks: await readTasks(database, this.#session, rows.slice(0, limit)), more: isCut || rows.length > limit }
  }

  async claimDue(claim: Claim): Promise<ClaimResult> {
    // A claim obeys every change of a handler that this node was told of before.
    await this.#handlerChanges.stored()
    return (await this.#scheduling.write(claimDue, claim))()
  }

  record(reports: readonly AttemptReport[]): Promise<boolean[]> {
    return this.#scheduling.write(record, reports)
  }

  expire(options: { now: number; limit: number }): ReturnType<Store['expire']> {
    return expire(this.#session, this.#scheduling, options)
  }

  async pull(handlerName: string, worker: Parameters<Store['pull']>[1]): ReturnType<Store['pull']> {
    await this.#handlerChanges.stored()
    return (await this.#scheduling.write(pull, { handlerName, ...worker }, requestPatience))()
  }

  acknowledge(ack: Acknowledgement): ReturnType<Store['acknowledge']> {
    return this.#scheduling.write(acknowledge, ack, requestPatience)
  }

  async renew(claims: readonly Task[], { leaseUntil }: { leaseUntil: number }): Promise<void> {
    if (claims.length > 0) await this.#scheduling.write(renew, { claims, leaseUntil })
  }

  rescue(search: Parameters<Store['rescue']>[0]): Promise<Task[]> {
    return this.#scheduling.write(rescue, search)
  }

  announce(node: string): Promise<void> {
    return showPresence(this.#connections.showing, node, this.#closing.signal)
  }

  reschedule(request: RescheduleRequest): ReturnType<Store['reschedule']> {
    if (!request.dryRun) return this.#chores.write(reschedule, request)
    return this.#session.database.tryOut((queries) => rescheduleBatch(new Transaction(this.#session, queries), request))
  }

  run(key: TaskKey, { now, removeAfter = false }: { now: number; removeAfter?: boolean }): ReturnType<Store['run']> {
    return this.#requests.write(runTask, { key, now, removeAfter })
  }

  edit(key: TaskKey, revise: Revise, { now, run }: { now: number; run: boolean }): ReturnType<Store['edit']> {
    return this.#requests.write(editTask, { key, revise, now, run })
  }

  remove(selection: Selection, options: { now: number; limit: number; continueSeries?: boolean }): Promise<number> {
    return removeMatching(this.#chores, selection, options)
  }

  prune(options: { before: number; limit: number }): Promise<number> {
    return prune(this.#session, this.#chores, options)
  }

  async counts(): Promise<Record<TaskState, number>> {
    await this.#node.proveWritable()
    return this.#changeLog.counts()
  }

  putHandler(name: string, definition: HandlerDefinition, options: { now: number; force: boolean }): ReturnType<Store['putHandler']> {
    return this.#handlerChanges.change(putHandler, { name, definition, ...options })
  }

  getHandler(name: string): Promise<Handler | undefined> {
    return findHandler(this.#session.database, name)
  }

  async listHandlers({ after = '', limit }: { after?: string; limit: number }): Promise<{ handlers: Handler[]; more: boolean }> {
    const rows = await this.#session.database.query<HandlerRow & Found>(HANDLERS_AFTER, [after, limit + 1])
    return { handlers: rows.slice(0, limit).map(toHandler), more: (rows[0]?.found ?? 0) > Math.min(rows.length, limit) }
  }

  removeHandler(name: string, { force }: { force: boolean }): ReturnType<Store['removeHandler']> {
    return this.#handlerChanges.change(removeHandler, { name, force })
  }

  changes(page: { after: number; limit: number }): ReturnType<Store['changes']> {
    return this.#changeLog.read(page)
  }

  onChange(listener: () => void): () => void {
    return this.#session.peers.onChange(listener)
  }

  runs(...[selection, page]: Parameters<Store['runs']>): ReturnType<Store['runs']> {
    return readRuns(this.#session.database, selection, page)
  }

  async time(): Promise<number> {
    return Number(one(await this.#session.database.query<{ now: string }>(TIME)).now)
  }

  onDue(listener: (dueAt: number) => void): () => void {
    return this.#session.peers.onDue(listener)
  }

  tidy(): Promise<void> {
    return this.#node.tidy()
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    for (const writer of [this.#requests, this.#scheduling, this.#chores]) await writer.drained()
    await closeConnections(this.#connections)
  }
}
