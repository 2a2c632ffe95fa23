/** The SQLite store of a world: a real database that outlives the nodes, with what was committed and nothing else. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import type { Database, Statement } from 'better-sqlite3'
import type { HandlerDefinition } from '../../src/domain/task/handler.ts'
import type { TaskKey } from '../../src/domain/task/task-key.ts'
import { NO_HOLD } from '../../src/store/sqlite/commit/hold.ts'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import type { LedgerSnapshot } from '../../src/store/ledger.ts'
import { snapshotOf } from '../../src/store/sqlite/history/open-ledger.ts'
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import type { TaskRow } from '../../src/store/rows/task-row.ts'
import { INTACT } from './damages.ts'
import { withFaults } from './faulty-database.ts'
import type { FaultOf } from './faulty-database.ts'
import type { Committed, OpenedStore, WorldStore } from './world-store.ts'

/** In SQLite's header: the versions of the file format for writing and reading, 2 with a write-ahead log and 1 without one. */
const FORMAT_BYTES = [18, 19] as const

const DAMAGE = `UPDATE tasks SET definition = replace(definition, ?, ?) WHERE name = ? AND trigger_at = ? AND state IN ('pending', 'retrying')`

let migrated: Promise<Buffer> | undefined

/** An empty store as a node makes it. */
async function emptyStore(): Promise<Buffer> {
  const folder = mkdtempSync(join(tmpdir(), 'callme-world-'))
  try {
    const path = join(folder, 'callme.db')
    await openSqliteStore(path).close()
    const bytes = readFileSync(path)
    // A database in memory has no log.
    for (const at of FORMAT_BYTES) bytes[at] = 1
    return bytes
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export class SqliteWorld implements WorldStore {
  readonly isShared = false
  readonly seesEachCommit = true
  /** how the statements of the node fail; those of the world do not */
  faultOf: FaultOf = () => undefined
  #bytes: Buffer
  #db: Database | undefined
  /** what nobody has looked at when the database was closed */
  #lastLook: Committed | undefined
  #look: Record<'touched' | 'clear' | 'row' | 'handlers' | 'counts' | 'newestChange', Statement> | undefined

  private constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  static async create(): Promise<SqliteWorld> {
    migrated ??= emptyStore()
    return new SqliteWorld(await migrated)
  }

  /** For a node, which is the only one. */
  open(): Promise<OpenedStore> {
    const db = new SqliteDatabase(this.#bytes)
    this.#db = db
    db.pragma('temp_store = MEMORY')
    this.#look = watch(db)
    const close = db.close.bind(db)
    // However the node lets go of it: what was committed stays, and is seen.
    const keep = (): Database => {
      this.#lastLook = this.look()
      this.#bytes = db.serialize()
      this.#db = undefined
      return close()
    }
    Object.defineProperty(db, 'close', { value: keep, configurable: true })
    const store = new SqliteStore(
      withFaults(db, (sql) => this.faultOf(sql)),
      NO_HOLD,
      () => undefined,
      { isNew: false },
    )
    const crash = (): Promise<void> => {
      // What waits for a commit is lost. No transaction is open between two turns of the event loop.
      if (db.open) db.close()
      return Promise.resolve()
    }
    return Promise.resolve({ store, crash })
  }

  /** Nothing has to be fetched. */
  refresh(): Promise<void> {
    return Promise.resolve()
  }

  readLedger<T>(read: (ledger: LedgerSnapshot) => Promise<T>): Promise<T> {
    return read(snapshotOf(this.#db?.open ? this.#db : new SqliteDatabase(this.#bytes)))
  }

  end(): Promise<void> {
    this.#db?.close()
    return Promise.resolve()
  }

  look(): Committed | undefined {
    if (this.#lastLook !== undefined) {
      const last = this.#lastLook
      this.#lastLook = undefined
      return last
    }
    if (!this.#db?.open || this.#look === undefined) return undefined
    const { touched, clear, row, handlers } = this.#look
    const ids = touched.all() as (number | null)[]
    if (ids.length === 0) return undefined
    clear.run()
    const all = ids.includes(null) ? (handlers.all() as { name: string; definition: string }[]) : undefined
    return {
      rows: new Map(ids.flatMap((id) => (id === null ? [] : [[id, row.get(id) as TaskRow | undefined] as const]))),
      handlers: all && new Map(all.map(({ name, definition }) => [name, JSON.parse(definition) as HandlerDefinition])),
    }
  }

  damage({ name, triggerAt }: TaskKey, text: string): Promise<void> {
    if (this.#db?.open) this.#db.prepare(DAMAGE).run(INTACT, text, name, triggerAt)
    return Promise.resolve()
  }

  counts(): ReadonlyMap<string, number> | undefined {
    if (!this.#db?.open) return undefined
    return new Map((this.#look?.counts.all() as { state: string; n: number }[]).map(({ state, n }) => [state, n]))
  }

  newestChange(): number {
    return this.#db?.open ? ((this.#look?.newestChange.get() as number | null) ?? 0) : 0
  }
}

/** Has the database note each row that a transaction touches, and forget it with the transaction: only what was committed is seen. */
function watch(db: Database) {
  db.exec('CREATE TEMP TABLE touched (id INTEGER)')
  for (const [event, row] of [
    ['INSERT', 'NEW'],
    ['UPDATE', 'NEW'],
    ['DELETE', 'OLD'],
  ] as const) {
    db.exec(`CREATE TEMP TRIGGER touched_task_${event} AFTER ${event} ON main.tasks BEGIN INSERT INTO touched VALUES (${row}.id); END`)
    db.exec(`CREATE TEMP TRIGGER touched_handler_${event} AFTER ${event} ON main.handlers BEGIN INSERT INTO touched VALUES (NULL); END`)
  }
  return {
    touched: db.prepare('SELECT DISTINCT id FROM touched ORDER BY id').pluck(),
    clear: db.prepare('DELETE FROM touched'),
    row: db.prepare('SELECT * FROM tasks WHERE id = ?'),
    handlers: db.prepare('SELECT name, definition FROM handlers'),
    counts: db.prepare('SELECT state, n FROM task_counts'),
    newestChange: db.prepare('SELECT max(id) FROM changes').pluck(),
  }
}
