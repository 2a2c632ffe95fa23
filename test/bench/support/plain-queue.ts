/**
 * A queue in PostgreSQL as one would write it first: a partial index, `SKIP LOCKED`, and no word between nodes. The bench `rot` holds
 * callme's claim against it. Its rows are those of callme, in a table of their own.
 */
import type pg from 'pg'
import type { NewTask } from '../../../src/domain/task/task.ts'
import { connect } from './postgres.ts'

export interface PlainQueue {
  /** Claims at most `limit` rows that are due. @returns their ids */
  claim(limit: number): Promise<number[]>
  /** Moves what has ended to another table. */
  record(ids: readonly number[]): Promise<void>
  put(tasks: readonly NewTask[]): Promise<void>
  /** how many entries of the index of waiting rows were read until now */
  entriesRead(): Promise<number>
  /** how long each look at where the lanes begin took, ms; empty where every claim looks by itself */
  readonly looks: readonly number[]
  close(): Promise<void>
}

/** Where the waiting rows of a lane begin. */
interface Start {
  readonly lane: string
  readonly dueAt: number
  readonly id: number
}

interface ClaimedRow {
  readonly id: string
  readonly lane: string
  readonly due_at: string
}

const LEASE_MS = 60_000
const LOOK_EVERY_MS = 1000
/** Longer than a transaction may last: of what was due before that, everything that was stored in time is visible. */
const LOOK_BACK_MS = 15_000

const WAITING = `t.state IN ('pending', 'retrying')`
const SCHEMA = `
  CREATE SCHEMA plain;
  CREATE TABLE plain.tasks (LIKE callme.tasks INCLUDING DEFAULTS INCLUDING IDENTITY, PRIMARY KEY (id));
  CREATE TABLE plain.finished (LIKE callme.tasks, PRIMARY KEY (id))`
const INDEXES = `
  CREATE UNIQUE INDEX tasks_key ON plain.tasks (name, trigger_at);
  CREATE INDEX tasks_waiting ON plain.tasks (lane, due_at, id) WHERE state IN ('pending', 'retrying');
  CREATE INDEX tasks_deadline ON plain.tasks (deadline) WHERE state IN ('pending', 'retrying');
  CREATE INDEX tasks_running ON plain.tasks (lease_until) WHERE state = 'running';
  CREATE INDEX tasks_page ON plain.tasks (trigger_at, name);
  CREATE INDEX finished_key ON plain.finished (name, trigger_at);
  SELECT setval(pg_get_serial_sequence('plain.tasks', 'id'), (SELECT max(id) FROM plain.tasks))`

/** One probe of the index for each lane. */
const LANES = `
  RECURSIVE lanes AS (
    (SELECT t.lane, t.due_at, t.id FROM plain.tasks t WHERE ${WAITING} ORDER BY t.lane, t.due_at, t.id LIMIT 1)
    UNION ALL
    SELECT following.* FROM lanes CROSS JOIN LATERAL (
      SELECT t.lane, t.due_at, t.id FROM plain.tasks t WHERE ${WAITING} AND t.lane > lanes.lane
      ORDER BY t.lane, t.due_at, t.id LIMIT 1) following)`
const GIVEN = '(SELECT * FROM unnest($5::text[], $6::bigint[], $7::bigint[]) AS g (lane, due_at, id))'
// The lanes in an order of chance, so that none waits for those before it.
const claimFrom = (lanes: string): string => `
  due_lanes AS MATERIALIZED (SELECT * FROM ${lanes} l WHERE due_at <= $1::bigint ORDER BY random()),
  due AS MATERIALIZED (
    SELECT t.id FROM due_lanes l CROSS JOIN LATERAL (
      SELECT t.id FROM plain.tasks t
      WHERE ${WAITING} AND t.lane = l.lane AND (t.due_at, t.id) >= (l.due_at, l.id) AND t.due_at <= $1::bigint AND t.deadline > $1::bigint
      ORDER BY t.due_at, t.id LIMIT (SELECT ceil($2::numeric / count(*)) FROM due_lanes) FOR UPDATE SKIP LOCKED) t
    LIMIT $2::int)
  UPDATE plain.tasks t SET state = 'running', attempts = t.attempts + 1, lease_until = $3, claimed_by = $4, updated = $1::bigint
  WHERE t.id = ANY (ARRAY (SELECT id FROM due)) RETURNING t.*`
const CLAIM = `WITH ${LANES}, ${claimFrom('lanes')}`
const CLAIM_FROM_STARTS = `WITH ${claimFrom(GIVEN)}`
const ALL_STARTS = `WITH ${LANES} SELECT * FROM lanes`
const STARTS = `
  SELECT t.lane, t.due_at, t.id FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS g (lane, due_at, id) CROSS JOIN LATERAL (
    SELECT t.lane, t.due_at, t.id FROM plain.tasks t WHERE ${WAITING} AND t.lane = g.lane AND (t.due_at, t.id) >= (g.due_at, g.id)
    ORDER BY t.due_at, t.id LIMIT 1) t`
const RECORD = `
  WITH gone AS (DELETE FROM plain.tasks WHERE id = ANY ($1::bigint[]) AND state = 'running' RETURNING *)
  INSERT INTO plain.finished SELECT * FROM gone`
const PUT = `
  INSERT INTO plain.tasks (name, trigger_at, state, lane, due_at, deadline, run_id, attempts, lost, in_advance, created, updated, definition)
  SELECT name, "triggerAt", 'pending', lane, greatest("dueAt", $2), deadline, "runId", 0, 0, 0, $2, $2, definition
  FROM json_to_recordset($1) AS r (name text, "triggerAt" bigint, lane text, "dueAt" bigint, deadline bigint, "runId" text, definition text)`
const ENTRIES = `SELECT idx_tup_read AS n FROM pg_stat_user_indexes WHERE schemaname = 'plain' AND indexrelname = 'tasks_waiting'`

/**
 * What a node of the queue keeps in mind of where the lanes begin: nothing, or places that it finds again once a second, from the beginning or
 * from the place before. The last one hears of no lane that it has not seen at first; here there is none.
 */
export type Memory = 'none' | 'looks at all' | 'looks back'

/** @param store a database of callme, of which it takes at most `rows` waiting ones */
export async function openPlainQueue(store: string, rows: number, memory: Memory): Promise<PlainQueue> {
  const client = await connect(store)
  await client.query(SCHEMA)
  await client.query(`INSERT INTO plain.tasks SELECT * FROM callme.tasks LIMIT ${rows}`)
  await client.query(INDEXES)
  await client.query('VACUUM (ANALYZE) plain.tasks')
  const starts = memory === 'none' ? undefined : new Starts(client, memory)
  return {
    claim: async (limit) => {
      const claimed = starts === undefined ? await claimRows(client, CLAIM, limit, []) : await starts.claim(limit)
      return claimed.map(({ id }) => Number(id))
    },
    record: async (ids) => {
      await client.query(RECORD, [ids])
    },
    put: async (tasks) => {
      const json = JSON.stringify(tasks.map((task) => ({ ...task, definition: JSON.stringify(task.definition) })))
      await client.query(PUT, [json, Date.now()])
    },
    entriesRead: () => entriesRead(client),
    looks: starts?.looks ?? [],
    close: () => client.end(),
  }
}

async function claimRows(client: pg.Client, sql: string, limit: number, starts: readonly unknown[]): Promise<ClaimedRow[]> {
  const now = Date.now()
  return (await client.query<ClaimedRow>(sql, [now, limit, now + LEASE_MS, 'bench', ...starts])).rows
}

async function entriesRead(client: pg.Client): Promise<number> {
  // What this connection has counted shows at the end of the statement after that.
  await client.query('SELECT pg_stat_force_next_flush()')
  await client.query('SELECT 1')
  const { rows } = await client.query<{ n: string }>(ENTRIES)
  return Number(rows[0]?.n)
}

/**
 * Where the waiting rows of each lane begin, as one node knows it by itself. A claim advances the starts also past rows that another node is
 * about to claim, and may not; a look therefore goes on from where the look before it found the first row, whoever was about to claim that.
 */
class Starts {
  readonly looks: number[] = []
  readonly #client: pg.Client
  readonly #memory: Memory
  #starts = new Map<string, Start>()
  #safe = new Map<string, Start>()
  #lookedAt = -Infinity

  constructor(client: pg.Client, memory: Memory) {
    this.#client = client
    this.#memory = memory
  }

  async claim(limit: number): Promise<ClaimedRow[]> {
    if (performance.now() - this.#lookedAt > LOOK_EVERY_MS) await this.#look()
    const claimed = await claimRows(this.#client, CLAIM_FROM_STARTS, limit, columnsOf([...this.#starts.values()]))
    for (const row of claimed) this.#advance(startOf(row))
    return claimed
  }

  #advance(place: Start): void {
    const known = this.#starts.get(place.lane)
    if (known === undefined || isBefore(known, place)) this.#starts.set(place.lane, place)
  }

  async #look(): Promise<void> {
    const startedAt = performance.now()
    const since = Date.now() - LOOK_BACK_MS
    const isForAll = this.#memory === 'looks at all' || this.#safe.size === 0
    const { rows } = isForAll
      ? await this.#client.query<ClaimedRow>(ALL_STARTS)
      : await this.#client.query<ClaimedRow>(STARTS, columnsOf([...this.#safe.values()]))
    const found = new Map(rows.map((row) => [row.lane, startOf(row)]))
    // What is due later than that may lie behind what is stored only now.
    const safe = (lane: string): Start => {
      const latest = { lane, dueAt: since, id: 0 }
      const first = found.get(lane)
      return first === undefined || isBefore(latest, first) ? latest : first
    }
    this.#safe = new Map([...new Set([...this.#safe.keys(), ...found.keys()])].map((lane) => [lane, safe(lane)]))
    this.#starts = found
    this.looks.push(performance.now() - startedAt)
    this.#lookedAt = performance.now()
  }
}

function startOf({ lane, due_at: dueAt, id }: ClaimedRow): Start {
  return { lane, dueAt: Number(dueAt), id: Number(id) }
}

function isBefore(one: Start, other: Start): boolean {
  return one.dueAt < other.dueAt || (one.dueAt === other.dueAt && one.id < other.id)
}

function columnsOf(starts: readonly Start[]): unknown[] {
  return [starts.map(({ lane }) => lane), starts.map(({ dueAt }) => dueAt), starts.map(({ id }) => id)]
}
