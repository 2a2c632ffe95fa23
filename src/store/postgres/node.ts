/**
 * What one node has open of a store that many share: its connections, what it remembers, and the streams through which it writes. It hears
 * of the other nodes by reading what they have committed, before each claim and now and then.
 */
import { setTimeout } from 'node:timers/promises'
import { CallmeError } from '../../domain/errors.ts'
import { ChangeLog } from './history/change-log.ts'
import { Database, PATIENCE_MS } from './commit/database.ts'
import { GroupWriter } from './commit/group-writer.ts'
import type { Verb } from './commit/group-writer.ts'
import { HandlerBook } from '../rules/handler-book.ts'
import { LowWaterMark } from './memory/low-water-mark.ts'
import { LaneCursors } from './memory/lane-cursors.ts'
import { Listeners } from './memory/listeners.ts'
import { PeerSync } from './memory/peer-sync.ts'
import { makePartitions } from './retention/partitions.ts'
import type { Session } from './session.ts'
import type { Transaction } from './commit/transaction.ts'
import { verbsOf } from './verbs.ts'
import type { Verbs } from './verbs.ts'

/** How late listeners hear of another node at the most, while nothing is claimed. */
const LISTEN_EVERY_MS = 500
const SEEN_EVERY_MS = 60_000
const PARTITIONS_EVERY_MS = 3_600_000
/** How long the scheduler waits for the database: less than its leases, so that it need not wonder about a claim that was not answered. */
const SCHEDULING_PATIENCE_MS = 50_000

export const requestPatience = (): number => PATIENCE_MS

const OPEN_STREAM = 'INSERT INTO callme.streams DEFAULT VALUES RETURNING id'
const KEEP_STREAMS = `
  INSERT INTO callme.streams (id, seen) OVERRIDING SYSTEM VALUE SELECT unnest($1::bigint[]), now()
  ON CONFLICT (id) DO UPDATE SET seen = excluded.seen`
/** Those of nodes that are gone, once nothing is left to be read of them. */
const FORGET_STREAMS = `
  DELETE FROM callme.streams s WHERE s.seen < now() - interval '1 day' AND NOT EXISTS (SELECT 1 FROM callme.commits c WHERE c.stream = s.id)`

/** So that none of the three has to wait for the others. */
export interface Connections {
  /** one for each writer */
  readonly writing: Database
  readonly reading: Database
  /** to hear of other nodes, also in the middle of a write */
  readonly listening: Database
}

export function connect(url: string): Connections {
  return { writing: new Database(url, 3), reading: new Database(url, 2, PATIENCE_MS), listening: new Database(url, 1, PATIENCE_MS) }
}

export async function closeConnections({ writing, reading, listening }: Connections): Promise<void> {
  await Promise.all([writing.end(), reading.end(), listening.end()])
}

export class Node {
  readonly session: Session
  readonly verbs: Verbs
  readonly changeLog: ChangeLog
  /** writes what clients ask for */
  readonly requests: GroupWriter
  /** writes what the scheduler does */
  readonly scheduling: GroupWriter
  /** writes what takes long */
  readonly chores: GroupWriter
  readonly changed = new Listeners<void>()
  readonly due = new Listeners<number>()
  readonly #connections: Connections
  readonly #streams: readonly number[]
  readonly #closing = new AbortController()
  /** under way, until the rows are where they belong */
  #handlerChange: Promise<unknown> | undefined
  /** the last change of a handler that was asked for */
  #storing: Promise<unknown> = Promise.resolve()
  #lastSeen = performance.now()
  #lastPartitions = performance.now()

  private constructor(connections: Connections, streams: readonly [number, number, number], stopping: AbortSignal) {
    this.#connections = connections
    this.#streams = streams
    const [handlers, fronts, deadlines, leases] = [new HandlerBook(), new LaneCursors(), new LowWaterMark(), new LowWaterMark()]
    const { reading: database, listening, writing } = connections
    const onHeard = ({ hasChanges, dueAt }: { hasChanges: boolean; dueAt: number }): void => {
      if (hasChanges) this.changed.notify()
      if (dueAt < Infinity) this.due.notify(dueAt)
    }
    const news = new PeerSync({
      database: listening,
      own: new Set(streams),
      handlers,
      cursors: fronts,
      deadlines,
      leases,
      onUpdate: onHeard,
    })
    this.session = { database, handlers, cursors: fronts, peers: news, deadlines, leases }
    this.verbs = verbsOf(this.session)
    this.changeLog = new ChangeLog(database)
    const onCommit = (transaction: Transaction): void => {
      this.#committed(transaction)
    }
    const writer = (stream: number, patienceMs: () => number) => new GroupWriter({ database: writing, stream, patienceMs, onCommit })
    this.requests = writer(streams[0], requestPatience)
    this.scheduling = writer(streams[1], () => (stopping.aborted ? PATIENCE_MS : SCHEDULING_PATIENCE_MS))
    this.chores = writer(streams[2], requestPatience)
  }

  /** @param stopping has the scheduler be impatient as well */
  static async open(connections: Connections, stopping: AbortSignal): Promise<Node> {
    const streams: number[] = []
    while (streams.length < 3) streams.push(...(await connections.reading.query<{ id: number }>(OPEN_STREAM)).map(({ id }) => id))
    const node = new Node(connections, streams as [number, number, number], stopping)
    await node.session.peers.catchUp()
    void node.#listen()
    // A node that is gone may have left some.
    void node.backfill().catch(() => undefined)
    return node
  }

  get isClosing(): boolean {
    return this.#closing.signal.aborted
  }

  /** Goes through the rows of handlers that have changed, a stretch at a time; what is left at the end goes on at another time. */
  async backfill(): Promise<void> {
    while (!this.isClosing && (await this.chores.write(this.verbs.settle, undefined)));
  }

  /**
   * One change after the other, and each once the rows are where the one before has put them. What is asked of this node afterwards sees
   * the change, also before it is through with the rows.
   * @param write answers `unsettled` where that is still to be done
   */
  async changeHandler<T>(write: (writer: GroupWriter) => Promise<T | 'unsettled'>): Promise<T> {
    while (this.#handlerChange) await this.#handlerChange.catch(() => undefined)
    const changing = this.#changeAndBackfill(write).finally(() => {
      this.#handlerChange = undefined
    })
    this.#handlerChange = changing
    return changing
  }

  /** Has the scheduler write what must see every handler that this node was told of before. */
  async schedule<I, O>(verb: Verb<I, O>, input: I, patienceMs?: () => number): Promise<O> {
    await this.#storing.catch(() => undefined)
    return this.scheduling.write(verb, input, patienceMs)
  }

  async tidy(): Promise<void> {
    const { database, leases } = this.session
    const time = performance.now()
    if (time - this.#lastSeen > SEEN_EVERY_MS) {
      await database.query(KEEP_STREAMS, [this.#streams])
      await database.query(FORGET_STREAMS)
      // A lease that was written late is over before anybody has looked for it.
      leases.lower(0)
      this.#lastSeen = time
    }
    await this.changeLog.tidy()
    await this.backfill()
    if (time - this.#lastPartitions > PARTITIONS_EVERY_MS) {
      await makePartitions(database)
      this.#lastPartitions = time
    }
  }

  /** Proves that the store can be written. */
  async proveWritable(): Promise<void> {
    await this.session.database.query(KEEP_STREAMS, [this.#streams.slice(0, 1)])
  }

  async close(): Promise<void> {
    if (this.isClosing) return
    this.#closing.abort()
    for (const writer of [this.requests, this.scheduling, this.chores]) await writer.drained()
    await closeConnections(this.#connections)
  }

  async #changeAndBackfill<T>(write: (writer: GroupWriter) => Promise<T | 'unsettled'>): Promise<T> {
    for (;;) {
      const storing = write(this.requests)
      this.#storing = storing
      const result = await storing
      await this.backfill()
      if (result !== 'unsettled') return result
      if (this.isClosing) throw new CallmeError('store_unavailable', 'the store is being closed')
    }
  }

  #committed({ changes, notes }: Transaction): void {
    const said = notes.toJson() ?? {}
    for (const [name, handler] of notes.handlers) this.session.handlers.set(name, handler)
    this.session.peers.apply(said)
    if (changes.emitted().length > 0 || said.handlers !== undefined) this.changed.notify()
  }

  async #listen(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      // A database that is away is no news.
      await this.session.peers.catchUp().catch(() => undefined)
      await setTimeout(LISTEN_EVERY_MS, undefined, { ref: false, signal }).catch(() => undefined)
    }
  }
}
