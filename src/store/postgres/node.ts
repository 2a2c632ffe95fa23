/** The background work of a node: it follows the other nodes, goes on with backfills, and keeps its streams and partitions. */
import { setTimeout } from 'node:timers/promises'
import { one, type Queries } from './commit/database.ts'
import type { Identity } from './commit/identity.ts'
import type { HandlerChanges } from './handlers/change-handler.ts'
import type { ChangeLog } from './history/change-log.ts'
import { makePartitions } from './retention/partitions.ts'
import type { Session } from './session.ts'

/** Listeners learn of other nodes within this time, even if nothing is claimed. */
const LISTEN_EVERY_MS = 500
const KEEP_STREAMS_EVERY_MS = 60_000
const PARTITIONS_EVERY_MS = 3_600_000

const OPEN_STREAM = 'INSERT INTO callme.streams DEFAULT VALUES RETURNING id'
const KEEP_STREAMS = `
  INSERT INTO callme.streams (id, seen) OVERRIDING SYSTEM VALUE SELECT unnest($1::bigint[]), now()
  ON CONFLICT (id) DO UPDATE SET seen = excluded.seen`
/** A stream of a gone node stays until all of its commits are read. */
const FORGET_STREAMS = `
  DELETE FROM callme.streams s WHERE s.seen < now() - interval '1 day' AND NOT EXISTS (SELECT 1 FROM callme.commits c WHERE c.stream = s.id)`

const LAST_SEQS = `
  SELECT s.stream, coalesce(greatest((SELECT max(c.seq) FROM callme.commits c WHERE c.stream = s.stream),
    (SELECT max(n.seq) FROM callme.numbered n WHERE n.stream = s.stream)), 0)::bigint AS seq
  FROM unnest($1::bigint[]) AS s (stream)`

/** The streams of a node: the connections through which it writes, each with its own sequence of commits. */
export interface Streams {
  readonly requests: number
  readonly scheduling: number
  readonly chores: number
}

export async function openStreams(queries: Queries): Promise<Streams> {
  const open = async (): Promise<number> => one(await queries.query<{ id: number }>(OPEN_STREAM)).id
  return { requests: await open(), scheduling: await open(), chores: await open() }
}

export class Node {
  readonly #session: Session
  readonly #identity: Identity
  readonly #streams: Streams
  readonly #changeLog: ChangeLog
  readonly #handlerChanges: HandlerChanges
  /** the last numbers of its streams that it has seen stored */
  readonly #lastSeqs = new Map<number, number>()
  #keptStreams = performance.now()
  #madePartitions = performance.now()

  constructor(session: Session, identity: Identity, streams: Streams, changeLog: ChangeLog, handlerChanges: HandlerChanges) {
    this.#session = session
    this.#identity = identity
    this.#streams = streams
    this.#changeLog = changeLog
    this.#handlerChanges = handlerChanges
  }

  /** Begins to follow the other nodes, and finishes the backfill of a gone one. */
  start(closing: AbortSignal): void {
    void this.#listen(closing)
    void this.#handlerChanges.backfill().catch(() => undefined)
  }

  async tidy(): Promise<void> {
    const { database, leases } = this.#session
    const time = performance.now()
    await this.#lookBack()
    if (time - this.#keptStreams > KEEP_STREAMS_EVERY_MS) {
      await database.query(KEEP_STREAMS, [Object.values(this.#streams)])
      await database.query(FORGET_STREAMS)
      // A claim that was written late may have a lease below the low-water mark.
      leases.lower(0)
      this.#keptStreams = time
    }
    await this.#changeLog.tidy()
    await this.#handlerChanges.backfill()
    if (time - this.#madePartitions > PARTITIONS_EVERY_MS) {
      await makePartitions(database)
      this.#madePartitions = time
    }
  }

  /** Rejects if the store cannot be written. */
  async proveWritable(): Promise<void> {
    await this.#session.database.query(KEEP_STREAMS, [[this.#streams.requests]])
  }

  /** Looks whether the database has kept the commits of this node. */
  async #lookBack(): Promise<void> {
    // Another look may end while this one is under way.
    const known = new Map(this.#lastSeqs)
    await this.#session.database.repeatable(async (queries) => {
      const rows = await queries.query<{ stream: number; seq: number }>(LAST_SEQS, [Object.values(this.#streams)])
      for (const { stream, seq } of rows) {
        if (seq < (known.get(stream) ?? 0)) throw this.#identity.wentBack()
        this.#lastSeqs.set(stream, Math.max(seq, this.#lastSeqs.get(stream) ?? 0))
      }
    })
  }

  async #listen(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // While the database is away there is nothing to read.
      await this.#session.peers
        .catchUp()
        .then(() => this.#lookBack())
        .catch(() => undefined)
      await setTimeout(LISTEN_EVERY_MS, undefined, { ref: false, signal }).catch(() => undefined)
    }
  }
}
