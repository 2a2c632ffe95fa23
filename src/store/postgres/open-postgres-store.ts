/** Opens a PostgreSQL database for one node of many: connects, brings the schema up to date, and reads what the others have committed. */
import pg from 'pg'
import { CallmeError } from '../../domain/errors.ts'
import type { OnFailure } from '../../domain/task/error-callback.ts'
import { pendingMigrations, readMigrations } from '../migrations.ts'
import { Database, closeConnections, connect, one } from './commit/database.ts'
import { FIND_IDENTITY } from './commit/identity.ts'
import { migrate, readVersion } from './commit/migrate.ts'
import { storeError } from './commit/store-error.ts'
import { openStreams } from './node.ts'
import { PostgresStore } from './postgres-store.ts'
import { makePartitions } from './retention/partitions.ts'
import { openSession } from './session.ts'

/**
 * @param url `postgres://user:password@host:port/database`
 * @param options `stopping`: once aborted, no write waits long for a database that does not answer. `onFailure`: whom this node tells of bad
 * ends where neither task nor handler says so
 * @throws CallmeError `store_unavailable` for a database that does not answer or refuses the login, `store_too_new` for a newer one
 */
export async function openPostgresStore(
  url: string,
  options: { readonly stopping?: AbortSignal; readonly onFailure?: OnFailure | undefined } = {},
): Promise<PostgresStore> {
  const connections = connect(url)
  try {
    await migrateWhereBehind(url, connections.reading)
    await makePartitions(connections.reading)
    connections.identity.opened(one(await connections.reading.query<{ id: string }>(FIND_IDENTITY)).id)
    const streams = await openStreams(connections.reading)
    const session = openSession(connections, Object.values(streams), options.onFailure)
    await session.peers.catchUp()
    return new PostgresStore(connections, session, streams, options.stopping ?? new AbortController().signal)
  } catch (error) {
    await closeConnections(connections)
    const known = storeError(error)
    if (!(known instanceof pg.DatabaseError)) throw known
    throw new CallmeError('store_unavailable', `the store cannot be opened: ${known.message}`, { cause: error })
  }
}

/** A migration has a connection of its own without a time limit, because a step may take long. */
async function migrateWhereBehind(url: string, reading: Database): Promise<void> {
  const migrations = readMigrations('postgres')
  const { current, worksWith } = await readVersion(reading)
  if (pendingMigrations(migrations, current, worksWith).length === 0) return
  const database = new Database(url, 1, 0)
  try {
    await migrate(database, migrations)
  } finally {
    await database.end()
  }
}
