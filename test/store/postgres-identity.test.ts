/** A database that was dropped, made anew or set back while a node runs is not the one that it opened: the node stops. */
import { expect, test } from 'vitest'
import { aTask } from '../support/a-task.ts'
import { claimAll, DUE } from './contract/support/tasks.ts'
import { emptyDatabase, openNode } from './support/postgres-nodes.ts'

const lostBy = (reason: string) => ({
  code: 'store_unavailable',
  message: expect.stringContaining(`the database is not the one any more that callme opened: ${reason}`) as string,
})

test.each([
  ['without tables', 'it has no tables of callme', false],
  ['made anew by another node', 'it was made anew', true],
])('a database %s gets no write of a node that opened it before', async (_, reason, isMadeAnew) => {
  const database = await emptyDatabase()
  const store = await openNode(database.url)
  await store.put([aTask()], { now: DUE - 9 })
  await database.query('DROP SCHEMA callme CASCADE')
  const other = isMadeAnew ? await openNode(database.url) : undefined
  await expect(store.put([aTask()], { now: DUE })).rejects.toMatchObject(lostBy(reason))
  const later = other ?? (await openNode(database.url))
  await expect(claimAll(store)).rejects.toMatchObject(lostBy(reason))
  await expect(store.counts()).rejects.toMatchObject(lostBy(reason))
  expect(await later.put([aTask()], { now: DUE })).toMatchObject([{ status: 'created' }])
})

test('a database that was set back to an earlier state is given up', async () => {
  const database = await emptyDatabase()
  const store = await openNode(database.url)
  await store.put([aTask()], { now: DUE - 9 })
  await store.tidy()
  await database.query('DELETE FROM callme.commits')
  await database.query('DELETE FROM callme.numbered WHERE position > 0')
  const lost = lostBy('it was set back to an earlier state, and has lost commits of this node')
  await expect(store.tidy()).rejects.toMatchObject(lost)
  await expect(claimAll(store)).rejects.toMatchObject(lost)
})
