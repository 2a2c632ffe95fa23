/** Opens the store that a node was told to use. */
import type { Config } from '../config.ts'
import type { Store } from './store.ts'

/**
 * Only the driver that is needed is loaded.
 * @param stopping from when on nobody waits long for a store that does not answer
 * @throws CallmeError `store_unavailable`, `store_in_use`, `store_too_new`, with a sentence for the one who started the node
 */
export async function openStore(where: Config['store'], stopping: AbortSignal): Promise<Store> {
  if (where.kind === 'postgres') {
    const { openPostgresStore } = await import('./postgres/open-postgres-store.ts')
    return openPostgresStore(where.url, { stopping })
  }
  const { openSqliteStore } = await import('./sqlite/open-sqlite-store.ts')
  return openSqliteStore(where.path)
}

/** Whether other nodes may have the store open at the same time. */
export function isShared(where: Config['store']): boolean {
  return where.kind === 'postgres'
}
