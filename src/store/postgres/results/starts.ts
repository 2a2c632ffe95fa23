/** How many attempts of each handler with a rate have started in each of the last seconds. */
import { KEEP_SECONDS } from '../../rules/handler-book.ts'
import type { CorrectedStart } from '../../rules/report-effects.ts'
import type { Transaction } from '../commit/transaction.ts'

const ADD_STARTS = `
  INSERT INTO callme.starts AS s (name, second, n) VALUES ($1, $2, $3) ON CONFLICT (name, second) DO UPDATE SET n = s.n + excluded.n`
const TAKE_START = 'UPDATE callme.starts SET n = n - 1 WHERE name = $1 AND second = $2 AND n > 0 RETURNING n'
const FORGET_STARTS = 'DELETE FROM callme.starts WHERE name = $1 AND second < $2'

/** Counts attempts that start in a second (Unix time) against the rate of a handler. */
export async function addStarts(transaction: Transaction, handler: string, count: number, second: number): Promise<void> {
  await transaction.query(ADD_STARTS, [handler, second, count])
  await transaction.query(FORGET_STARTS, [handler, second - KEEP_SECONDS])
}

/** Counts an attempt by the second of its call, once that is known. */
export async function correctStart(transaction: Transaction, handler: string, { claimed, called }: CorrectedStart): Promise<void> {
  if (transaction.session.handlers.of(handler)?.definition.rate === undefined) return
  const taken = await transaction.query(TAKE_START, [handler, claimed])
  if (taken.length > 0) await addStarts(transaction, handler, 1, called)
}
