/** The database of several nodes goes away, comes back, hands over or is held up: nobody is told anything wrong, and all goes on by itself. */
import pg from 'pg'
import { expect, test } from 'vitest'
import { startHolder } from '../support/holder.ts'
import { IN_WINDOW, WINDOW, ask, isReady, startNodes, storedAttempts, storedTasks } from '../support/nodes.ts'
import type { Answer, Nodes } from '../support/nodes.ts'
import { createDatabase } from '../support/postgres.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { startPostgresServer } from '../support/postgres-server.ts'
import { startReceiver } from '../support/receiver.ts'
import { openEvents } from '../support/sse.ts'

/** How many calls are made before the database goes away. */
const BETWEEN = 300
const CUT_OFF = `
  SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'callme'`

test.concurrent(
  'a database that is stopped, and one that crashes, under load: every task that was stored is called exactly once',
  async () => {
    await using server = await startPostgresServer()
    await using database = await createDatabase(server.url)
    await using nodes = await startNodes(database.url, 3, IN_WINDOW)
    const receiver = await startReceiver()
    const events = await openEvents(nodes.programs[0]?.port ?? 0, { query: '?events=completed,retry,failed,skipped' })
    const endLoad = nodes.load(receiver.url)
    const calls = []
    for (const goAway of [server.stop, server.kill]) {
      const holder = await startHolder()
      await nodes.putMany(heldTasks(holder.url, 3 * WINDOW))
      await holder.waitFor(3 * WINDOW)
      await receiver.waitFor(receiver.requests.length + BETWEEN)
      await goAway()
      await expectUnavailable(nodes, { reads: true })
      // Calls end while nobody can take note of it.
      holder.release()
      await server.start()
      await Promise.all(nodes.programs.map(isReady))
      calls.push(holder)
    }
    await receiver.waitFor(receiver.requests.length + BETWEEN)
    const stored = await endLoad()
    await events.have((await storedTasks(database)).length)
    await nodes.leaveAll()

    const tasks = await storedTasks(database)
    const names = new Set(tasks.map(({ key }) => key.split('@')[0]))
    expect(stored.filter((name) => !names.has(name))).toEqual([])
    expect(tasks.filter(({ state, attempts }) => state !== 'successful' || attempts !== 1)).toEqual([])
    expect(events.kinds.filter((kind) => kind !== 'completed')).toEqual([])
    expect(events.ids).toEqual([...new Set(events.ids)].sort((one, other) => one - other))
    expect(await storedAttempts(database)).toHaveLength(tasks.length)
    const requests = [receiver, ...calls].flatMap((each) => each.requests)
    expect(requests.map(({ headers }) => headers['callme-run-id'] as string).sort()).toEqual(tasks.map(({ runId }) => runId).sort())
    await Promise.all([receiver, ...calls].map((each) => each.close()))
  },
)

test.concurrent('a database that can only be read, as while another server takes over, is waited for', async () => {
  await using database = await createDatabase()
  const name = new URL(database.url).pathname.slice(1)
  await expectToOutlast(database, {
    begin: async () => {
      await database.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`)
      await database.query(CUT_OFF)
    },
    end: async () => {
      await database.query(`ALTER DATABASE ${name} SET default_transaction_read_only = off`)
      await database.query(CUT_OFF)
    },
    reads: false,
  })
})

test.concurrent('a database that holds up every statement is waited for', async () => {
  await using database = await createDatabase()
  const other = new pg.Client({ connectionString: database.url })
  other.on('error', () => undefined)
  await other.connect()
  await expectToOutlast(database, {
    begin: async () => {
      await other.query('BEGIN')
      await other.query('LOCK TABLE callme.tasks, callme.streams IN ACCESS EXCLUSIVE MODE')
    },
    end: async () => {
      await other.query('COMMIT')
    },
    reads: true,
  })
  await other.end()
})

interface Trouble {
  begin(): Promise<void>
  end(): Promise<void>
  /** whether reads suffer from it as well */
  readonly reads: boolean
}

async function expectToOutlast(database: TestDatabase, { begin, end, reads }: Trouble): Promise<void> {
  await using nodes = await startNodes(database.url, 2, IN_WINDOW)
  const [holder, receiver] = [await startHolder(), await startReceiver()]
  await nodes.putMany(heldTasks(holder.url, 2 * WINDOW))
  await holder.waitFor(2 * WINDOW)
  await begin()
  await expectUnavailable(nodes, { reads })
  holder.release()
  await end()

  await Promise.all(nodes.programs.map(isReady))
  await nodes.put('afterwards', { callback: receiver.url })
  await receiver.waitFor(1)
  await nodes.leaveAll()
  const tasks = await storedTasks(database)
  expect(tasks).toHaveLength(2 * WINDOW + 1)
  expect(tasks.filter(({ state, attempts }) => state !== 'successful' || attempts !== 1)).toEqual([])
  expect(holder.requests).toHaveLength(2 * WINDOW)
  await Promise.all([holder.close(), receiver.close()])
}

function heldTasks(callback: string, count: number): object[] {
  const host = new URL(callback).port
  return Array.from({ length: count }, (_, n) => ({
    task_name: `held-${host}-${n}`,
    ...{ trigger_at: '+0m', max_delay: 60, timeout: 300, callback },
  }))
}

/** Each node lives, and says of what needs the database that it cannot do it now, and when to ask again. */
async function expectUnavailable(nodes: Nodes, { reads }: { reads: boolean }): Promise<void> {
  await Promise.all(
    nodes.programs.map(async ({ url }) => {
      const put = { method: 'PUT', body: JSON.stringify({ trigger_at: '+1d', callback: 'http://127.0.0.1:1/' }) }
      const [health, ready, write, read] = await Promise.all([
        ask(`${url}/health`),
        ask(`${url}/ready`),
        ask(`${url}/task/never`, put),
        ask(`${url}/task/`),
      ])
      expect(health?.status).toBe(200)
      expectLater(ready)
      expectLater(write)
      if (reads) expectLater(read)
      else expect(read?.status).toBe(200)
    }),
  )
}

function expectLater(answer: Answer | undefined): void {
  expect(answer?.status).toBe(503)
  expect(answer?.headers.get('Retry-After')).toBe('5')
  expect(answer?.body).toMatchObject({ status: 503, error: expect.stringMatching(/^the store does not answer: ./) as string })
}
