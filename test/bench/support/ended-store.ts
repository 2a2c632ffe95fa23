/** Fills an empty store with tasks that have ended, each with its attempt, by the database's own means: millions in a minute or two. */
import SqliteDatabase from 'better-sqlite3'
import { openStore } from './open-store.ts'
import { connect } from './postgres.ts'
import { sqlitePath } from './store-place.ts'

const PER_MINUTE = 5000
/** 2026-01-01 */
const FIRST_MINUTE = 1_767_225_600
/** Of the row's number `n`; up to ten minutes late, most of them little. */
const RUN = `'00000000-0000-4000-8000-' || substr('000000000000' || CAST(n AS text), -12)`
const DEFINITION = `'{"callback":"http://receiver.test/run","payload":{"order":1}}'`

/** @param store what `--store` takes */
export async function fillEndedStore(store: string, rows: number): Promise<void> {
  await (await openStore(store)).close()
  if (store.startsWith('sqlite:')) fillSqlite(sqlitePath(store), rows)
  else await fillPostgres(store, rows)
}

function fillSqlite(path: string, rows: number): void {
  const db = new SqliteDatabase(path)
  db.pragma('synchronous = OFF')
  db.exec(`
    BEGIN;
    CREATE TEMP TABLE made AS
      WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ${rows})
      SELECT n, ${FIRST_MINUTE} + n / ${PER_MINUTE} * 60 AS minute, (n % 1000) * (n % 600) AS late, ${RUN} AS run FROM numbers;
    INSERT INTO tasks (id, name, trigger_at, state, lane, due_at, deadline, run_id, attempts, lost, in_advance, executed_at, response_status,
        created, updated, definition)
      SELECT (minute / 60) * 134217728 + n % ${PER_MINUTE}, 'task-' || n, minute, 'successful', 'receiver.test', minute * 1000,
        (minute + 600) * 1000, run, 1, 0, 0, minute * 1000 + late + 12, 200, minute * 1000, minute * 1000 + late + 12, ${DEFINITION} FROM made;
    INSERT INTO attempts (task_id, run_id, number, due_at, started_at, duration_ms, deadline, status, outcome, node)
      SELECT (minute / 60) * 134217728 + n % ${PER_MINUTE}, run, 1, minute * 1000, minute * 1000 + late, 12, (minute + 600) * 1000, 200,
        'successful', 'a-node' FROM made;
    UPDATE task_counts SET n = ${rows} WHERE state = 'successful';
    COMMIT`)
  db.close()
}

async function fillPostgres(url: string, rows: number): Promise<void> {
  const client = await connect(url)
  await client.query(`
    CREATE TEMP TABLE made AS
      SELECT n, ${FIRST_MINUTE} + n / ${PER_MINUTE} * 60 AS minute, (n % 1000) * (n % 600) AS late,
        '00000000-0000-4000-8000-' || lpad(n::text, 12, '0') AS run FROM generate_series(0, ${rows - 1}) AS n;
    INSERT INTO callme.finished (id, name, trigger_at, state, lane, due_at, deadline, run_id, attempts, lost, in_advance, executed_at,
        response_status, created, updated, definition)
      SELECT n, 'task-' || n, minute, 'successful', 'receiver.test', minute::bigint * 1000, (minute::bigint + 600) * 1000, run, 1, 0, 0,
        minute::bigint * 1000 + late + 12, 200, minute::bigint * 1000, minute::bigint * 1000 + late + 12, ${DEFINITION} FROM made;
    INSERT INTO callme.attempts (name, trigger_at, run_id, number, due_at, started_at, duration_ms, deadline, status, outcome, node)
      SELECT 'task-' || n, minute, run, 1, minute::bigint * 1000, minute::bigint * 1000 + late, 12, (minute::bigint + 600) * 1000, 200,
        'successful', 'a-node' FROM made;
    UPDATE callme.numbered SET successful = ${rows}`)
  await client.end()
}
