/** What an open transaction keeps in the indexes costs the scheduler nothing: it reads what is there, not what was. */
import { expect, test } from 'vitest'
import type { TestDatabase } from '../support/postgres.ts'
import { aTask, MINUTE } from '../support/a-task.ts'
import { aClaim, claimAll, DUE, expireAll, finishAll, LEASE_MS } from './contract/support/tasks.ts'
import { openNodes } from './support/postgres-nodes.ts'
import { openTransaction, untilThere } from './support/postgres-sessions.ts'

const INDEXES = ['tasks_waiting', 'tasks_deadline', 'tasks_running'] as const
const ROUNDS = 12
const COUNT = 300

type Counts = Readonly<Record<(typeof INDEXES)[number], number>>

/** How many entries of each index were read so far. Sessions tell when they end, so those of the nodes are ended; the nodes get others. */
async function entriesRead(database: TestDatabase): Promise<Counts> {
  const ours = `FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'callme' AND state = 'idle'`
  const ended = (await database.query(`SELECT pid, pg_terminate_backend(pid) ${ours}`)).map(({ pid }) => Number(pid))
  await untilThere(database, `SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = ANY('{${ended.join()}}'))`)
  const rows = await database.query('SELECT indexrelname::text AS name, idx_tup_read::int AS n FROM pg_stat_user_indexes')
  return Object.fromEntries(rows.filter(({ name }) => INDEXES.includes(name as 'tasks_waiting')).map(({ name, n }) => [name, n])) as Counts
}

test('a round of many tasks reads as much of the indexes after others as before, while an open transaction keeps all of those', async () => {
  const { nodes, database } = await openNodes()
  const [one, other] = nodes
  await using snapshot = await openTransaction(database.url, 'SELECT count(*) FROM callme.tasks', 'BEGIN ISOLATION LEVEL REPEATABLE READ')
  const rounds: Counts[] = []
  let before = await entriesRead(database)
  for (let round = 0; round < ROUNDS; round += 1) {
    const now = DUE + round * 10 * LEASE_MS
    const named = (kind: string, fields = {}) =>
      Array.from({ length: COUNT }, (_, n) => aTask({ name: `${kind}${n}`, triggerAt: MINUTE + round * 600, ...fields }))
    await one.put([...named('done'), ...named('lost'), ...named('late', { deadline: now, host: 'late.test' })], { now: now - 1 })
    for (const store of [one, other]) expect(await store.rescue({ now, limit: COUNT })).toEqual([])
    expect(await expireAll(one, now, COUNT)).toHaveLength(COUNT)
    const claimed = await claimAll(other, now)
    expect(claimed).toHaveLength(2 * COUNT)
    await finishAll(
      one,
      claimed.filter(({ name }) => name.startsWith('done')),
      now + 5,
    )
    const after = now + LEASE_MS
    expect(await other.rescue({ now: after, limit: COUNT })).toHaveLength(COUNT)
    await finishAll(one, await claimAll(one, after), after)
    for (const store of [one, other]) {
      expect(await store.claimDue(aClaim({ now: after }))).toEqual({ tasks: [], nextDue: undefined })
      expect(await expireAll(store, after)).toEqual([])
      expect(await store.rescue({ now: after, limit: COUNT })).toEqual([])
    }
    const sofar = await entriesRead(database)
    rounds.push(Object.fromEntries(INDEXES.map((name) => [name, sofar[name] - before[name]])) as Counts)
    before = sofar
  }
  await snapshot.commit()
  // Each round leaves hundreds of entries behind. The first one had nothing behind it, and is not what the others are measured by.
  const [, second, ...others] = rounds
  for (const name of INDEXES) {
    expect(second?.[name]).toBeGreaterThanOrEqual(COUNT)
    // News of another node may come late, and has it look at the rows of a round or two once more. Rot grows with each round: a search that
    // walks past all that is left reads nine times as much in the late ones.
    expect(Math.min(...others.slice(-3).map((round) => round[name]))).toBeLessThan(4 * (second?.[name] ?? 0))
  }
})
