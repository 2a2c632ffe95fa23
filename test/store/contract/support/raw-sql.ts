/** SQL beside a store that is open, as a person or a fault of the disk would change its rows. */
import SqliteDatabase from 'better-sqlite3'
import { queryOnce } from '../../../support/query-once.ts'
import type { OpenStore } from './area.ts'

/** @param sql with the names of tables alone; each store has its own place for them */
export async function runSql({ where }: Pick<OpenStore, 'where'>, sql: string): Promise<void> {
  if (where.kind === 'postgres') return queryOnce(where.url, `SET search_path TO callme; SET statement_timeout = 0; ${sql}`)
  const db = new SqliteDatabase(where.path)
  db.exec(sql)
  db.close()
}
