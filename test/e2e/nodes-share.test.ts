/**
 * Three nodes on one PostgreSQL share what is due, also while some of them fail or are restarted: nothing is lost, and only what a failure
 * has left in doubt is called again. Much of this is waiting, for the minute and for leases, so it is done at the same time.
 */
import { expect, inject, test } from 'vitest'
import { nameOf, startHolder } from '../support/holder.ts'
import { IN_WINDOW, WINDOW, idOf, isReady, startNodes, storedAttempts, storedTasks } from '../support/nodes.ts'
import { createDatabase } from '../support/postgres.ts'
import type { TestDatabase } from '../support/postgres.ts'
import type { Program } from '../support/program.ts'
import { startReceiver } from '../support/receiver.ts'
import type { ReceivedRequest } from '../support/receiver.ts'
import { openEvents } from '../support/sse.ts'

/** The night has time for more. */
const TASKS = inject('isNightly') ? 10_000 : 3000
/** Calls that are not answered until the test says so: more than three nodes may have open. */
const HELD = 60
/** How many calls are made before two nodes fail. */
const MIDDLE = TASKS / 3
const SECONDS_TO_REGISTER = 20
const RESTARTS = inject('isNightly') ? 12 : 6
/** How many calls are made between two restarts. */
const BETWEEN = 150
const LOST = 'the node was lost while the call was under way'

test.concurrent(`${TASKS} tasks on one minute are shared by three nodes, and each is called exactly once`, async () => {
  await using database = await createDatabase()
  await using nodes = await startNodes(database.url, 3)
  const receiver = await startReceiver()
  const minute = Math.ceil(Date.now() / 60_000 + SECONDS_TO_REGISTER / 60) * 60
  // The receiver shares this process, and may take long on a busy machine.
  await nodes.putMany(
    Array.from({ length: TASKS }, (_, n) => ({
      task_name: `crowd-${n}`,
      trigger_at: minute,
      timeout: 300,
      callback: `${receiver.url}/run`,
    })),
  )
  expect(receiver.requests).toEqual([])

  await receiver.waitFor(TASKS)
  await nodes.leaveAll()
  const tasks = await storedTasks(database)
  expect(tasks).toHaveLength(TASKS)
  expect(tasks.filter(({ state, attempts }) => state !== 'successful' || attempts !== 1)).toEqual([])
  expect(runsOf(receiver.requests)).toEqual(tasks.map(({ runId }) => runId).sort())
  expect(receiver.requests.filter(({ at }) => at < minute * 1000)).toEqual([])
  const attempts = await storedAttempts(database)
  expect(attempts).toHaveLength(TASKS)
  expect(new Set(attempts.map(({ node }) => node)).size).toBe(3)
  await receiver.close()
})

test.concurrent('with one node killed and one frozen for longer than its leases all ends, and late results change nothing', async () => {
  await using database = await createDatabase()
  await using nodes = await startNodes(database.url, 3, IN_WINDOW)
  const [survivor, killed, frozen] = nodes.programs as [Program, Program, Program]
  const frozenId = await idOf(frozen)
  const receiver = await startReceiver()
  const holder = await startHolder()
  const events = await openEvents(survivor.port, { query: '?events=completed,failed,skipped' })
  const shared = { trigger_at: '+0m', max_delay: 60, timeout: 600 }
  await nodes.putMany(Array.from({ length: HELD }, (_, n) => ({ task_name: `held-${n}`, ...shared, callback: holder.url })))
  await holder.waitFor(3 * WINDOW)
  const delivery = (n: number) => (n % 2 ? 'at_most_once' : 'at_least_once')
  await nodes.putMany(
    Array.from({ length: TASKS }, (_, n) => ({ task_name: `run-${n}`, ...shared, delivery: delivery(n), callback: receiver.url })),
  )
  await receiver.waitFor(MIDDLE)
  frozen.signal('SIGSTOP')
  await nodes.kill(killed)

  const [killedId, survivorId] = [await idOf(killed), await idOf(survivor)]
  for (let passes = 1; await anyRunning(database, [killedId, frozenId]); passes += 1) await survivor.loggedTimes('rescued', passes)
  const lost = (await storedAttempts(database)).filter(({ error }) => error?.includes(LOST))
  const lostByFrozen = lost.filter(({ node }) => node === frozenId)
  expect(new Set(lost.map(({ node }) => node))).toEqual(new Set([killedId, frozenId]))
  const ofFrozen = lostByFrozen.map(({ runId, number }) => nameOf({ runId, attempt: number }))
  // A claim in the middle of which it was frozen may have been given up by it: then it knows of no call.
  const madeByFrozen = [...receiver.requests, ...holder.requests].map(callOf).filter((call) => ofFrozen.includes(call))
  const heldRuns = lostByFrozen.filter(({ runId }) => holder.held.has(nameOf({ runId, attempt: 1 }))).map(({ runId }) => runId)
  expect(heldRuns).toHaveLength(WINDOW)
  // All others end. These are under way again, at the node that is left, when the frozen one gets its answers.
  holder.release(({ runId }) => !heldRuns.includes(runId))
  await events.have(TASKS + HELD - WINDOW)
  const isAgainUnderWay = (runId: string): boolean => holder.held.has(nameOf({ runId, attempt: 2 }))
  while (!heldRuns.every(isAgainUnderWay)) await holder.waitFor(holder.requests.length + 1)
  const before = await everything(database)
  frozen.signal('SIGCONT')
  holder.release(({ runId, attempt }) => attempt === 1 || !heldRuns.includes(runId))
  const late = new Set<string>()
  while (!madeByFrozen.every((call) => late.has(call))) {
    const line = (await frozen.loggedTimes('claim.lost', late.size + 1))[late.size]
    late.add(nameOf({ runId: String(line?.['run_id']), attempt: Number(line?.['attempt']) }))
  }
  expect([...late].filter((call) => !ofFrozen.includes(call))).toEqual([])
  expect(await everything(database)).toEqual(before)
  holder.release()
  await events.have(TASKS + HELD)
  await nodes.leaveAll()
  expect(events.ids).toEqual([...new Set(events.ids)])
  expect(events.events).toHaveLength(TASKS + HELD)

  const tasks = await storedTasks(database)
  const attempts = Map.groupBy(await storedAttempts(database), ({ runId }) => runId)
  const calls = Map.groupBy([...receiver.requests, ...holder.requests], runOf)
  const lostRuns = new Set(lost.map(({ runId }) => runId))
  expect(tasks).toHaveLength(TASKS + HELD)
  for (const { key, state, runId, error } of tasks) {
    const [made, called] = [attempts.get(runId) ?? [], calls.get(runId) ?? []]
    if (!lostRuns.has(runId)) expect([state, made.length, called.length], key).toEqual(['successful', 1, 1])
    else if (state === 'failed') {
      expect(error, key).toContain('lost')
      expect(called.length, key).toBeLessThanOrEqual(1)
    } else {
      expect(state, key).toBe('successful')
      expect(made.at(-1), key).toMatchObject({ status: 200, error: null, node: survivorId })
      expect(called.length, key).toBeGreaterThanOrEqual(1)
      expect(called.length, key).toBeLessThanOrEqual(made.length)
    }
  }
  await Promise.all([receiver.close(), holder.close()])
})

test.concurrent(`through ${RESTARTS} restarts under load every task that was stored is called exactly once`, async () => {
  await using database = await createDatabase()
  await using nodes = await startNodes(database.url, 3)
  // Some calls are under way whenever a node is told to stop.
  const receiver = await startReceiver((response) => setTimeout(() => response.end(), Math.random() * 300))
  const endLoad = nodes.load(receiver.url)
  for (let restart = 0; restart < RESTARTS; restart += 1) {
    const [oldest] = nodes.programs
    if (oldest === undefined) throw new Error('there is no node')
    await receiver.waitFor(receiver.requests.length + BETWEEN)
    await nodes.leave(oldest)
    await isReady(await nodes.join())
  }
  const stored = await endLoad()

  await receiver.waitFor((await storedTasks(database)).length)
  await nodes.leaveAll()
  const tasks = await storedTasks(database)
  const names = new Set(tasks.map(({ key }) => key.split('@')[0]))
  expect(stored.length).toBeGreaterThan(RESTARTS * BETWEEN)
  expect(stored.filter((name) => !names.has(name))).toEqual([])
  expect(tasks.filter(({ state }) => state !== 'successful')).toEqual([])
  expect(runsOf(receiver.requests)).toEqual(tasks.map(({ runId }) => runId).sort())
  await receiver.close()
})

const runOf = ({ headers }: ReceivedRequest): string => headers['callme-run-id'] as string

/** The call, named as those that are held. */
const callOf = ({ headers }: ReceivedRequest): string =>
  nameOf({ runId: headers['callme-run-id'] as string, attempt: Number(headers['callme-attempt']) })

/** The runs that were called, one for each call. */
function runsOf(requests: readonly ReceivedRequest[]): string[] {
  return requests.map(runOf).sort()
}

async function anyRunning(database: TestDatabase, nodes: readonly string[]): Promise<boolean> {
  const rows = await database.query(`SELECT 1 FROM callme.tasks WHERE state = 'running' AND claimed_by = ANY($1) LIMIT 1`, [nodes])
  return rows.length > 0
}

/** Every column of all tasks and attempts, but for the leases, which are renewed. */
async function everything(database: TestDatabase): Promise<Record<string, unknown>[]> {
  return database.query(`
    SELECT to_jsonb(t) - 'lease_until' AS row FROM callme.tasks t UNION ALL SELECT to_jsonb(f) FROM callme.finished f
    UNION ALL SELECT to_jsonb(a) FROM callme.attempts a ORDER BY row`)
}
