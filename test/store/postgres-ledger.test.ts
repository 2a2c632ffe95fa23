/** The ledger of a database beside a node that drops a day of it. */
import { expect, test } from 'vitest'
import { TASK_STATES } from '../../src/domain/task/task.ts'
import { readPostgresLedger } from '../../src/store/postgres/history/open-ledger.ts'
import { verify } from '../../src/verify/verify.ts'
import { aTask } from '../support/a-task.ts'
import { claimAll, finishAll } from './contract/support/tasks.ts'
import { openNodes } from './support/postgres-nodes.ts'
import { openTransaction, untilBlocked } from './support/postgres-sessions.ts'

const DAY_S = 86_400
/** The day of the real clock, for which a store makes partitions when it is opened. */
const TODAY = Math.floor(Date.now() / 1000 / DAY_S)
const [MINUTE, NOW] = [TODAY * DAY_S, TODAY * DAY_S * 1000 + 50]

test('a day that is dropped while the ledger is about to be read is missed by nobody', async () => {
  const { nodes, database } = await openNodes()
  const [store] = nodes
  await store.put(
    Array.from({ length: 20 }, (_, n) => aTask({ name: `n${n}`, triggerAt: MINUTE })),
    { now: NOW - 99 },
  )
  await finishAll(store, await claimAll(store, NOW), NOW + 30)
  const report = () => readPostgresLedger(database.url, (ledger) => verify(ledger, { now: NOW + 60_000 }))
  expect(await report()).toMatchObject({ due: 20, missed: 0 })

  const drop = await openTransaction(
    database.url,
    `DROP TABLE callme.finished_day_${TODAY}; DROP TABLE callme.attempts_day_${TODAY};
    WITH stream AS (INSERT INTO callme.streams DEFAULT VALUES RETURNING id)
    INSERT INTO callme.commits (stream, seq, told, ${TASK_STATES.join(', ')}) SELECT id, 1, 0, 0, 0, 0, -20, 0, 0 FROM stream`,
  )
  const told = report()
  await untilBlocked(database, 'LOCK TABLE')
  await drop.commit()
  expect(await told).toMatchObject({ ok: true, due: 0, missed: 0 })
})
