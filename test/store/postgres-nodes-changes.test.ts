/** The changes of several nodes: one order for all of them, in which no reader misses any, and counts that add up. */
import { expect, test } from 'vitest'
import type { TaskChange } from '../../src/domain/task/task-change.ts'
import type { Store } from '../../src/store/store.ts'
import { aTask } from '../support/a-task.ts'
import { changesSince } from './contract/changes.ts'
import { claimAll, DUE, expectCountsToAddUp, finishAll, keysOf } from './contract/support/tasks.ts'
import { openNodes } from './support/postgres-nodes.ts'
import { openTransaction, untilBlocked } from './support/postgres-sessions.ts'

const ROUNDS = 40
const WRITERS = 3

test('every reader is told the same changes under the same ids, each once, while three nodes write', async () => {
  const { nodes } = await openNodes()
  let writing = WRITERS
  // What this one stores the next one claims, and the one after it records.
  const write = async (store: Store, n: number) => {
    const [claimer, recorder] = [nodes[((n + 1) % 3) as 0], nodes[((n + 2) % 3) as 0]]
    for (let round = 0; round < ROUNDS; round += 1) {
      await store.put(
        Array.from({ length: 1 + (round % 4) }, (_, part) => aTask({ name: `w${n}-${round}-${part}` })),
        { now: DUE - 9 },
      )
      await finishAll(recorder, await claimAll(claimer), DUE + 5)
    }
    await finishAll(store, await claimAll(store), DUE + 5)
    writing -= 1
  }
  const read = async (store: Store, n: number) => {
    const told: TaskChange[] = []
    for (let isLast = false; ;) {
      const { changes } = await store.changes({ after: told.at(-1)?.id ?? 0, limit: 1 + n * 50 })
      told.push(...changes)
      // One more time, once nobody writes.
      if (isLast && changes.length === 0) return told
      isLast = writing === 0
    }
  }
  const [readers] = await Promise.all([Promise.all([...nodes, ...nodes].map(read)), Promise.all(nodes.map(write))])
  const all = await changesSince(nodes[0])
  const stored = WRITERS * Array.from({ length: ROUNDS }, (_, round) => 1 + (round % 4)).reduce((a, b) => a + b)
  expect(all.map(({ id }) => id)).toEqual(Array.from({ length: 3 * stored }, (_, n) => n + 1))
  for (const told of readers) expect(told).toEqual(all)
  const kinds = Object.values(Object.groupBy(all, ({ task }) => task.name)).map((changes) => changes?.map(({ kind }) => kind))
  expect(kinds).toEqual(Array.from({ length: stored }, () => ['created', 'processing', 'completed']))
  for (const store of nodes) await expectCountsToAddUp(store)
})

test('a change that became visible late is told after those that were read before', async () => {
  const { nodes, database } = await openNodes()
  const [slow, quick] = nodes
  await slow.put([aTask({ name: 'held' })], { now: DUE - 9 })
  // Everything of the transaction is written, its place taken, when it comes to the last row that it needs.
  await database.query(`
    CREATE FUNCTION callme.wait() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM 1 FROM callme.turns WHERE name = 'test' FOR UPDATE; RETURN NULL; END $$`)
  await database.query(`INSERT INTO callme.turns VALUES ('test')`)
  await database.query(`
    CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON callme.commits DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.signals LIKE '%slow.test%') EXECUTE FUNCTION callme.wait()`)
  await using holder = await openTransaction(database.url, `SELECT 1 FROM callme.turns WHERE name = 'test' FOR UPDATE`)
  const putting = slow.put([aTask({ name: 'late', host: 'slow.test' })], { now: DUE })
  await untilBlocked(database, 'COMMIT')
  await quick.put([aTask({ name: 'early' })], { now: DUE })
  const seen = await changesSince(quick)
  expect(seen.map(({ task }) => task.name)).toEqual(['held', 'early'])
  await holder.commit()
  await putting
  expect((await changesSince(quick, seen.at(-1)?.id)).map(({ task }) => task.name)).toEqual(['late'])
  expect((await changesSince(slow)).map(({ task }) => task.name)).toEqual(['held', 'early', 'late'])
  expect(keysOf(await claimAll(quick))).toHaveLength(3)
})
