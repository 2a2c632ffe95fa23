/** What a claim asks of the database, beyond what the contract of stores says of its answer. */
import { expect, onTestFinished, test } from 'vitest'
import { aTask, MINUTE } from '../support/a-task.ts'
import { startPostgresProxy } from '../support/postgres-proxy.ts'
import { aClaim, DUE, rooms } from './contract/support/tasks.ts'
import { emptyDatabase, openNode } from './support/postgres-nodes.ts'

test('a claim of many tasks takes few statements, also where most lanes have room for one', async () => {
  const proxy = await startPostgresProxy((await emptyDatabase()).url)
  onTestFinished(() => proxy.close())
  const store = await openNode(proxy.url)
  const lanes = Array.from({ length: 60 }, (_, n) => `lane-${n}`)
  const waiting = [...lanes.flatMap((lane) => [lane, lane]), ...Array<string>(400).fill('large')]
  await store.put(
    waiting.map((lane, n) => aTask({ name: lane, triggerAt: MINUTE + n * 60, host: lane, dueAt: DUE })),
    { now: DUE - 9 },
  )

  const before = proxy.statements.length
  const { tasks } = await store.claimDue(aClaim({ limit: 400, hosts: rooms(Object.fromEntries(lanes.map((lane) => [lane, 1]))) }))
  expect(tasks.filter(({ host }) => host === 'large')).toHaveLength(340)
  expect(tasks).toHaveLength(400)
  expect(proxy.statements.length - before).toBeLessThan(30)
})
