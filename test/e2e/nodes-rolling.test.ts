/** Nodes on one PostgreSQL are restarted one after the other while clients go on: nothing is lost, nothing is called twice. */
import { expect, test } from 'vitest'
import { isReady, startNodes, storedTasks } from '../support/nodes.ts'
import { createDatabase } from '../support/postgres.ts'
import { startReceiver } from '../support/receiver.ts'

const NODES = 3
const RESTARTS = 12
const CLIENTS = 4
/** How many calls are made between two restarts. */
const BETWEEN = 150

test(`through ${RESTARTS} restarts under load every task that was stored is called exactly once`, async () => {
  await using database = await createDatabase()
  await using nodes = await startNodes(database.url, NODES)
  // Some calls are under way whenever a node is told to stop.
  const receiver = await startReceiver((response) => setTimeout(() => response.end(), Math.random() * 300))
  const stored: string[] = []
  let isLoading = true
  const client = async (number: number): Promise<void> => {
    for (let n = 0; isLoading; n += 1) {
      const name = `load-${number}-${n}`
      await nodes.put(name, { callback: receiver.url })
      stored.push(name)
    }
  }
  const clients = Array.from({ length: CLIENTS }, (_, number) => client(number))
  for (let restart = 0; restart < RESTARTS; restart += 1) {
    const [oldest] = nodes.programs
    if (oldest === undefined) throw new Error('there is no node')
    await receiver.waitFor(receiver.requests.length + BETWEEN)
    await nodes.leave(oldest)
    await isReady(await nodes.join())
  }
  isLoading = false
  await Promise.all(clients)

  await receiver.waitFor((await storedTasks(database)).length)
  await nodes.leaveAll()
  const tasks = await storedTasks(database)
  const names = new Set(tasks.map(({ key }) => key.split('@')[0]))
  expect(stored.length).toBeGreaterThan(RESTARTS * BETWEEN)
  expect(stored.filter((name) => !names.has(name))).toEqual([])
  expect(tasks.filter(({ state }) => state !== 'successful')).toEqual([])
  expect(receiver.requests.map(({ headers }) => headers['callme-run-id'] as string).sort()).toEqual(tasks.map(({ runId }) => runId).sort())
  await receiver.close()
})
