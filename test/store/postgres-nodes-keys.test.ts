/** Random verbs on few keys from several nodes at once: a key is in one table at the most, and nothing is lost, counted or told wrong. */
import fc from '../support/fast-check.ts'
import { expect, test } from 'vitest'
import { reportOf } from '../../src/domain/attempt/attempt-report.ts'
import { isFinal, newTask } from '../../src/domain/task/task.ts'
import type { Task } from '../../src/domain/task/task.ts'
import type { PutResult, Revise } from '../../src/domain/task/client-write.ts'
import type { Store } from '../../src/store/store.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { aTask, MINUTE } from '../support/a-task.ts'
import { changesSince } from './contract/changes.ts'
import { answered, claimAll, DUE, expectCountsToAddUp, finishAll, keyOf, LEASE_MS, listAll, NODE } from './contract/support/tasks.ts'
import { openNodes } from './support/postgres-nodes.ts'

const KEYS = ['a', 'b', 'c'].map((name) => ({ name, triggerAt: MINUTE }))
/** What may take an entry away. */
const REMOVALS = ['remove', 'prune'] as const
const VERBS = [
  'put',
  'put',
  'put if absent',
  'claim',
  'claim',
  'succeed',
  'succeed',
  'fail',
  'run',
  'run',
  'edit',
  'rescue',
  ...REMOVALS,
] as const

interface Run {
  now: number
  readonly claimed: Task[]
}

type Verb = (typeof VERBS)[number]
interface Step {
  readonly verb: Verb
  readonly key: number
}

const steps: fc.Arbitrary<Step> = fc.record({ verb: fc.constantFrom(...VERBS), key: fc.nat(KEYS.length - 1) })
/** What the three nodes do at the same time. */
const rounds = fc.array(fc.array(steps, { minLength: 3, maxLength: 6 }), { minLength: 15, maxLength: 25, size: 'max' })

async function take(store: Store, run: Run, { verb, key: n }: Step): Promise<PutResult[]> {
  const { now, claimed } = run
  const key = KEYS[n] ?? { name: '', triggerAt: 0 }
  const task = aTask({ ...key, dueAt: DUE - 9, definition: { retry: 9, max_delay: 525_600, error_callback: 'http://alarm.test/' } })
  switch (verb) {
    case 'put':
      return store.put([task, { ...task, name: 'd' }], { now })
    case 'put if absent':
      return store.put([task], { now, ifAbsent: true })
    case 'claim':
      claimed.push(...(await claimAll(store, now)))
      break
    case 'succeed':
    case 'fail':
      await store.record(claimed.slice(-3).map((one) => reportOf(one, answered(verb === 'fail' ? 404 : 200, now), NODE, now, 0)))
      break
    case 'run':
      await store.run(key, { now })
      break
    case 'edit':
      await store.edit(key, (before) => ({ ok: true, value: newTask(before, { ...task.definition, retry: n }, now, true) }), {
        now,
        run: true,
      })
      break
    case 'rescue':
      await store.rescue({ now: now + LEASE_MS, limit: 2 })
      break
    case 'remove':
      await store.remove({ name: key.name }, { now, limit: 5 })
      break
    case 'prune':
      await store.prune({ before: now, limit: 2 })
      break
  }
  return []
}

async function storedKeys({ query }: TestDatabase): Promise<string[]> {
  const rows = await query(
    `SELECT name, trigger_at::int FROM callme.tasks UNION ALL SELECT name, trigger_at::int FROM callme.finished ORDER BY 1, 2`,
  )
  return rows.map(({ name, trigger_at: triggerAt }) => `${String(name)}@${String(triggerAt)}`)
}

test('a key that several nodes write at once is stored once, and gone only where somebody has removed it', async () => {
  const { nodes, database } = await openNodes()
  await fc.assert(
    fc.asyncProperty(rounds, async (sequence) => {
      const run: Run = { now: DUE, claimed: [] }
      const { last } = await nodes[0].changes({ after: 0, limit: 1 })
      for (const round of sequence) {
        run.now += 700
        const before = await storedKeys(database)
        const results = await Promise.all(round.map((step, n) => take(nodes[(n % 3) as 0], run, step)))
        const after = await storedKeys(database)
        expect(after).toEqual([...new Set(after)])
        if (round.some(({ verb }) => (REMOVALS as readonly string[]).includes(verb))) continue
        const put = results.flat().flatMap((result) => ('task' in result ? [keyOf(result.task)] : []))
        expect(after).toEqual(expect.arrayContaining([...before, ...put]))
      }
      for (const store of nodes) await expectCountsToAddUp(store)
      await expectTold(nodes[1], last)
      await clear(nodes[2], run)
    }),
    { numRuns: 12, endOnFailure: true },
  )
})

/** What all nodes have told, put together, is what is stored, but for what a prune has taken, which is told to nobody. */
async function expectTold(store: Store, after: number): Promise<void> {
  const rebuilt = new Map<string, Task>()
  for (const { kind, task } of await changesSince(store, after)) {
    if (kind === 'deleted') rebuilt.delete(keyOf(task))
    else rebuilt.set(keyOf(task), task)
  }
  const stored = new Map((await listAll(store)).map((task) => [keyOf(task), task]))
  for (const [key, { errorCallback: _, ...told }] of rebuilt) {
    const task = stored.get(key)
    if (task === undefined) expect(isFinal(told.state)).toBe(true)
    else expect(task).toMatchObject(told)
  }
  for (const key of stored.keys()) expect(rebuilt.has(key)).toBe(true)
}

async function clear(store: Store, { now }: Run): Promise<void> {
  await finishAll(store, await listAll(store, { states: ['running'] }), now)
  await store.remove({}, { now, limit: 100 })
}

test('nodes that begin series of one name at once leave one, and of unique tasks one is stored', async () => {
  const { nodes } = await openNodes()
  const repeating = (n: number) => aTask({ name: 'series', triggerAt: MINUTE + n * 60, definition: { repeat: '@hourly' } })
  const unique = (n: number) => aTask({ name: 'unique', triggerAt: MINUTE + n * 60, unique: 'waiting' })
  await nodes[0].put([repeating(0)], { now: DUE - 9 })
  const all = Array.from({ length: 24 }, (_, n) => (nodes[n % 3] ?? nodes[0]).put([repeating(n), unique(n)], { now: DUE + n }))
  const results = (await Promise.all([...all, claimAll(nodes[1]).then(() => [])])).flat()
  const waiting = await nodes[2].list({ states: ['pending'] }, { limit: 99 })
  const heads = waiting.tasks.filter(({ name, repeatedTo }) => name === 'series' && repeatedTo === null)
  expect(heads).toHaveLength(1)
  expect(results.filter(({ status }) => status === 'kept')).toHaveLength(23)
  await expectCountsToAddUp(nodes[0])
})

test('nodes that edit one task at once lose no edit', async () => {
  const { nodes } = await openNodes()
  const key = { name: 'edited', triggerAt: MINUTE }
  await nodes[0].put([aTask({ ...key, definition: { headers: {} } })], { now: DUE - 9 })
  const edits = Array.from({ length: 18 }, (_, n) => {
    const revise: Revise = (task, own) => ({
      ok: true,
      value: newTask(task, { ...own, headers: { ...own.headers, [`h${n}`]: '1' } }, DUE - 8),
    })
    return (nodes[n % 3] ?? nodes[0]).edit(key, revise, { now: DUE - 8, run: false })
  })
  expect((await Promise.all(edits)).every(({ status }) => status === 'edited')).toBe(true)
  expect(Object.keys((await nodes[1].get(key))?.definition.headers ?? {})).toHaveLength(18)
})
