/**
 * Shows other nodes that this process lives: a lock that it holds in an open transaction, and that the database ends with its connection. The
 * transaction sees and writes nothing, so no vacuum waits for it. A pooler in transaction mode leaves it its connection.
 */
import { setTimeout } from 'node:timers/promises'
import type { Database } from './commit/database.ts'

/** Of the 64-bit numbers that lock something, that of a node. */
export const lockNumberOf = (node: string): string => `hashtextextended('callme ' || ${node}, 0)`

const LOCK = `SELECT pg_advisory_xact_lock(${lockNumberOf('$1')})`
/** Longer than a lease: a frozen process is not shown to be gone before its leases are over. */
const ALLOW_SILENCE = `SET LOCAL idle_in_transaction_session_timeout = 30000`
const SIGN_OF_LIFE = 'SELECT 1'
const EVERY_MS = 3000
const AGAIN_AFTER_MS = 200

/** Resolves once the process is shown. It is shown again whenever a connection has broken, until `closing`. */
export function showPresence(database: Database, node: string, closing: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  const pause = (ms: number): Promise<void> => setTimeout(ms, undefined, { ref: false, signal: closing }).catch(() => undefined)
  const show = (): Promise<void> =>
    database.transaction(async (queries) => {
      await queries.query(ALLOW_SILENCE)
      await queries.query(LOCK, [node])
      resolve(undefined)
      while (!closing.aborted) {
        await pause(EVERY_MS)
        await queries.query(SIGN_OF_LIFE)
      }
    }, 'ROLLBACK')
  const go = async (): Promise<void> => {
    while (!closing.aborted) {
      await show().catch(() => undefined)
      await pause(AGAIN_AFTER_MS)
    }
  }
  void go()
  return promise
}
