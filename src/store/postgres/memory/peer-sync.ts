/**
 * Keeps what a node remembers in step with what all nodes have committed: reads the signals of new commits, stream by stream, and applies
 * them. A node that has not read for a while, or finds a gap, forgets everything and starts anew.
 */
import type { HandlerRow } from '../../rows/handler-row.ts'
import { toHandler } from '../../rows/handler-row.ts'
import type { Database } from '../commit/database.ts'
import type { HandlerBook } from '../../rules/handler-book.ts'
import type { LowWaterMark } from './low-water-mark.ts'
import type { LaneCursors } from './lane-cursors.ts'
import type { CommitNotesJson } from '../commit/commit-notes.ts'

interface CommitRow {
  readonly stream: number
  readonly seq: number
  readonly told: number
  readonly signals: string | null
}

/** What the other nodes have committed. */
export interface PeerUpdate {
  /** whether there is something that listeners may wait for */
  readonly hasChanges: boolean
  /** the earliest time, epoch ms, at which something is due; Infinity where nothing is */
  readonly dueAt: number
}

/** Commits are kept for longer than this, so that nobody misses one. */
const LONGEST_GAP_MS = 60_000
/** Should a signal ever be lost, what it told of is found in the end. */
const ANEW_EVERY_MS = 3_600_000

const NEW_COMMITS = `
  SELECT c.stream, c.seq, c.told, c.signals FROM callme.streams s CROSS JOIN LATERAL (
    SELECT * FROM callme.commits c WHERE c.stream = s.id AND c.seq > coalesce(($1::json ->> s.id::text)::bigint, 0) ORDER BY c.seq) c`
const LAST_COMMITS = `
  SELECT s.id AS stream, greatest(0, (SELECT max(c.seq) FROM callme.commits c WHERE c.stream = s.id),
    (SELECT max(n.seq) FROM callme.numbered n WHERE n.stream = s.id)) AS seq
  FROM callme.streams s`
const HANDLERS = 'SELECT * FROM callme.handlers'
/** One probe of the index for each lane. */
const FRONTS = `
  WITH RECURSIVE fronts AS (
    (SELECT lane, due_at, id FROM callme.tasks WHERE state IN ('pending', 'retrying') ORDER BY lane, due_at, id LIMIT 1)
    UNION ALL
    SELECT following.* FROM fronts CROSS JOIN LATERAL (
      SELECT lane, due_at, id FROM callme.tasks WHERE state IN ('pending', 'retrying') AND lane > fronts.lane
      ORDER BY lane, due_at, id LIMIT 1) following)
  SELECT * FROM fronts`

interface PeerSyncOptions {
  readonly database: Database
  /** the streams of this node */
  readonly own: ReadonlySet<number>
  readonly handlers: HandlerBook
  readonly cursors: LaneCursors
  readonly deadlines: LowWaterMark
  readonly leases: LowWaterMark
  readonly onUpdate: (heard: PeerUpdate) => void
}

export class PeerSync {
  readonly #options: PeerSyncOptions
  /** the last commit of each stream that was read */
  #positions = new Map<number, number>()
  /** by `#time` */
  #lastRead = -Infinity
  #lastAnew = -Infinity
  #latest = 0
  #monotonic = performance.now()
  #reading: Promise<unknown> = Promise.resolve()
  /** not begun yet, so whoever comes now may wait for it as well */
  #next: Promise<void> | undefined

  constructor(options: PeerSyncOptions) {
    this.#options = options
  }

  /** After this the node knows all that was committed before it was called. */
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

  /** What this node has just committed itself. */
  apply({ lanes = [], groups = [] }: CommitNotesJson): void {
    const { cursors, deadlines } = this.#options
    for (const [lane, dueAt, id, deadline] of lanes) {
      cursors.lower(lane, { dueAt, id })
      deadlines.lower(deadline)
    }
    for (const group of groups) cursors.open(group)
  }

  async #read(): Promise<void> {
    const { database, own, onUpdate } = this.#options
    const startedAt = this.#time()
    if (startedAt - this.#lastRead > LONGEST_GAP_MS || startedAt - this.#lastAnew > ANEW_EVERY_MS) return this.#startAnew()
    const rows = await database.query<CommitRow>(NEW_COMMITS, [JSON.stringify(Object.fromEntries(this.#positions))])
    const positions = this.#follow(rows)
    if (positions === undefined) return this.#startAnew()
    const commits = rows.map(({ stream, told, signals }) => {
      return { isOwn: own.has(stream), told, signal: signals === null ? {} : (JSON.parse(signals) as CommitNotesJson) }
    })
    await this.#refreshHandlers([...new Set(commits.flatMap(({ signal: { handlers = [] } }) => handlers))])
    for (const { signal } of commits) this.apply(signal)
    this.#positions = positions
    this.#lastRead = startedAt
    if (rows.length === 0) return
    const others = commits.filter(({ isOwn }) => !isOwn)
    const hasChanges = others.some(({ told, signal }) => told > 0 || signal.handlers !== undefined)
    onUpdate({ hasChanges, dueAt: Math.min(Infinity, ...others.map(({ signal }) => this.#dueBy(signal))) })
  }

  /** ms that never go back. The monotonic clock stands still while a machine is suspended, the other one may jump: then it is the time of that. */
  #time(): number {
    this.#latest = Math.max(this.#latest + performance.now() - this.#monotonic, Date.now())
    this.#monotonic = performance.now()
    return this.#latest
  }

  /** @returns where each stream is after these; undefined where commits are missing */
  #follow(rows: readonly CommitRow[]): Map<number, number> | undefined {
    const positions = new Map(this.#positions)
    for (const { stream, seq } of rows) {
      if (seq !== (positions.get(stream) ?? 0) + 1) return undefined
      positions.set(stream, seq)
    }
    return positions
  }

  /** The earliest time at which something is due because of what was signalled: where rows wait, or may be claimed again. */
  #dueBy({ lanes = [], groups = [] }: CommitNotesJson): number {
    const { cursors } = this.#options
    const opened = groups.flatMap((group) => cursors.of(group)).map((lane) => cursors.cursorOf(lane).dueAt)
    return Math.min(Infinity, ...lanes.map(([, dueAt]) => dueAt), ...opened)
  }

  async #refreshHandlers(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    const { database, handlers } = this.#options
    const rows = await database.query<HandlerRow>(`${HANDLERS} WHERE name = ANY($1)`, [names])
    const stored = new Map(rows.map((row) => [row.name, toHandler(row)]))
    for (const name of names) handlers.set(name, stored.get(name))
  }

  /** The positions come first: what is committed after them is read again by the next catch-up, and what was before them is seen here. */
  async #startAnew(): Promise<void> {
    const { database, handlers, cursors, deadlines, leases, onUpdate } = this.#options
    const startedAt = this.#time()
    const last = await database.query<{ stream: number; seq: number }>(LAST_COMMITS)
    handlers.replace((await database.query<HandlerRow>(HANDLERS)).map(toHandler))
    const places = await database.query<{ lane: string; due_at: number; id: number }>(FRONTS)
    cursors.replace(places.map(({ lane, due_at: dueAt, id }) => ({ lane, place: { dueAt, id } })))
    deadlines.lower(0)
    leases.lower(0)
    this.#positions = new Map(last.map(({ stream, seq }) => [stream, seq]))
    this.#lastRead = startedAt
    this.#lastAnew = startedAt
    onUpdate({ hasChanges: true, dueAt: Math.min(Infinity, ...places.map(({ due_at: dueAt }) => dueAt)) })
  }
}
