/**
 * Keeps the memory of a node in step with the commits of all nodes: it applies the notes of new commits, stream by stream. After a minute
 * without a read, a gap, or notes that cannot be read, it reads the tables anew. A late note costs time, never truth: rows decide each claim.
 */
import { toHandler, type HandlerRow } from '../../rows/handler-row.ts'
import { isObject, parse } from '../../rows/stored-json.ts'
import type { Database } from '../commit/database.ts'
import type { StoredNotes, Transaction } from '../commit/transaction.ts'
import type { Session } from '../session.ts'

/** The columns are called as older nodes know them: `told` counts changes, `signals` holds notes. */
interface CommitRow {
  readonly stream: number
  readonly seq: number
  readonly told: number
  readonly signals: string | null
}

/** Commits are kept for longer than this, so a node that reads in time misses none. */
const LONGEST_GAP_MS = 60_000
/** The rows of a lost note are found after this time. */
const START_ANEW_EVERY_MS = 3_600_000

const NEW_COMMITS = `
  SELECT c.stream, c.seq, c.told, c.signals FROM callme.streams s CROSS JOIN LATERAL (
    SELECT * FROM callme.commits c WHERE c.stream = s.id AND c.seq > coalesce(($1::json ->> s.id::text)::bigint, 0) ORDER BY c.seq) c`
const LAST_COMMITS = `
  SELECT s.id AS stream, greatest(0, (SELECT max(c.seq) FROM callme.commits c WHERE c.stream = s.id),
    (SELECT max(n.seq) FROM callme.numbered n WHERE n.stream = s.id)) AS seq
  FROM callme.streams s`
const HANDLERS = 'SELECT * FROM callme.handlers'
/** One probe of the index for each lane. */
const FIRST_PLACES = `
  WITH RECURSIVE firsts AS (
    (SELECT lane, due_at, id FROM callme.tasks WHERE state IN ('pending', 'retrying') ORDER BY lane, due_at, id LIMIT 1)
    UNION ALL
    SELECT following.* FROM firsts CROSS JOIN LATERAL (
      SELECT lane, due_at, id FROM callme.tasks WHERE state IN ('pending', 'retrying') AND lane > firsts.lane
      ORDER BY lane, due_at, id LIMIT 1) following)
  SELECT * FROM firsts`

type Memory = Omit<Session, 'database' | 'peers' | 'onFailure'>

export class PeerSync {
  readonly #database: Database
  readonly #ownStreams: ReadonlySet<number>
  readonly #memory: Memory
  readonly #changeListeners = new Set<() => void>()
  readonly #dueListeners = new Set<(dueAt: number) => void>()
  /** the number of the last commit that was read, by stream */
  #positions = new Map<number, number>()
  /** by `#time` */
  #lastRead = -Infinity
  #lastAnew = -Infinity
  #latest = 0
  #monotonic = performance.now()
  #reading: Promise<unknown> = Promise.resolve()
  /** a read that has not begun, which new callers may share */
  #next: Promise<void> | undefined

  /** @param streams those of this node */
  constructor(database: Database, streams: readonly number[], memory: Memory) {
    this.#database = database
    this.#ownStreams = new Set(streams)
    this.#memory = memory
  }

  /** Calls `listener` after each commit of any node that holds changes or a handler. @returns a function that unsubscribes */
  onChange(listener: () => void): () => void {
    return subscribe(this.#changeListeners, listener)
  }

  /** Calls `listener` with the earliest time at which another node's commit may have something due. @returns a function that unsubscribes */
  onDue(listener: (dueAt: number) => void): () => void {
    return subscribe(this.#dueListeners, listener)
  }

  /** After this the node knows all commits that were done before the call. */
  catchUp(): Promise<void> {
    if (this.#next) return this.#next
    const next = this.#reading.then(() => {
      this.#next = undefined
      return this.#read()
    })
    this.#next = next
    this.#reading = next.catch(() => undefined)
    return next
  }

  /** Applies the notes of this node's own commit at once. */
  committed({ changes, notes }: Transaction): void {
    for (const [name, handler] of notes.handlers) this.#memory.handlers.set(name, handler)
    this.#apply(notes.toJson())
    if (changes.emitted().length > 0 || notes.handlers.size > 0) this.#notify(Infinity)
  }

  async #read(): Promise<void> {
    const startedAt = this.#time()
    if (startedAt - this.#lastRead > LONGEST_GAP_MS || startedAt - this.#lastAnew > START_ANEW_EVERY_MS) return this.#startAnew()
    const rows = await this.#database.query<CommitRow>(NEW_COMMITS, [JSON.stringify(Object.fromEntries(this.#positions))])
    const positions = this.#follow(rows)
    if (positions === undefined) return this.#startAnew()
    const commits = rows.map(({ signals, ...row }) => ({ ...row, notes: readNotes(signals ?? '{}') }))
    if (!commits.every(hasNotes)) return this.#startAnew()
    await this.#refreshHandlers([...new Set(commits.flatMap(({ notes: { handlers = [] } }) => handlers))])
    for (const { notes } of commits) this.#apply(notes)
    this.#positions = positions
    this.#lastRead = startedAt
    const others = commits.filter(({ stream }) => !this.#ownStreams.has(stream))
    const hasChanges = others.some(({ told, notes }) => told > 0 || notes.handlers !== undefined)
    this.#notify(Math.min(Infinity, ...others.map(({ notes }) => this.#dueBy(notes))), hasChanges)
  }

  /** Never goes back, ms. The monotonic clock stands still while a machine is suspended; the other clock may jump, and then counts. */
  #time(): number {
    this.#latest = Math.max(this.#latest + performance.now() - this.#monotonic, Date.now())
    this.#monotonic = performance.now()
    return this.#latest
  }

  /** @returns the positions after these commits; undefined after a gap */
  #follow(rows: readonly CommitRow[]): Map<number, number> | undefined {
    const positions = new Map(this.#positions)
    for (const { stream, seq } of rows) {
      if (seq !== (positions.get(stream) ?? 0) + 1) return undefined
      positions.set(stream, seq)
    }
    return positions
  }

  #apply({ lanes = [], groups = [] }: StoredNotes): void {
    const { cursors, deadlines } = this.#memory
    for (const [lane, dueAt, id, deadline] of lanes) {
      cursors.lower(lane, { dueAt, id })
      deadlines.lower(deadline)
    }
    for (const handler of groups) cursors.open(handler)
  }

  /** The earliest time at which the notes make something due: rows wait, or a handler has capacity. */
  #dueBy({ lanes = [], groups = [] }: StoredNotes): number {
    const opened = groups.flatMap((handler) => this.#memory.cursors.ofHandler(handler)).map(({ cursor }) => cursor.dueAt)
    return Math.min(Infinity, ...lanes.map(([, dueAt]) => dueAt), ...opened)
  }

  #notify(dueAt: number, hasChanges = true): void {
    if (hasChanges) for (const listener of this.#changeListeners) listener()
    if (dueAt < Infinity) for (const listener of this.#dueListeners) listener(dueAt)
  }

  async #refreshHandlers(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    const rows = await this.#database.query<HandlerRow>(`${HANDLERS} WHERE name = ANY($1)`, [names])
    const stored = new Map(rows.map((row) => [row.name, toHandler(row)]))
    for (const name of names) this.#memory.handlers.set(name, stored.get(name))
  }

  /** Positions are read first: the tables hold all commits before them, and the next read repeats later ones. */
  async #startAnew(): Promise<void> {
    const { handlers, cursors, deadlines, leases } = this.#memory
    const startedAt = this.#time()
    const last = await this.#database.query<{ stream: number; seq: number }>(LAST_COMMITS)
    handlers.replace((await this.#database.query<HandlerRow>(HANDLERS)).map(toHandler))
    const places = await this.#database.query<{ lane: string; due_at: number; id: number }>(FIRST_PLACES)
    cursors.replace(places.map(({ lane, due_at: dueAt, id }) => ({ lane, place: { dueAt, id } })))
    deadlines.lower(0)
    leases.lower(0)
    this.#positions = new Map(last.map(({ stream, seq }) => [stream, seq]))
    this.#lastRead = startedAt
    this.#lastAnew = startedAt
    this.#notify(Math.min(Infinity, ...places.map(({ due_at: dueAt }) => dueAt)))
  }
}

function hasNotes<Commit extends { readonly notes: StoredNotes | undefined }>(commit: Commit): commit is Commit & { notes: StoredNotes } {
  return commit.notes !== undefined
}

/** @returns undefined for a damaged text */
function readNotes(text: string): StoredNotes | undefined {
  const notes = parse(text)
  const isRead =
    isObject(notes) && [notes['lanes'], notes['groups'], notes['handlers']].every((list) => list === undefined || Array.isArray(list))
  return isRead ? notes : undefined
}

function subscribe<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}
