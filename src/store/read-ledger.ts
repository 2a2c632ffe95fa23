/** Reads the ledger of the store that a node was told to use, also of one that is live, as it is at one moment. */
import type { Config } from '../config.ts'
import type { LedgerSnapshot } from './ledger.ts'

/**
 * Only the driver that is needed is loaded. Nothing is written, and no task waits for it.
 * @throws CallmeError `store_unavailable`, `store_too_new`, with a sentence for the one who asked
 */
export async function readLedger<T>(where: Config['store'], read: (ledger: LedgerSnapshot) => Promise<T>): Promise<T> {
  if (where.kind === 'postgres') {
    const { readPostgresLedger } = await import('./postgres/read-postgres-ledger.ts')
    return readPostgresLedger(where.url, read)
  }
  const { readSqliteLedger } = await import('./sqlite/read-sqlite-ledger.ts')
  return readSqliteLedger(where.path, read)
}
