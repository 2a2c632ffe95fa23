/** The PostgreSQL store of a world: a database that several nodes share, each through connections that break when it crashes. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import pg from 'pg'
import type { HandlerDefinition } from '../../src/domain/task/handler.ts'
import type { TaskKey } from '../../src/domain/task/task-key.ts'
import { TASK_STATES } from '../../src/domain/task/task.ts'
import type { LedgerSnapshot } from '../../src/store/ledger.ts'
import { openPostgresStore } from '../../src/store/postgres/open-postgres-store.ts'
import { readPostgresLedger } from '../../src/store/postgres/history/open-ledger.ts'
import type { TaskRow } from '../../src/store/rows/task-row.ts'
import { INTACT } from './damages.ts'
import type { FaultOf } from './faulty-database.ts'
import type { Committed, OpenedStore, WorldStore } from './world-store.ts'
import { queryOnce } from '../support/query-once.ts'

const COLUMNS = [
  ...['name', 'trigger_at', 'state', 'lane', 'due_at', 'deadline', 'lease_until', 'claimed_by', 'run_id', 'attempts', 'lost', 'in_advance'],
  ...['executed_at', 'response_status', 'response_body', 'error', 'created', 'updated', 'rescheduled_to', 'rescheduled_from', 'definition'],
  ...['window_from', 'awaiting', 'remove_after', 'repeated_to'],
].join(', ')
/** One statement, so that all of it is of one moment. */
const EVERYTHING = `
  SELECT (SELECT json_agg(t) FROM (SELECT ${COLUMNS} FROM callme.tasks UNION ALL SELECT ${COLUMNS} FROM callme.finished) t) AS tasks,
    (SELECT json_agg(h) FROM (SELECT name, definition FROM callme.handlers ORDER BY name) h) AS handlers,
    (SELECT row_to_json(s) FROM (
      SELECT n.last_id + coalesce(sum(c.told), 0) AS newest, ${TASK_STATES.map((state) => `n.${state} + coalesce(sum(c.${state}), 0) AS ${state}`).join(', ')}
      FROM (SELECT * FROM callme.numbered ORDER BY position DESC LIMIT 1) n LEFT JOIN callme.commits c
        ON c.seq > coalesce((SELECT max(m.seq) FROM callme.numbered m WHERE m.stream = c.stream), 0)
      GROUP BY n.last_id, ${TASK_STATES.map((state) => `n.${state}`).join(', ')}) s) AS sums`
const DAMAGE = `
  UPDATE callme.tasks SET definition = replace(definition, $1, $2) WHERE name = $3 AND trigger_at = $4 AND state IN ('pending', 'retrying')`
const BACKENDS = 'SELECT 1 FROM pg_stat_activity WHERE client_port = ANY($1) LIMIT 1'

interface Everything {
  readonly tasks: Omit<TaskRow, 'id'>[] | null
  readonly handlers: { name: string; definition: string }[] | null
  readonly sums: Record<string, number> | null
}

export class PostgresWorld implements WorldStore {
  readonly isShared = true
  readonly seesEachCommit = false
  /** Its statements cannot be made to fail. */
  faultOf: FaultOf = () => undefined
  readonly #serverUrl: string
  readonly #url: URL
  readonly #pool: pg.Pool
  readonly #opened: (() => Promise<void>)[] = []
  /** by key: the number that the world gives it, and the row as text */
  readonly #rows = new Map<string, { readonly id: number; text: string }>()
  #handlers = ''
  #sums: Record<string, number> | null = null
  #committed: Committed | undefined

  private constructor(serverUrl: string, url: URL) {
    this.#serverUrl = serverUrl
    this.#url = url
    this.#pool = new pg.Pool({ connectionString: url.href, max: 2 })
  }

  /** @param serverUrl of a user who may create databases */
  static async create(serverUrl: string, name: string): Promise<PostgresWorld> {
    await queryOnce(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    await queryOnce(serverUrl, `CREATE DATABASE ${name}`)
    const url = new URL(serverUrl)
    url.pathname = name
    return new PostgresWorld(serverUrl, url)
  }

  async open(): Promise<OpenedStore> {
    const sockets = new Set<Socket>()
    const ports: number[] = []
    const proxy = createServer((near) => {
      const far = connect(Number(this.#url.port), this.#url.hostname, () => {
        ports.push(far.localPort ?? 0)
      })
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(one)
        one.on('error', () => undefined).on('close', () => other.destroy())
        one.pipe(other)
      }
    })
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    const url = new URL(this.#url)
    url.host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const stopping = new AbortController()
    const store = await openPostgresStore(url.href, { stopping: stopping.signal })
    const crash = async (): Promise<void> => {
      stopping.abort()
      proxy.close()
      for (const socket of sockets) socket.destroy()
      void store.close().catch(() => undefined)
      // What had reached the database may still be committed.
      while ((await this.#pool.query(BACKENDS, [ports])).rows.length > 0);
    }
    this.#opened.push(crash)
    return { store, crash }
  }

  async refresh(): Promise<void> {
    if (this.#opened.length === 0) return
    const [everything] = (await this.#pool.query<Everything>(EVERYTHING)).rows
    if (everything === undefined) return
    this.#sums = everything.sums
    const rows = new Map<number, TaskRow | undefined>()
    const keys = new Set<string>()
    for (const row of everything.tasks ?? []) {
      const key = `${row.name}@${row.trigger_at}`
      const text = JSON.stringify(row)
      keys.add(key)
      const known = this.#rows.get(key) ?? { id: this.#rows.size + 1, text: '' }
      if (known.text !== text) rows.set(known.id, { ...row, id: known.id })
      known.text = text
      this.#rows.set(key, known)
    }
    for (const [key, known] of this.#rows) {
      if (keys.has(key) || known.text === '') continue
      rows.set(known.id, undefined)
      known.text = ''
    }
    const handlers = JSON.stringify(everything.handlers)
    if (rows.size === 0 && handlers === this.#handlers) return
    const changed =
      handlers === this.#handlers
        ? undefined
        : new Map((everything.handlers ?? []).map(({ name, definition }) => [name, JSON.parse(definition) as HandlerDefinition]))
    this.#handlers = handlers
    this.#committed = { rows, handlers: changed }
  }

  look(): Committed | undefined {
    const committed = this.#committed
    this.#committed = undefined
    return committed
  }

  async damage({ name, triggerAt }: TaskKey, text: string): Promise<void> {
    await this.#pool.query(DAMAGE, [INTACT, text, name, triggerAt])
  }

  counts(): ReadonlyMap<string, number> | undefined {
    return this.#sums === null ? undefined : new Map(TASK_STATES.map((state) => [state, this.#sums?.[state] ?? 0]))
  }

  newestChange(): number {
    return this.#sums?.['newest'] ?? 0
  }

  readLedger<T>(read: (ledger: LedgerSnapshot) => Promise<T>): Promise<T> {
    return readPostgresLedger(this.#url.href, read)
  }

  async end(): Promise<void> {
    for (const crash of this.#opened) await crash()
    await this.#pool.end()
    await queryOnce(this.#serverUrl, `DROP DATABASE ${this.#url.pathname.slice(1)} WITH (FORCE)`)
  }
}
