/** Opens a PostgreSQL database for one node of many: connects, brings the schema up to date, and reads what the others have committed. */
import type { OnFailure } from '../../domain/task/error-callback.ts'
import { pendingMigrations, readMigrations } from '../migrations.ts'
import { Database, closeConnections, connect, one } from './commit/database.ts'
import { FIND_IDENTITY } from './commit/identity.ts'
import { migrate, readVersion } from './commit/migrate.ts'
import { openingError } from './commit/store-error.ts'
import { openStreams } from './node.ts'
import { PostgresStore } from './postgres-store.ts'
import { makePartitions } from './retention/partitions.ts'
import { openSession } from './session.ts'

interface OpenOptions {
  /** once aborted, no write waits long for a database that does not answer */
  readonly stopping?: AbortSignal
  /** for sentences, without a password */
  readonly name?: string
  /** whom this node tells of bad ends where neither task nor handler says so */
  readonly onFailure?: OnFailure | undefined
}

/**
 * @param url `postgres://user:password@host:port/database`
 * @throws CallmeError `store_unavailable` for a database that does not answer or refuses the login, `store_too_new` for a newer one
 */
export async function openPostgresStore(url: string, options: OpenOptions = {}): Promise<PostgresStore> {
  const { name = 'the store' } = options
  const connections = connect(url)
  try {
    const isNew = await migrateWhereBehind(url, name, connections.reading)
    await makePartitions(connections.reading)
    connections.identity.opened(one(await connections.reading.query<{ id: string }>(FIND_IDENTITY)).id)
    const streams = await openStreams(connections.reading)
    const session = openSession(connections, Object.values(streams), options.onFailure)
    await session.peers.catchUp()
    return new PostgresStore(connections, session, streams, options.stopping ?? new AbortController().signal, isNew)
  } catch (error) {
    await closeConnections(connections)
    throw openingError(error, name)
  }
}

/** @returns whether there was nothing before. A migration has a connection of its own without a time limit, because a step may take long. */
async function migrateWhereBehind(url: string, name: string, reading: Database): Promise<boolean> {
  const migrations = readMigrations('postgres')
  const { current, worksWith } = await readVersion(reading)
  if (pendingMigrations(name, migrations, current, worksWith).length === 0) return false
  const database = new Database(url, 1, 0)
  try {
    await migrate(database, migrations)
    return current === 0
  } finally {
    await database.end()
  }
}
