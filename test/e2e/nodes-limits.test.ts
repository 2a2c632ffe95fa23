/** The limits of a handler hold over all nodes of one PostgreSQL, and work that is pulled through any of them goes to one worker. */
import { expect, test } from 'vitest'
import { startHolder } from '../support/holder.ts'
import { IN_WINDOW, WINDOW, startNodes, storedTasks } from '../support/nodes.ts'
import type { Nodes } from '../support/nodes.ts'
import { createDatabase } from '../support/postgres.ts'
import { startReceiver } from '../support/receiver.ts'

const CONCURRENCY = 3
const CALLED = 100
const RATE = 10
const RATED = 30
const PULLED = 300
const WORKERS = 6

test('no more calls of a handler are under way than its concurrency allows, whichever nodes make them', async () => {
  await using database = await createDatabase()
  // Each may make one call until the host has answered, and two after that.
  await using nodes = await startNodes(database.url, CONCURRENCY + 1, ['--max-inflight', '2'])
  let [underWay, most] = [0, 0]
  const first: (() => void)[] = []
  const receiver = await startReceiver((response) => {
    underWay += 1
    most = Math.max(most, underWay)
    const answer = (): void => {
      underWay -= 1
      response.end()
    }
    if (receiver.requests.length > CONCURRENCY) setTimeout(answer, Math.random() * 20)
    // The first ones wait for each other.
    else if (first.push(answer) === CONCURRENCY) for (const each of first) each()
  })
  await nodes.send('/handler/limited.*', 'PUT', { concurrency: CONCURRENCY })
  await putEach(nodes, 'limited', CALLED, { callback: receiver.url })
  await receiver.waitFor(CALLED)
  await nodes.leaveAll()
  expect(most).toBe(CONCURRENCY)
  expect(receiver.requests).toHaveLength(CALLED)
  expect((await storedTasks(database)).map(({ state }) => state)).toEqual(Array.from({ length: CALLED }, () => 'successful'))
  await receiver.close()
})

test('no more calls of a handler start than its rate allows, whichever nodes make them, until it allows more', async () => {
  await using database = await createDatabase()
  await using nodes = await startNodes(database.url, 3, IN_WINDOW)
  const receiver = await startReceiver()
  const holder = await startHolder()
  await nodes.send('/handler/rated.*', 'PUT', { rate: RATE })
  await putEach(nodes, 'rated', RATED, { callback: receiver.url })
  await receiver.waitFor(RATE)
  // All these are under way only once every node has claimed again, and has seen what else was due.
  await putEach(nodes, 'held', 3 * WINDOW, { callback: holder.url, timeout: 300 })
  await holder.waitFor(3 * WINDOW)
  expect(receiver.requests).toHaveLength(RATE)

  await nodes.send('/handler/rated.*', 'PUT', {})
  await receiver.waitFor(RATED)
  holder.release()
  await nodes.leaveAll()
  expect(new Set(receiver.requests.map(({ headers }) => headers['callme-run-id'])).size).toBe(RATED)
  expect(receiver.requests).toHaveLength(RATED)
  await Promise.all([receiver.close(), holder.close()])
})

test('each task that workers claim through three nodes goes to one of them, and any node takes its acknowledgement', async () => {
  await using database = await createDatabase()
  await using nodes = await startNodes(database.url, 3)
  await nodes.send('/handler/pulled.*', 'PUT', { pull: true })
  const handedOut: string[] = []
  let acknowledged = 0
  const worker = async (): Promise<void> => {
    while (acknowledged < PULLED) {
      const { body } = await nodes.send('/claim/pulled.*?limit=7&wait=1', 'POST')
      for (const task of body['tasks'] as Record<string, string>[]) {
        handedOut.push(task['run_id'] ?? '')
        const key = `${task['task_name'] ?? ''}@${task['trigger_at'] ?? ''}`
        const { status } = await nodes.send(`/ack/${key}`, 'POST', { attempt: 1, run_id: task['run_id'], status: 'successful' })
        expect(status).toBe(200)
        acknowledged += 1
      }
    }
  }
  await Promise.all([putEach(nodes, 'pulled', PULLED, {}), ...Array.from({ length: WORKERS }, worker)])
  await nodes.leaveAll()
  const tasks = await storedTasks(database)
  expect(tasks.filter(({ state, attempts }) => state !== 'successful' || attempts !== 1)).toEqual([])
  expect(handedOut.sort()).toEqual(tasks.map(({ runId }) => runId).sort())
  expect(handedOut).toHaveLength(PULLED)
})

/** Stores tasks one by one, each through another node. */
async function putEach(nodes: Nodes, name: string, count: number, definition: object): Promise<void> {
  for (let n = 0; n < count; n += 1) await nodes.put(`${name}.${n}`, definition)
}
