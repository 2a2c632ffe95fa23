/** Opens the store that a node was told to use, or reads the ledger of it. */
import type { OnFailure } from '../domain/task/error-callback.ts'
import { redact, type StoreUrl } from '../config/store-url.ts'
import type { LedgerSnapshot } from './ledger.ts'
import type { Store } from './store.ts'

interface OpenedStore extends Store {
  /** whether nothing was there before */
  readonly isNew: boolean
}

/**
 * Only the driver that is needed is loaded.
 * @param options `stopping`: from when on nobody waits long for a store that does not answer. `onFailure`: whom to tell of bad ends where
 * neither task nor handler says so
 * @throws CallmeError `store_unavailable`, `store_in_use`, `store_too_new`, with a sentence for the one who started the node
 */
export async function openStore(
  where: StoreUrl,
  options: { readonly stopping: AbortSignal; readonly onFailure?: OnFailure | undefined },
): Promise<OpenedStore> {
  if (where.kind === 'postgres') {
    const { openPostgresStore } = await import('./postgres/open-postgres-store.ts')
    return openPostgresStore(where.url, { ...options, name: `the store ${redact(where.url)}` })
  }
  const { openSqliteStore } = await import('./sqlite/open-sqlite-store.ts')
  return openSqliteStore(where.path, options)
}

/** Whether other nodes may have the store open at the same time. */
export function isShared(where: StoreUrl): boolean {
  return where.kind === 'postgres'
}

/**
 * Reads the ledger as it is at one moment, also of a store that is live. Nothing is written, and no task waits for it.
 * @throws CallmeError `store_unavailable`, `store_too_new`, with a sentence for the one who asked
 */
export async function readLedger<T>(where: StoreUrl, read: (ledger: LedgerSnapshot) => Promise<T>): Promise<T> {
  if (where.kind === 'postgres') {
    const { readPostgresLedger } = await import('./postgres/history/open-ledger.ts')
    return readPostgresLedger(where.url, read, `the store ${redact(where.url)}`)
  }
  const { readSqliteLedger } = await import('./sqlite/history/open-ledger.ts')
  return readSqliteLedger(where.path, read)
}
