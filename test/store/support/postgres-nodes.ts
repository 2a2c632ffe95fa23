/** Stores on one database, as several nodes open them. */
import { onTestFinished } from 'vitest'
import { openPostgresStore } from '../../../src/store/postgres/open-postgres-store.ts'
import type { PostgresStore } from '../../../src/store/postgres/postgres-store.ts'
import { createDatabase } from '../../support/postgres.ts'
import type { TestDatabase } from '../../support/postgres.ts'

export interface Nodes {
  readonly nodes: readonly [PostgresStore, PostgresStore, PostgresStore]
  readonly database: TestDatabase
}

/** Three nodes of an empty database; they are closed and it is gone when the test is over. */
export async function openNodes({ isHostile = false } = {}): Promise<Nodes> {
  const database = await emptyDatabase(undefined, isHostile)
  return { database, nodes: [await openNode(database.url), await openNode(database.url), await openNode(database.url)] }
}

/** One node more; it is closed when the test is over, where it is still open. */
export async function openNode(url: string): Promise<PostgresStore> {
  const store = await openPostgresStore(url)
  onTestFinished(() => store.close())
  return store
}

/**
 * A database that is gone when the test is over.
 * @param serverUrl that of the run where absent
 * @param isHostile whether its defaults are others than those of a fresh server
 */
export async function emptyDatabase(serverUrl?: string, isHostile = false): Promise<TestDatabase> {
  const database = await createDatabase(serverUrl, isHostile)
  onTestFinished(() => database[Symbol.asyncDispose]())
  return database
}
