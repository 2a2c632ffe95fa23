/** How many attempts of each handler with a rate have started in each of the last seconds. */
import { KEEP_SECONDS } from '../../rules/handler-book.ts'
import type { CorrectedStart } from '../../rules/report-effects.ts'
import type { Transaction } from '../session.ts'

const ADD_STARTS = `
  INSERT INTO starts (name, second, n) VALUES (@name, @second, @count) ON CONFLICT (name, second) DO UPDATE SET n = n + excluded.n`
const TAKE_START = 'UPDATE starts SET n = n - 1 WHERE name = ? AND second = ? AND n > 0'
export const FORGET_STARTS = 'DELETE FROM starts WHERE name = ? AND second < ?'

/** Counts attempts that start in a second (Unix time) against the rate of a handler. */
export function addStarts({ sql }: Transaction, name: string, count: number, second: number): void {
  sql.run(ADD_STARTS, { name, second, count })
  sql.run(FORGET_STARTS, name, second - KEEP_SECONDS)
}

/** Counts an attempt by the second of its call, once that is known. */
export function correctStart(transaction: Transaction, handler: string, { claimed, called }: CorrectedStart): void {
  if (transaction.handlers.of(handler)?.definition.rate === undefined) return
  if (transaction.sql.run(TAKE_START, handler, claimed) === 1) addStarts(transaction, handler, 1, called)
}
