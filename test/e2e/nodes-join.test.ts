/** Nodes come to a database without being told of each other: the first ones make its schema, a later one takes its share at once. */
import { expect, test } from 'vitest'
import { startHolder } from '../support/holder.ts'
import { IN_WINDOW, WINDOW, idOf, isReady, startNodes, storedAttempts, storedTasks } from '../support/nodes.ts'
import { createDatabase } from '../support/postgres.ts'
import { Program } from '../support/program.ts'

const TOGETHER = 5
const VERSIONS = 'SELECT version FROM callme.schema_versions ORDER BY version'

test(`${TOGETHER} nodes that start at the same time on an empty database make its schema once, and all are ready`, async () => {
  await using database = await createDatabase()
  await using nodes = await startNodes(database.url, TOGETHER)
  await Promise.all(nodes.programs.map(isReady))
  const versions = (await database.query(VERSIONS)).map(({ version }) => version)
  expect(versions.length).toBeGreaterThan(0)
  expect(versions).toEqual(versions.map((_, index) => index + 1))
  const troubles = nodes.programs.flatMap(({ lines }) => lines.filter(({ level }) => level !== 'info'))
  expect(troubles).toEqual([])
  await nodes.leaveAll()
})

test('a node that joins takes its share of what waits, and one that leaves takes nothing with it', async () => {
  await using database = await createDatabase()
  await using nodes = await startNodes(database.url, 2, IN_WINDOW)
  const holder = await startHolder()
  const tasks = 4 * WINDOW
  await nodes.putMany(
    Array.from({ length: tasks }, (_, n) => ({
      task_name: `held-${n}`,
      trigger_at: '+0m',
      max_delay: 60,
      timeout: 300,
      callback: holder.url,
    })),
  )
  await holder.waitFor(2 * WINDOW)
  const joined = await nodes.join()
  await holder.waitFor(3 * WINDOW)

  const [leaving] = nodes.programs as [Program]
  const [leavingId, joinedId] = [await idOf(leaving), await idOf(joined)]
  const left = nodes.leave(leaving)
  await leaving.logged('node.stopping')
  holder.release()
  await left
  await holder.waitFor(tasks)
  await nodes.leaveAll()
  const attempts = await storedAttempts(database)
  expect(attempts.filter(({ node }) => node === leavingId)).not.toEqual([])
  expect(attempts.filter(({ node }) => node === joinedId).length).toBeGreaterThanOrEqual(WINDOW)
  expect((await storedTasks(database)).filter(({ state, attempts }) => state !== 'successful' || attempts !== 1)).toEqual([])
  expect(holder.requests).toHaveLength(tasks)
  await holder.close()
})

test('a node that is killed and starts again under its name makes its calls again before anything else, and no namesake does', async () => {
  await using database = await createDatabase()
  await using nodes = await startNodes(database.url, 2, ['--node-name', 'web.1'])
  const holder = await startHolder()
  await nodes.put('held', { callback: holder.url, timeout: 300 })
  await holder.waitFor(1)
  const [call] = holder.requests
  const [{ node }] = (await database.query('SELECT claimed_by AS node FROM callme.tasks')) as [{ node: string }]
  const caller = nodes.programs.find(({ lines }) => lines.some((line) => line['node'] === node)) as Program
  await nodes.kill(caller)
  const again = await nodes.join()
  // What a start takes back comes before it is over. What a lease brings back comes later.
  expect(
    again.lines
      .map(({ event }) => event)
      .filter((event) => event !== 'clock.skewed')
      .slice(0, 2),
  ).toEqual(['claim.rescued', 'rescued'])
  await holder.waitFor(2)
  expect(holder.requests[1]?.headers).toMatchObject({ 'callme-run-id': call?.headers['callme-run-id'], 'callme-attempt': '2' })
  holder.release()
  await nodes.leaveAll()
  await holder.close()
})

test('a node that is too old for its database is refused in one sentence, one that it can still work with is not', async () => {
  await using database = await createDatabase()
  await using nodes = await startNodes(database.url, 1)
  const [newest] = (await database.query(`${VERSIONS} DESC LIMIT 1`)).map(({ version }) => Number(version))
  const next = (newest ?? 0) + 1
  await database.query('INSERT INTO callme.schema_versions (version, works_with) VALUES ($1, $2)', [next, newest])
  await nodes.join()

  await database.query('INSERT INTO callme.schema_versions (version, works_with) VALUES ($1, $1)', [next + 1])
  const exit = await new Program(database.url).exited()
  expect(exit.code).toBe(1)
  expect(exit.stderr).toMatch(/^callme: [^\n]+\n$/)
  expect(exit.stderr).toContain(`has schema version ${next + 1}, this callme knows versions up to ${newest ?? 0}`)
  await nodes.leaveAll()
})
