/**
 * A write as one transaction: its statements, its changes, and its notes for other nodes. Changes and notes are stored in `commits`, with
 * the number of the commit in the stream of its writer. This number shows whether a commit without an answer was done.
 */
import pg from 'pg'
import type { Handler } from '../../../domain/task/handler.ts'
import { TASK_STATES } from '../../../domain/task/task.ts'
import { batchesOf } from '../../rows/change-batches.ts'
import { Changes } from '../../rules/changes.ts'
import type { Session } from '../session.ts'
import { one } from './database.ts'
import type { Queries } from './database.ts'

/** The place of a waiting row in its lane: rows are due in this order. */
export interface Place {
  readonly dueAt: number
  readonly id: number
}

export function isBefore(one: Place, other: Place): boolean {
  return one.dueAt < other.dueAt || (one.dueAt === other.dueAt && one.id < other.id)
}

/** The notes of a commit in their stored form. Older nodes read it, so its keys never change. */
export interface StoredNotes {
  /** the first place of each lane, and the earliest deadline there */
  readonly lanes?: readonly (readonly [lane: string, dueAt: number, id: number, deadline: number])[]
  /** handlers that may have capacity again */
  readonly groups?: readonly string[]
  /** handlers that came, went or changed */
  readonly handlers?: readonly string[]
}

export class CommitNotes {
  readonly #lanes = new Map<string, { place: Place; deadline: number }>()
  readonly #freed = new Set<string>()
  /** the changed handlers; undefined for a removed one */
  readonly handlers = new Map<string, Handler | undefined>()

  /** A row waits in the lane. */
  rowWaits(lane: string, place: Place, deadline: number): void {
    const known = this.#lanes.get(lane)
    if (known === undefined) this.#lanes.set(lane, { place, deadline })
    else {
      if (isBefore(place, known.place)) known.place = place
      known.deadline = Math.min(known.deadline, deadline)
    }
  }

  /** A handler may have capacity again. */
  capacityFreed(handler: string): void {
    this.#freed.add(handler)
  }

  /** An object without keys stands for no notes. */
  toJson(): StoredNotes {
    const lanes = [...this.#lanes].map(([lane, { place, deadline }]) => [lane, place.dueAt, place.id, deadline] as const)
    return {
      ...(lanes.length > 0 && { lanes }),
      ...(this.#freed.size > 0 && { groups: [...this.#freed] }),
      ...(this.handlers.size > 0 && { handlers: [...this.handlers.keys()] }),
    }
  }
}

export class Transaction implements Queries {
  readonly session: Session
  readonly changes = new Changes()
  readonly notes = new CommitNotes()
  /** Whether a second run would do harm, even where the transaction has neither changes nor notes. */
  isWriting = false
  readonly query: Queries['query']

  constructor(session: Session, queries: Queries) {
    this.session = session
    this.query = (sql, params) => queries.query(sql, params)
  }
}

const PAST_RUNS = `
  INSERT INTO callme.past_runs (trigger_at, standing, n)
  SELECT "triggerAt", standing, runs FROM json_to_recordset($1) AS r ("triggerAt" bigint, standing text, runs int)`
const STATES = TASK_STATES.join(', ')
const DELTAS = TASK_STATES.map((_, index) => `$${index + 5}::int`).join(', ')
const INSERT = `
  INSERT INTO callme.commits (stream, seq, signals, told, ${STATES}) SELECT $1::bigint, $2::bigint, $3::text, $4::int, ${DELTAS}`
const INSERT_WITH_CHANGES = `
  WITH kept AS (INSERT INTO callme.changes (stream, seq, batch) VALUES ($1::bigint, $2::bigint, $${TASK_STATES.length + 5})) ${INSERT}`
const LAST_SEQ = 'SELECT coalesce(max(seq), 0)::bigint AS seq FROM callme.commits WHERE stream = $1'
const NO_DELTAS = TASK_STATES.map(() => 0)
const NUMBER_TAKEN = '23505'

/**
 * Records a transaction as its last statement: as one row, or as one for each batch of changes.
 * @param seq the number of the first row in the stream, which has no gap
 * @returns the number of rows; 0 for a transaction that nobody must know
 */
export async function recordCommit(transaction: Transaction, stream: number, seq: number): Promise<number> {
  const { changes } = transaction
  const [notes, deltas, pastRuns] = [transaction.notes.toJson(), new Map(changes.deltas()), changes.pastRuns()]
  const hasNotes = Object.keys(notes).length > 0
  const batches = [...batchesOf(changes.emitted())]
  if (batches.length === 0 && !hasNotes && deltas.size === 0 && !transaction.isWriting) return 0
  if (pastRuns.length > 0) await transaction.query(PAST_RUNS, [JSON.stringify(pastRuns)])
  const rows = batches.length === 0 ? [{ count: 0, text: undefined }] : batches
  for (const [index, { count, text }] of rows.entries()) {
    const json = index === 0 && hasNotes ? JSON.stringify(notes) : null
    const values = [stream, seq + index, json, count, ...(index === 0 ? TASK_STATES.map((state) => deltas.get(state) ?? 0) : NO_DELTAS)]
    await (text === undefined ? transaction.query(INSERT, values) : transaction.query(INSERT_WITH_CHANGES, [...values, text]))
  }
  return rows.length
}

/** Takes the number of a commit without an answer. Waits for the end of that commit, and is refused as taken if it was done. */
export async function recordEmptyCommit(queries: Queries, stream: number, seq: number): Promise<void> {
  await queries.query(INSERT, [stream, seq, null, 0, ...NO_DELTAS])
}

/** Whether the error says that a commit of the same number is stored. */
export function isTaken(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === NUMBER_TAKEN && error.constraint === 'commits_pkey'
}

/** The number of the last commit of a stream; 0 for an empty stream. */
export async function lastSeq(queries: Queries, stream: number): Promise<number> {
  return one(await queries.query<{ seq: number }>(LAST_SEQ, [stream])).seq
}
