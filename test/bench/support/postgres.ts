/** PostgreSQL for benches: a server of its own from npm, as durable as one in production, or the one that `CALLME_BENCH_POSTGRES_URL` names. */
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { startPostgresServer } from '../../support/postgres-server.ts'
import { note } from './findings.ts'
import { familyCpuMs, familyMemoryMb } from './process-usage.ts'
import type { StorePlace } from './store-place.ts'

/** What differs from a fresh installation; commits wait for the disk as they do there. */
const SETTINGS = ['shared_buffers=1GB', 'max_wal_size=4GB', 'max_connections=200']
const DESCRIBED = 5

/** Its `cpuMs` and `memoryMb` are NaN where the server runs on another machine. Its databases are gone after the bench. */
export async function startPostgres(): Promise<StorePlace & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const own = process.env['CALLME_BENCH_POSTGRES_URL'] === undefined ? stack.use(await startPostgresServer(...SETTINGS)) : undefined
  const url = own?.url ?? process.env['CALLME_BENCH_POSTGRES_URL'] ?? ''
  let server = await describeServer(url)

  const stores = new Set<string>()
  const remove = async (store: string): Promise<void> => {
    await query(url, `DROP DATABASE ${databaseOf(store)} WITH (FORCE)`)
    stores.delete(store)
  }
  stack.defer(async () => {
    for (const store of stores) await remove(store)
  })
  const crash = async (): Promise<void> => {
    await own?.crash()
    await own?.start()
    server = await describeServer(url)
  }
  const resources = stack.move()
  let count = 0
  return {
    name: 'PostgreSQL',
    create: async (copied) => {
      const store = new URL(url)
      store.pathname = `/callme_bench_${process.pid}_${(count += 1)}`
      const template = copied === undefined ? '' : `TEMPLATE ${databaseOf(copied)} STRATEGY FILE_COPY`
      await query(url, `CREATE DATABASE ${databaseOf(store.href)} ${template}`)
      stores.add(store.href)
      return store.href
    },
    settle: (store) => query(store, 'VACUUM (ANALYZE)'),
    describe,
    remove,
    cpuMs: () => (server === undefined ? Number.NaN : familyCpuMs(server)),
    memoryMb: () => (server === undefined ? Number.NaN : familyMemoryMb(server)),
    ...(own && { crash }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** Resolves once it is connected. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return client
}

async function query(url: string, sql: string): Promise<void> {
  const client = await connect(url)
  await client.query(sql)
  await client.end()
}

/** Opens a transaction that reads and is then left open: what it may still see, no vacuum takes away. @returns a function that ends it */
export async function holdBack(store: string): Promise<() => Promise<void>> {
  const reader = await connect(store)
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  await reader.query('SELECT count(*) FROM pg_class')
  return () => reader.end()
}

/** Its largest tables. */
async function describe(store: string): Promise<string[]> {
  const reader = await connect(store)
  const { rows } = await reader.query<Record<'name' | 'live' | 'dead' | 'size' | 'indexes', string>>(
    `SELECT relname AS name, n_live_tup AS live, n_dead_tup AS dead,
      pg_size_pretty(pg_table_size(relid)) AS size, pg_size_pretty(pg_indexes_size(relid)) AS indexes
     FROM pg_stat_user_tables ORDER BY pg_total_relation_size(relid) DESC LIMIT $1`,
    [DESCRIBED],
  )
  await reader.end()
  return rows.map(({ name, live, dead, size, indexes }) => `${name}: ${live} rows, ${dead} dead, ${size}, indexes ${indexes}`)
}

/** Notes what the figures depend on. @returns the process that all others of the server are children of, where it runs on this machine */
async function describeServer(url: string): Promise<number | undefined> {
  const client = await connect(url)
  const { rows } = await client.query<Record<'version' | 'buffers' | 'fsync' | 'commit', string> & { pid: number }>(
    `SELECT current_setting('server_version') AS version, current_setting('shared_buffers') AS buffers,
      current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit, pg_backend_pid() AS pid`,
  )
  const [server] = rows
  const place = server && parentOf(server.pid)
  await client.end()
  if (server === undefined) return undefined
  note(`PostgreSQL ${server.version}, shared_buffers ${server.buffers}, fsync ${server.fsync}, synchronous_commit ${server.commit}`)
  return place
}

function parentOf(pid: number): number | undefined {
  try {
    const [, name, parent] = /^\d+ \((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? []
    return name === 'postgres' ? Number(parent) : undefined
  } catch {
    return undefined
  }
}

function databaseOf(store: string): string {
  return new URL(store).pathname.slice(1)
}
