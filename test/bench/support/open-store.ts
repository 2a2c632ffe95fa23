/** Opens a store in the process of the bench. */
import { openPostgresStore } from '../../../src/store/postgres/open-postgres-store.ts'
import { openSqliteStore } from '../../../src/store/sqlite/open-sqlite-store.ts'
import type { Store } from '../../../src/store/store.ts'
import { sqlitePath } from './store-place.ts'

/** @param store what `--store` takes */
export async function openStore(store: string): Promise<Store> {
  return store.startsWith('sqlite:') ? openSqliteStore(sqlitePath(store)) : await openPostgresStore(store)
}
