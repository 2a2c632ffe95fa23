/**
 * The changes of all nodes in one order, and the number of tasks in each state. Before a read, one node at a time numbers all visible
 * commits after the earlier ones. So a reader that goes on after its last number misses nothing, however late a commit becomes visible.
 */
import { TASK_STATES, type TaskState } from '../../../domain/task/task.ts'
import { readBatches, type StoredBatch } from '../../rules/changes.ts'
import { PAGE_BYTES } from '../../../domain/task/page-size.ts'
import type { ChangesPage } from '../../../domain/task/task-change.ts'
import { one, type Database, type Queries } from '../commit/database.ts'

/** At least this many changes are kept; a commit and a trim may leave more. */
const KEPT = 50_000
const TRIM_EVERY = 1000
/** A node that has not read a commit within this time must start anew. */
const KEEP_COMMITS = `interval '5 minutes'`

const totalOf = (table: string): string => TASK_STATES.map((state) => `${table}.${state}`).join(' + ')
const UNNUMBERED = `
  callme.streams s CROSS JOIN LATERAL (
    SELECT * FROM callme.commits c
    WHERE c.stream = s.id AND c.seq > coalesce((SELECT max(n.seq) FROM callme.numbered n WHERE n.stream = s.id), 0)) c`
const ANY_UNNUMBERED = `SELECT 1 FROM ${UNNUMBERED} LIMIT 1`
const TAKE_TURN = `SELECT 1 FROM callme.turns WHERE name = 'numbering' FOR UPDATE`
const NUMBER = `
  INSERT INTO callme.numbered (position, stream, seq, first_id, last_id, ${TASK_STATES.join(', ')})
  SELECT l.position + row_number() OVER up_to_here, c.stream, c.seq,
    l.last_id + sum(c.told) OVER up_to_here - c.told + 1, l.last_id + sum(c.told) OVER up_to_here,
    ${TASK_STATES.map((state) => `l.${state} + sum(c.${state}) OVER up_to_here`).join(', ')}
  FROM (SELECT * FROM callme.numbered ORDER BY position DESC LIMIT 1) l CROSS JOIN ${UNNUMBERED}
  WINDOW up_to_here AS (ORDER BY c.place ROWS UNBOUNDED PRECEDING)
  RETURNING first_id, last_id`
const TRIM_CHANGES = `
  DELETE FROM callme.changes c USING callme.numbered n WHERE n.last_id > $1 AND n.last_id <= $2 AND c.stream = n.stream AND c.seq = n.seq`
/** The newest row of a stream stays, because it says how far the stream is numbered. */
const TRIM_NUMBERS = `
  DELETE FROM callme.numbered n WHERE n.last_id > $1 AND n.last_id <= $2
    AND EXISTS (SELECT 1 FROM callme.numbered later WHERE later.stream = n.stream AND later.seq > n.seq)`
const TRIM_COMMITS = `
  DELETE FROM callme.commits c
  WHERE c.at < now() - ${KEEP_COMMITS} AND c.seq <= (SELECT max(n.seq) FROM callme.numbered n WHERE n.stream = c.stream)`

const FIRST = 'SELECT first_id FROM callme.numbered WHERE last_id > $1 AND first_id <= last_id ORDER BY last_id LIMIT 1'
const LAST = `SELECT last_id, ${TASK_STATES.join(', ')} FROM callme.numbered ORDER BY position DESC LIMIT 1`
const PAGE = `
  SELECT first_id AS "firstId", last_id AS "lastId", batch AS text FROM (
    SELECT n.first_id, n.last_id, c.batch,
      sum(octet_length(c.batch)) OVER (ORDER BY n.last_id ROWS UNBOUNDED PRECEDING) - octet_length(c.batch) AS before
    FROM callme.numbered n JOIN callme.changes c ON c.stream = n.stream AND c.seq = n.seq
    WHERE n.last_id > $1 AND n.first_id <= $2 AND n.first_id <= n.last_id) page
  WHERE before < ${PAGE_BYTES} ORDER BY last_id`

/** Counts numbered and other commits. */
const COUNTED = `
  SELECT (l.total + (SELECT coalesce(sum(${totalOf('c')}), 0) FROM ${UNNUMBERED}))::bigint AS n
  FROM (SELECT ${totalOf('n')} AS total FROM callme.numbered n ORDER BY position DESC LIMIT 1) l`

type Last = { readonly last_id: number } & Readonly<Record<TaskState, number>>

export class ChangeLog {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async read({ after, limit }: { after: number; limit: number }): Promise<ChangesPage> {
    const { last_id: last } = await this.#number()
    const trimmed = trimmedAt(last)
    const [oldest] = await this.#database.query<{ first_id: number }>(FIRST, [trimmed])
    if (oldest === undefined) return { changes: [], first: 0, last: 0 }
    const base = Math.max(after, oldest.first_id - 1)
    const batches = await this.#database.query<StoredBatch>(PAGE, [base, base + limit])
    const { changes, ...lost } = readBatches(batches)
    return { changes: changes.filter(({ id }) => id > after), ...lost, first: oldest.first_id, last }
  }

  /** The number of tasks in each state. */
  async counts(): Promise<Record<TaskState, number>> {
    const last = await this.#number()
    return Object.fromEntries(TASK_STATES.map((state) => [state, last[state]])) as Record<TaskState, number>
  }

  /** Numbers the commits that nobody has asked for, and forgets those that every node has read. */
  async tidy(): Promise<void> {
    await this.#number()
    await this.#database.repeatable((queries) => queries.query(TRIM_COMMITS))
  }

  /** Numbers every visible commit. @returns the last number */
  async #number(): Promise<Last> {
    const [unnumbered] = await this.#database.query(ANY_UNNUMBERED)
    if (unnumbered !== undefined) await this.#database.repeatable(numberAll)
    return one(await this.#database.query<Last>(LAST))
  }
}

/** The number of tasks, as the sum of all commits. */
export async function countAll(queries: Queries): Promise<number> {
  return one(await queries.query<{ n: number }>(COUNTED)).n
}

async function numberAll(queries: Queries): Promise<void> {
  await queries.query(TAKE_TURN)
  const rows = await queries.query<{ first_id: number; last_id: number }>(NUMBER)
  const ids = rows.flatMap(({ first_id: first, last_id: last }) => [first - 1, last])
  const [before, after] = [trimmedAt(Math.min(...ids)), trimmedAt(Math.max(...ids))]
  if (rows.length === 0 || after <= before) return
  // Earlier changes are gone, and a search must not walk past their index entries.
  await queries.query(TRIM_CHANGES, [before, after])
  await queries.query(TRIM_NUMBERS, [before, after])
}

/** The last number whose change is not kept, once a change has the number `last`. */
function trimmedAt(last: number): number {
  return Math.floor(last / TRIM_EVERY) * TRIM_EVERY - KEPT
}
