import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { FINAL_STATES, TASK_STATES } from '../../src/domain/task/task.ts'
import type { Task, TaskState } from '../../src/domain/task/task.ts'
import { readMigrations } from '../../src/store/migrations.ts'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import type { Store } from '../../src/store/store.ts'
import { MINUTE } from '../support/a-task.ts'
import {
  aClaim,
  claimAll,
  DUE,
  expectCountsToAddUp,
  expireAll,
  finishAll,
  LEASE_MS,
  listAll,
  mustGet,
  putHandler,
} from './contract/support/tasks.ts'
import { tempFolder } from './support/temp-folder.ts'

const DEFINITION = { callback: 'http://receiver.test/run', payload: { a: 'ä' }, retry: 3, max_delay: 30 }
const HOST = 'receiver.test'
const ATTEMPT = { number: 1, startedAt: DUE - 900, durationMs: 15, status: 500, error: 'answered 500, expected 200', node: 'old-node' }
const CREATED = DUE - 5000

/** What each column held that is not the same in every state, as the first version wrote it. */
const ROWS: Readonly<Record<TaskState, Record<string, number | string | null>>> = {
  pending: { attempts: 0, due_at: DUE },
  running: { attempts: 1, due_at: DUE - 1000, lease_until: DUE + LEASE_MS, claimed_by: 'old-node' },
  retrying: { attempts: 1, due_at: DUE + 500, claimed_by: 'old-node', executed_at: DUE - 885, response_status: 500, error: ATTEMPT.error },
  successful: {
    attempts: 1,
    due_at: DUE - 1000,
    claimed_by: 'old-node',
    executed_at: DUE - 885,
    response_status: 200,
    response_body: 'ok',
  },
  failed: {
    attempts: 1,
    due_at: DUE - 1000,
    claimed_by: 'old-node',
    executed_at: DUE - 885,
    response_status: 404,
    rescheduled_to: MINUTE + 600,
  },
  skipped: { attempts: 0, due_at: DUE - 1000, error: 'out of time', rescheduled_from: MINUTE - 600 },
}

test('a file of the first version reads back as it was, with the fields that are new', async () => {
  const store = openUpgraded()
  const tasks = await listAll(store)
  expect(tasks.map(({ name, state }) => [name, state])).toEqual([...TASK_STATES].sort().map((state) => [state, state]))
  for (const task of tasks) {
    expect(task).toEqual(expectedTask(task.state))
    const attempts =
      task.state === 'pending' || task.state === 'skipped' || task.state === 'running'
        ? []
        : [{ ...ATTEMPT, runId: runIdOf(task.state), dueAt: null, deadline: null, outcome: null, attemptsLeft: null }]
    expect(await store.history(task)).toEqual(attempts)
  }
  expect(await store.counts()).toEqual(Object.fromEntries(TASK_STATES.map((state) => [state, 1])))
  expect(await store.listHandlers({ limit: 10 })).toEqual({ handlers: [], more: false })
  expect(await store.changes({ after: 0, limit: 10 })).toMatchObject({ changes: [], last: 0 })
})

test('the tasks of a file of the first version run on', async () => {
  const store = openUpgraded()
  const [pending] = (await claimAll(store)) as [Task]
  expect(pending).toMatchObject({ name: 'pending', attempts: 1 })
  await finishAll(store, [pending, await mustGet(store, key('running'))], DUE)
  const [retried] = (await claimAll(store, DUE + 500)) as [Task]
  expect(retried).toMatchObject({ name: 'retrying', attempts: 2, runId: runIdOf('retrying') })
  await finishAll(store, [retried], DUE + 500)
  expect((await store.history(retried)).map(({ number }) => number)).toEqual([1, 2])
  expect(await store.run(key('skipped'), { now: DUE + 1000 })).toMatchObject({ state: 'pending', inAdvance: false })
  expect(await store.prune({ before: DUE, limit: 10 })).toBe(2)
  expect(await store.counts()).toMatchObject({ pending: 1, successful: 3, failed: 0 })
  await expectCountsToAddUp(store)
})

test('what a node had claimed in a file of the first version is rescued, and what waited too long ends', async () => {
  const store = openUpgraded()
  expect(await store.rescue({ now: DUE, onlyNode: 'new-node', limit: 10 })).toMatchObject([{ name: 'running', state: 'retrying', lost: 1 }])
  const ended = (await expireAll(store, DUE + 1_800_000)).map(({ name, state }) => `${name} ${state}`)
  expect(ended.sort()).toEqual(['pending skipped', 'retrying failed', 'running failed'])
  await expectCountsToAddUp(store)
})

test('what a handler says holds for the tasks of a file of the first version', async () => {
  const store = openUpgraded()
  await putHandler(store, 'pending', { paused: true, timeout: 7 })
  await putHandler(store, 'retrying', { callback: 'http://elsewhere.test/', concurrency: 1 })
  expect(await claimAll(store, DUE + 500)).toMatchObject([{ name: 'retrying', host: HOST }])
  await putHandler(store, 'pending', { pull: true, timeout: 7 })
  const worker = { now: DUE + 500, node: 'new-node', leaseUntil: DUE + 9000, limit: 9 }
  expect(await store.pull('pending', worker)).toMatchObject({ tasks: [{ definition: { ...DEFINITION, timeout: 7 }, awaiting: 'worker' }] })
  for (const state of FINAL_STATES) expect((await mustGet(store, key(state))).definition).toEqual(DEFINITION)
})

test('a file of the first version is opened a second time as one of the newest', async () => {
  const path = fileOfVersionOne()
  await openSqliteStore(path).close()
  const db = new SqliteDatabase(path, { readonly: true })
  expect(db.pragma('user_version', { simple: true })).toBe(readMigrations('sqlite').at(-1)?.version)
  expect(db.pragma('integrity_check', { simple: true })).toBe('ok')
  db.close()
  const store = openSqliteStore(path)
  expect((await store.claimDue(aClaim())).tasks).toMatchObject([{ name: 'pending' }])
  await store.close()
})

function openUpgraded(): Store {
  const store = openSqliteStore(fileOfVersionOne())
  onTestFinished(() => store.close())
  return store
}

/** A file as the first version of the schema left it, with one entry in every state. */
function fileOfVersionOne(): string {
  const path = join(tempFolder(), 'callme.db')
  const db = new SqliteDatabase(path)
  db.pragma('journal_mode = WAL')
  db.exec(readFileSync(new URL('../../schema/sql/sqlite/0001-tasks.sql', import.meta.url), 'utf8'))
  db.pragma('user_version = 1')
  const insert = db.prepare(`
    INSERT INTO tasks (id, name, trigger_at, state, lane, due_at, deadline, lease_until, claimed_by, run_id, attempts, lost, in_advance,
      executed_at, response_status, response_body, error, created, updated, rescheduled_to, rescheduled_from, definition)
    VALUES (@id, @name, @trigger_at, @state, @lane, @due_at, @deadline, @lease_until, @claimed_by, @run_id, @attempts, 0, 0,
      @executed_at, @response_status, @response_body, @error, @created, @updated, @rescheduled_to, @rescheduled_from, @definition)`)
  const attempt = db.prepare('INSERT INTO attempts VALUES (@id, @runId, @number, @startedAt, @durationMs, @status, @error, @node)')
  for (const [n, state] of TASK_STATES.entries()) {
    const id = (MINUTE / 60) * 2 ** 27 + n
    insert.run({ ...rowOf(state), id, definition: JSON.stringify(DEFINITION) })
    if (ROWS[state].executed_at !== undefined) attempt.run({ ...ATTEMPT, id, runId: runIdOf(state) })
  }
  db.exec('UPDATE task_counts SET n = 1')
  db.prepare('INSERT INTO lanes VALUES (?, ?)').run(HOST, DUE - 1000)
  db.close()
  return path
}

function rowOf(state: TaskState) {
  const empty = { lease_until: null, claimed_by: null, executed_at: null, response_status: null, response_body: null, error: null }
  const times = { trigger_at: MINUTE, deadline: DUE + 1_800_000, created: CREATED, updated: DUE - 800 }
  const rescheduled = { rescheduled_to: null, rescheduled_from: null }
  return {
    ...empty,
    ...times,
    ...rescheduled,
    name: state,
    state,
    lane: HOST,
    run_id: runIdOf(state),
    attempts: 0,
    due_at: 0,
    ...ROWS[state],
  }
}

function expectedTask(state: TaskState): Task {
  const row = rowOf(state)
  return {
    name: state,
    triggerAt: MINUTE,
    state,
    definition: DEFINITION,
    host: HOST,
    dueAt: row.due_at,
    windowFrom: DUE,
    deadline: DUE + 1_800_000,
    runId: runIdOf(state),
    attempts: row.attempts,
    lost: 0,
    inAdvance: false,
    removeAfter: false,
    awaiting: null,
    claimedBy: row.claimed_by,
    leaseUntil: row.lease_until,
    executedAt: row.executed_at,
    responseStatus: row.response_status,
    responseBody: row.response_body,
    error: row.error,
    created: CREATED,
    updated: DUE - 800,
    rescheduledTo: row.rescheduled_to,
    rescheduledFrom: row.rescheduled_from,
    repeatedTo: null,
    errorCallback: null,
  }
}

function runIdOf(state: TaskState): string {
  return `0d9b8c1e-3f1a-4a63-9f0e-6a0f2b6c7d8${TASK_STATES.indexOf(state)}`
}

function key(name: TaskState) {
  return { name, triggerAt: MINUTE }
}
