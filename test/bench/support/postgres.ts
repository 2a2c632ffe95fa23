/** PostgreSQL for benches: a server of its own from npm, as durable as one in production, or the one that `CALLME_BENCH_POSTGRES_URL` names. */
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { startPostgresServer } from '../../support/postgres-server.ts'
import { familyCpuMs } from './process-usage.ts'
import type { StorePlace } from './store-place.ts'

/** What differs from a fresh installation; commits wait for the disk as they do there. */
const SETTINGS = ['shared_buffers=1GB', 'max_wal_size=4GB', 'max_connections=200']
const DESCRIBED = 5

/** Its `cpuMs` is NaN where the server runs on another machine. Its databases are gone after the bench. */
export async function startPostgres(): Promise<StorePlace & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const url = process.env['CALLME_BENCH_POSTGRES_URL'] ?? (await startServer(stack))
  const client = await connect(url)
  stack.defer(() => client.end())
  const server = await describeServer(client)

  const stores = new Set<string>()
  const remove = async (store: string): Promise<void> => {
    await client.query(`DROP DATABASE ${databaseOf(store)} WITH (FORCE)`)
    stores.delete(store)
  }
  stack.defer(async () => {
    for (const store of stores) await remove(store)
  })
  const resources = stack.move()
  let count = 0
  return {
    name: 'PostgreSQL',
    create: async (copied) => {
      const store = new URL(url)
      store.pathname = `/callme_bench_${process.pid}_${(count += 1)}`
      const template = copied === undefined ? '' : `TEMPLATE ${databaseOf(copied)} STRATEGY FILE_COPY`
      await client.query(`CREATE DATABASE ${databaseOf(store.href)} ${template}`)
      stores.add(store.href)
      return store.href
    },
    settle: async (store) => {
      const client = await connect(store)
      await client.query('VACUUM (ANALYZE)')
      await client.end()
    },
    describe,
    remove,
    cpuMs: () => (server === undefined ? Number.NaN : familyCpuMs(server)),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** Resolves once it is connected. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return client
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

async function startServer(stack: AsyncDisposableStack): Promise<string> {
  const server = stack.use(await startPostgresServer(...SETTINGS))
  return server.url
}

/** Prints what the figures depend on. @returns the process that all others of the server are children of, where it runs on this machine */
async function describeServer(client: pg.Client): Promise<number | undefined> {
  const { rows } = await client.query<Record<'version' | 'buffers' | 'fsync' | 'commit', string> & { pid: number }>(
    `SELECT current_setting('server_version') AS version, current_setting('shared_buffers') AS buffers,
      current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit, pg_backend_pid() AS pid`,
  )
  const [server] = rows
  if (server === undefined) return undefined
  console.log(`PostgreSQL ${server.version}, shared_buffers ${server.buffers}, fsync ${server.fsync}, synchronous_commit ${server.commit}`)
  return parentOf(server.pid)
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
