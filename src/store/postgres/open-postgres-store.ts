/** Opens a PostgreSQL database for one node of many: connects, brings the schema up to date, and begins to listen. */
import pg from 'pg'
import { CallmeError } from '../../domain/errors.ts'
import { readMigrations } from '../migrations.ts'
import { Database } from './commit/database.ts'
import { migrate } from './commit/migrate.ts'
import { Node, closeConnections, connect } from './node.ts'
import { makePartitions } from './retention/partitions.ts'
import { PostgresStore } from './postgres-store.ts'
import { storeError } from './commit/store-error.ts'

/**
 * @param url `postgres://user:password@host:port/database`
 * @param options `stopping`: from when on nobody waits long for a database that does not answer
 * @throws CallmeError `store_unavailable` when the database does not answer or lets nobody in, `store_too_new` when a newer callme has
 * changed it
 */
export async function openPostgresStore(url: string, options: { readonly stopping?: AbortSignal } = {}): Promise<PostgresStore> {
  const connections = connect(url)
  try {
    await migrateOnce(url)
    await makePartitions(connections.reading)
    return new PostgresStore(await Node.open(connections, options.stopping ?? new AbortController().signal))
  } catch (error) {
    await closeConnections(connections)
    const known = storeError(error)
    if (!(known instanceof pg.DatabaseError)) throw known
    throw new CallmeError('store_unavailable', `the store cannot be opened: ${known.message}`, { cause: error })
  }
}

/** On connections of their own, because a step may take long. */
async function migrateOnce(url: string): Promise<void> {
  const database = new Database(url, 1, 0)
  try {
    await migrate(database, readMigrations('postgres'))
  } finally {
    await database.end()
  }
}
