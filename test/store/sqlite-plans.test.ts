import { join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import { expect, test, vi } from 'vitest'
import { TASK_STATES } from '../../src/domain/task/task.ts'
import type { Selection } from '../../src/store/store.ts'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import type { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { MINUTE, aTask, aTaskWithoutCallback } from '../support/a-task.ts'
import { DUE, NODE, aClaim, putHandler, seed } from './contract/support/tasks.ts'
import { tempFolder } from './support/temp-folder.ts'

test('no statement walks through a whole table, and pages need no sorting of what they pass', async () => {
  const plans = await plansOfAllStatements()
  const table = /SCAN (tasks|attempts|lanes|handlers|starts|changes)(?! USING (COVERING )?INDEX tasks_running)/
  // The first row of all; and all handlers, which are read once.
  const allowed = /^SELECT \w+ FROM \w+( ORDER BY id)? LIMIT 1$|^SELECT \* FROM handlers$/
  expect(plans.filter(({ sql, plan }) => table.test(plan) && !allowed.test(sql))).toEqual([])
  const pages = plans.filter(({ sql }) =>
    /^SELECT tasks\.\*, octet_length\(definition\) AS bytes FROM tasks .*ORDER BY trigger_at, name/.test(sql),
  )
  expect(pages.length).toBeGreaterThan(3)
  for (const { plan } of pages) expect(plan).not.toContain('TEMP B-TREE')
})

test.each([
  [
    'the claim',
    /^UPDATE tasks SET state = 'running'.* INDEXED BY /,
    'tasks USING COVERING INDEX tasks_waiting (lane=? AND due_at<?)|tasks USING INDEX tasks_waiting (lane=? AND due_at<?)',
  ],
  [
    'the claim for a worker',
    /^SELECT id, name, due_at, octet_length\(definition\) AS bytes FROM tasks/,
    'tasks_waiting (lane=? AND due_at<?)',
  ],
  ['the number of a name that runs', /^SELECT count\(\*\) FROM \( ?SELECT 1 FROM tasks/, 'tasks_running_of_handler (name>? AND name<?)'],
  [
    'the rows that get a handler',
    /^SELECT \* FROM tasks WHERE \(name, trigger_at\) >/,
    '(name>? AND name<?)|((name,trigger_at)>(?,?) AND name<?)',
  ],
  ['what needs a handler', /^SELECT 1 FROM tasks/, 'tasks_waiting (lane=?)|tasks_running_of_handler (name>? AND name<?)'],
  ['the starts of a name', /FROM starts/, 'starts USING PRIMARY KEY (name=? AND second'],
  ['the lanes of a name', /lane >= @first AND lane < @end/, '(lane>? AND lane<?)|lanes_next_due (next_due=? AND lane>? AND lane<?)'],
  ['a page of handlers', /^SELECT \* FROM handlers WHERE name >/, 'handlers USING PRIMARY KEY (name>?)'],
  ['a page of changes', /^SELECT \* FROM changes WHERE/, 'changes USING INTEGER PRIMARY KEY (rowid>?)'],
  ['the record', /^UPDATE tasks SET state = @state, due_at/, '(name=? AND trigger_at=?)'],
  ['the end of what is out of time', /^SELECT \* FROM tasks INDEXED BY tasks_deadline/, 'tasks_deadline (deadline<?)'],
  ['the rescue', /^SELECT \* FROM tasks INDEXED BY tasks_running .*lease_until/, 'tasks_running (lease_until<?)'],
  ['the lanes with something due', /^SELECT lane, next_due FROM lanes/, 'lanes_next_due ((next_due,lane)>(?,?) AND next_due<?)'],
  ['the first that is due in a lane', /^SELECT min\(due_at\) FROM tasks .*lane = \?$/, 'tasks_waiting (lane=?)'],
  [
    'the prune',
    /^SELECT id, name, state, octet_length\(definition\) AS bytes FROM tasks INDEXED BY tasks_finished/,
    'tasks_finished (updated<?)',
  ],
  [
    'a page',
    /^SELECT tasks\.\*, octet_length\(definition\) AS bytes FROM tasks INDEXED BY tasks_page/,
    'tasks_page ((trigger_at,name)>(?,?) AND trigger_at<?)',
  ],
  [
    'a page of a name',
    /^SELECT tasks\.\*, octet_length\(definition\) AS bytes FROM tasks WHERE name = @name/,
    '(name=? AND trigger_at>? AND trigger_at<?)',
  ],
  [
    'a page of rare states',
    /^SELECT tasks\.\*, octet_length\(definition\) AS bytes FROM \(.*'failed'/,
    'tasks_troubled (state=? AND (trigger_at,name)>(?,?) AND trigger_at<?)',
  ],
  ['the history of an entry', /^SELECT run_id, number/, '(task_id=?)|(task_id=? AND run_id=?)'],
])('%s finds its rows through its index', async (_, sql, index) => {
  const found = (await plansOfAllStatements()).filter((statement) => sql.test(statement.sql))
  expect(found.length).toBeGreaterThan(0)
  for (const { plan } of found)
    expect(
      index.split('|').some((one) => plan.includes(one)),
      plan,
    ).toBe(true)
})

/** What SQLite intends to do for every statement that the store has prepared, those of the pages included. */
async function plansOfAllStatements(): Promise<{ sql: string; plan: string }[]> {
  const path = join(tempFolder(), 'callme.db')
  const prepare = vi.spyOn(SqliteDatabase.prototype, 'prepare')
  const store = openSqliteStore(path)
  await seed(store, [{ state: 'failed' }, { state: 'pending', triggerAt: MINUTE + 60 }])
  const selections: Selection[] = [
    {},
    { name: 'a-task' },
    ...TASK_STATES.map((state) => ({ states: [state] })),
    { name: 'a-task', states: ['pending', 'failed'] },
  ]
  for (const selection of selections) await store.list({ from: MINUTE, to: MINUTE + 600, ...selection }, { limit: 10 })
  await useEveryVerb(store)
  const statements = new Set(prepare.mock.calls.map(([sql]) => sql.replaceAll(/\s+/g, ' ').trim()))
  prepare.mockRestore()
  const reader = new SqliteDatabase(path, { readonly: true })
  const plans = [...statements]
    .filter((sql) => /^(SELECT|UPDATE|INSERT|DELETE)/.test(sql))
    .map((sql) => ({ sql, plan: planOf(reader, sql) }))
  reader.close()
  await store.close()
  return plans
}

/** A statement is prepared when it is first used. */
async function useEveryVerb(store: SqliteStore): Promise<void> {
  const worker = { now: DUE, node: NODE, leaseUntil: DUE + 60_000, limit: 9 }
  const reschedule = { selection: {}, all: true, triggerAt: MINUTE + 1200, now: DUE, dryRun: false, limit: 9 }
  await putHandler(store, 'a-*', { callback: 'http://receiver.test/handler', concurrency: 2, rate: 9 })
  await putHandler(store, 'pulled', { pull: true })
  const tasks = [aTask(), aTaskWithoutCallback({ name: 'a-z' }), aTaskWithoutCallback({ name: 'pulled' })]
  await store.put([...tasks, ...tasks], { now: DUE - 9 })
  await store.removeHandler('a-*', { force: false })
  const pulled = { name: 'pulled', triggerAt: MINUTE }
  await store.pull('pulled', worker)
  const ack = { key: pulled, attempt: 1, retryable: false, detail: null, now: DUE, random: 0 }
  for (const status of ['running', 'failed'] as const) await store.acknowledge({ ...ack, status })
  const { tasks: claimed } = await store.claimDue(aClaim())
  await store.renew(claimed, { leaseUntil: DUE + 60_000 })
  await store.history(pulled)
  await store.runs({}, { limit: 9 })
  await store.reschedule(reschedule)
  await store.run(pulled, { now: DUE })
  for (const onlyNode of [NODE, undefined]) await store.rescue({ now: DUE + 120_000, limit: 9, ...(onlyNode && { onlyNode }) })
  await store.expire({ now: DUE + 3_600_000, limit: 9 })
  await store.listHandlers({ limit: 9 })
  await store.changes({ after: 0, limit: 9 })
  await store.counts()
  await store.prune({ before: DUE, limit: 9 })
  await store.remove({}, { now: DUE, limit: 9 })
  await store.removeHandler('pulled', { force: true })
}

function planOf(db: SqliteDatabase.Database, sql: string): string {
  const named = Object.fromEntries([...sql.matchAll(/@(\w+)/g)].map(([, name]) => [name, null]))
  const positional = [...sql.matchAll(/\?/g)].map(() => null)
  const rows = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...positional, ...(positional.length === 0 ? [named] : [])) as {
    detail: string
  }[]
  return rows.map(({ detail }) => detail).join('\n')
}
