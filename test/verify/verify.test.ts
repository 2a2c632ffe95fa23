import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Config } from '../../src/config/load-config.ts'
import type { Task } from '../../src/domain/task/task.ts'
import type { CallResult } from '../../src/domain/attempt/verdict.ts'
import { openStore, readLedger } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/store.ts'
import { verify } from '../../src/verify/verify.ts'
import type { LedgerReport, VerifyOptions } from '../../src/verify/verify.ts'
import { aTask, MINUTE } from '../support/a-task.ts'
import { createDatabase } from '../support/postgres.ts'
import { anEntry, claimAll, claimOne, DUE, expireAll, finish, LEASE_MS, seed } from '../store/contract/support/tasks.ts'
import { tempFolder } from '../store/support/temp-folder.ts'

interface Place {
  readonly where: Config['store']
  /** the table of what has ended */
  readonly ended: string
  /** the columns by which an attempt belongs to its entry */
  readonly attemptKey: string
  /** Changes what is stored behind the back of the store. Tables are named without their schema. */
  tamper(sql: string): Promise<unknown>
}

const PLACES: readonly (readonly [string, () => Promise<Place>])[] = [
  [
    'SQLite',
    () => {
      const path = join(tempFolder(), 'callme.db')
      const tamper = (sql: string): Promise<unknown> => {
        const db = new SqliteDatabase(path)
        db.exec(sql)
        return Promise.resolve(db.close())
      }
      return Promise.resolve({ where: { kind: 'sqlite', path }, ended: 'tasks', attemptKey: 'task_id', tamper })
    },
  ],
  [
    'PostgreSQL',
    async () => {
      const database = await createDatabase()
      onTestFinished(() => database[Symbol.asyncDispose]())
      return {
        where: { kind: 'postgres', url: database.url },
        ...{ ended: 'finished', attemptKey: 'name, trigger_at' },
        tamper: (sql) => database.query(`SET search_path = callme; ${sql}`),
      }
    },
  ],
]
const NOW = DUE + 3_600_000
/** A call that was answered a millisecond after it was made. */
function callAt(startedAt: number, status: number): CallResult {
  return { kind: 'answered', startedAt, endedAt: startedAt + 1, status, body: '' }
}

const KEPT = { missed: 0, doubled: 0, late: 0, early: 0 }

describe.each(PLACES)('the account of a store on %s', (_, makePlace) => {
  let place: Place
  let store: Store

  async function open(): Promise<void> {
    place = await makePlace()
    store = await openStore(place.where, { stopping: new AbortController().signal })
    onTestFinished(() => store.close())
  }

  const report = (options: VerifyOptions = {}): Promise<LedgerReport> =>
    readLedger(place.where, (ledger) => verify(ledger, { now: NOW, ...options }))

  test('of nothing is that nothing was due', async () => {
    await open()
    expect(await report()).toEqual({
      ...{ ok: true, from: null, to: null, at: new Date(NOW).toISOString(), due: 0, on_time: 0, early: 0, late: 0, skipped: 0, failed: 0 },
      ...{ removed: 0, waiting: 0, missed: 0, not_due: 0, reasons: { skipped: {}, failed: {} }, lost_attempts: 0 },
      ...{ lateness: { attempts: 0, p50: null, p99: null, max: null, over_1s: 0, over_10s: 0, over_60s: 0 }, broken: KEPT, breaches: [] },
    })
  })

  test('adds up: due is on time, skipped, failed, removed and waiting, with the reasons, and how late the calls were', async () => {
    await open()
    const put = (name: string, fields = {}): Promise<unknown> => store.put([aTask({ name, ...fields })], { now: DUE - 9 })
    await put('skipped')
    await expireAll(store, DUE + 600_000)
    const ends = { good: 200, bad: 404, worse: 404, again: 500 }
    for (const name of Object.keys(ends)) await put(name)
    for (const task of await claimAll(store, DUE + 100)) {
      const status = ends[task.name as keyof typeof ends]
      await finish(store, task, callAt(DUE + 100 + Object.keys(ends).indexOf(task.name), status), DUE + 200)
    }
    await put('removed')
    await store.remove({ name: 'removed' }, { now: DUE, limit: 1 })
    await put('later', { triggerAt: MINUTE + 7200 })
    await put('long', { definition: { max_delay: 600 } })
    const told = await report({ now: DUE + 500_000 })
    expect(told).toMatchObject({ ok: true, due: 7, on_time: 1, skipped: 1, failed: 2, removed: 1, waiting: 2, missed: 0, not_due: 1 })
    expect(told.reasons).toEqual({ skipped: { 'out of time': 1 }, failed: { 'answered 404, expected 200': 2 } })
    expect(told.lateness).toEqual({ attempts: 4, p50: 101, p99: 103, max: 103, over_1s: 0, over_10s: 0, over_60s: 0 })
  })

  test('is that of a range of minutes where one is given', async () => {
    await open()
    await seed(
      store,
      [0, 1, 2].map((later) => ({ name: 'a', triggerAt: MINUTE + later * 60, state: 'failed' as const })),
    )
    expect(await report({ from: MINUTE + 60, to: MINUTE + 120 })).toMatchObject({
      ...{ from: '2027-01-15T08:01:00.000Z', to: '2027-01-15T08:02:00.000Z', due: 1, failed: 1 },
    })
    expect(await report({ from: MINUTE + 60 })).toMatchObject({ due: 2, to: null })
    await store.remove({ to: MINUTE + 120 }, { now: DUE, limit: 9 })
    expect(await report({ to: MINUTE + 60 })).toMatchObject({ due: 1, removed: 1 })
    expect(await report()).toMatchObject({ due: 3, removed: 2, failed: 1 })
  })

  test('goes on over many pages', async () => {
    await open()
    await store.put(
      Array.from({ length: 2500 }, (_, n) => aTask({ name: `n${n}` })),
      { now: DUE - 9 },
    )
    expect(await report({ now: DUE })).toMatchObject({ due: 2500, waiting: 2500, ok: true })
  })

  test('counts attempts that were lost and made again, which breaks no promise', async () => {
    await open()
    await claimOne(store)
    await store.rescue({ now: DUE + LEASE_MS, limit: 1 })
    const [again] = (await claimAll(store, DUE + LEASE_MS)) as [Task]
    await finish(store, again, callAt(DUE + LEASE_MS + 7, 200), DUE + LEASE_MS + 9)
    expect(await report()).toMatchObject({ ok: true, due: 1, on_time: 1, lost_attempts: 1, lateness: { attempts: 1, max: 7 } })
  })

  test.each([
    [
      'a row that is gone',
      ({ ended }: Place) => `DELETE FROM ${ended}`,
      'missed',
      /^1 more entries were counted when they were written than/,
    ],
    ['a row too many', copyOfAll, 'missed', /^there are 1 more entries than were counted/],
    ['an attempt that is gone', () => 'DELETE FROM attempts', 'missed', /^1 of its 1 attempts are not recorded$/],
    [
      'a call after the window',
      () => 'UPDATE attempts SET started_at = deadline',
      'late',
      /^attempt 1 started at .*, its window closed at /,
    ],
    ['a call before its time', () => 'UPDATE attempts SET started_at = due_at - 1', 'early', /^attempt 1 started at .*, it was due at /],
  ])('finds %s', async (_, tamper, promise, detail) => {
    await open()
    const task = await claimOne(store)
    await finish(store, task, callAt(DUE + 1, 200), DUE + 2)
    expect(await report()).toMatchObject({ ok: true })
    await place.tamper(tamper(place))
    const told = await report()
    expect(told).toMatchObject({ ok: false, broken: { ...KEPT, [promise]: 1 } })
    expect(told.breaches).toEqual([
      {
        promise,
        ...(isOfNoRun(detail) ? { task: null, run_id: null } : { task: `a-task@${MINUTE}`, run_id: task.runId }),
        detail: expect.stringMatching(detail) as string,
      },
    ])
  })

  test('finds what was called again after its end, and what was left behind by the scheduler', async () => {
    await open()
    const task = await claimOne(store)
    await finish(store, task, callAt(DUE, 404), DUE + 9)
    await anEntry(store, 'pending', { name: 'left' })
    await anEntry(store, 'running', { name: 'lost' })
    const { attemptKey: key } = place
    await place.tamper(
      `INSERT INTO attempts (${key}, run_id, number, ${ATTEMPT}) SELECT ${key}, run_id, number + 1, ${ATTEMPT} FROM attempts`,
    )
    const told = await report()
    expect(told).toMatchObject({ ok: false, due: 3, failed: 1, missed: 2, broken: { ...KEPT, missed: 2, doubled: 1 } })
    expect(told.breaches.map(({ task }) => task).toSorted()).toEqual([`a-task@${MINUTE}`, `left@${MINUTE}`, `lost@${MINUTE}`])
  })

  test('tells a hundred of each kind in detail, and counts all; reasons of very many kinds are added up', async () => {
    await open()
    await store.put(
      Array.from({ length: 250 }, (_, n) => aTask({ name: `n${n}` })),
      { now: DUE - 9 },
    )
    const told = await report()
    expect(told).toMatchObject({ due: 250, missed: 250, broken: { missed: 250 } })
    expect(told.breaches).toHaveLength(100)
    for (const task of await claimAll(store)) {
      const result = { kind: 'unanswered', startedAt: DUE, endedAt: DUE + 1, error: `${randomUUID()} has failed` } as const
      await finish(store, { ...task, definition: { ...task.definition, retry: 0 } }, result, DUE + 1)
    }
    const { failed, reasons } = await report()
    expect(failed).toBe(250)
    expect(Object.entries(reasons.failed)[0]).toEqual(['other', 50])
    expect(Object.values(reasons.failed).reduce((sum, count) => sum + count, 0)).toBe(250)
  })
})

/** The counts tell how many there must be, not which. */
function isOfNoRun(detail: RegExp): boolean {
  return detail.source.includes('more entries')
}

const ATTEMPT = 'due_at, started_at, duration_ms, deadline, status, error, outcome, attempts_left, node'

function copyOfAll({ ended, attemptKey }: Place): string {
  const columns = 'trigger_at, state, lane, due_at, deadline, run_id, attempts, lost, in_advance, created, updated, definition'
  const key = attemptKey === 'task_id' ? 'task_id + 1' : `'copy', trigger_at`
  return `INSERT INTO ${ended} (id, name, ${columns}) SELECT id + 1, 'copy', ${columns} FROM ${ended};
    INSERT INTO attempts (${attemptKey}, run_id, number, ${ATTEMPT}) SELECT ${key}, run_id, number, ${ATTEMPT} FROM attempts`
}
