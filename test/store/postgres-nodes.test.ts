/** Several nodes on one database: what is due is handed out once, and what one node stores the others learn of. */
import { expect, test } from 'vitest'
import type { Task } from '../../src/domain/task/task.ts'
import type { Store } from '../../src/store/store.ts'
import { aTask, aTaskWithoutCallback, MINUTE } from '../support/a-task.ts'
import {
  aClaim,
  answered,
  claimAll,
  claimOne,
  DUE,
  expectCountsToAddUp,
  finish,
  finishAll,
  keysOf,
  LEASE_MS,
  listAll,
  mustGet,
  putHandler,
  rescheduleAll,
} from './contract/support/tasks.ts'
import { aRepeating, minutesOf } from './contract/series.ts'
import { openNodes } from './support/postgres-nodes.ts'

const SOON_MS = 1000
const LANES = Array.from({ length: 10 }, (_, n) => `host-${n}.test`)

/** Until what is due at `now` is handed out; what another node is about to claim is asked for again soon. */
async function takeAll(now: number, take: () => Promise<{ tasks: Task[]; nextDue: number | undefined }>): Promise<Task[]> {
  const taken: Task[] = []
  for (;;) {
    const { tasks, nextDue = Infinity } = await take()
    taken.push(...tasks)
    if (tasks.length === 0 && nextDue > now + SOON_MS) return taken
  }
}

async function readOften(store: Store): Promise<void> {
  for (let n = 0; n < 6; n += 1) await store.get(aTask())
}

test('racing claims of three nodes hand out each of thousands of tasks once, an equal share of each lane', async () => {
  const { nodes } = await openNodes()
  const tasks = Array.from({ length: 3000 }, (_, n) => aTask({ name: `n${n}`, host: LANES[n % LANES.length] ?? '' }))
  await nodes[0].put(tasks, { now: DUE - 1 })
  const claim = (store: Store, n: number) => store.claimDue(aClaim({ node: `node-${n}`, limit: 50 }))
  const first = await Promise.all(nodes.map(claim))
  for (const { tasks: share } of first) {
    const byLane = Object.values(Object.groupBy(share, ({ host }) => host)).map((one) => one?.length)
    expect(byLane).toEqual(LANES.map(() => 5))
  }
  const shares = await Promise.all(nodes.map((store, n) => takeAll(DUE, () => claim(store, n))))
  const all = [...first.map(({ tasks: share }) => share), ...shares]
  for (const [n, share] of all.entries()) for (const task of share) expect(task.claimedBy).toBe(`node-${n % 3}`)
  expect(keysOf(all.flat()).sort()).toEqual(keysOf(tasks).sort())
  for (const store of nodes) expect(await store.counts()).toMatchObject({ running: 3000, pending: 0 })
})

test('what a worker pulls through one node no worker gets through another', async () => {
  const { nodes } = await openNodes()
  await putHandler(nodes[0], 'a-task', { pull: true, max_delay: 525_600 })
  const tasks = Array.from({ length: 400 }, (_, n) => aTaskWithoutCallback({ triggerAt: MINUTE - n * 60 }))
  await nodes[1].put(tasks, { now: DUE - 1 })
  const worker = (n: number) => ({ now: DUE, node: `node-${n % 3}`, leaseUntil: DUE + LEASE_MS, limit: 1 + (n % 5) })
  const work = async (n: number) =>
    takeAll(DUE, async () => {
      const pulled = await nodes[(n % 3) as 0].pull('a-task', worker(n))
      if (pulled === 'not_pulled') throw new Error('a-task is not pulled')
      return pulled
    })
  const shares = await Promise.all(Array.from({ length: 12 }, (_, n) => work(n)))
  const left = await takeAll(DUE, () => nodes[0].pull('a-task', worker(0)) as ReturnType<Store['claimDue']>)
  expect(keysOf([...shares.flat(), ...left]).sort()).toEqual(keysOf(tasks).sort())
  for (const store of nodes) await expectCountsToAddUp(store)
})

test('the record of a node that was too late changes nothing of what others have made of its task', async () => {
  const { nodes } = await openNodes()
  const [slow, rescuer, next] = nodes
  const lost = await claimOne(slow)
  const after = DUE + LEASE_MS
  expect(await rescuer.rescue({ now: after, limit: 10 })).toMatchObject([{ state: 'retrying', lost: 1 }])
  expect(await finish(slow, lost, answered(200, after), after)).toBe(false)
  const [again] = (await claimAll(next, after)) as [Task]
  expect(again).toMatchObject({ attempts: 2, runId: lost.runId })
  const before = [await mustGet(slow, again), await slow.history(again)]
  expect(await finish(slow, lost, answered(200, after), after)).toBe(false)
  await slow.renew([lost], { leaseUntil: after + 9 * LEASE_MS })
  expect([await mustGet(slow, again), await slow.history(again)]).toEqual(before)
  expect(await finish(next, again, answered(200, after + 5), after + 5)).toBe(true)
  expect(await finish(slow, lost, answered(404, after + 9), after + 9)).toBe(false)
  expect(await mustGet(rescuer, again)).toMatchObject({ state: 'successful', attempts: 2 })
  for (const store of nodes) await expectCountsToAddUp(store)
})

test('a node is told from when on something is due that another one has stored, and that something has changed', async () => {
  const { nodes } = await openNodes()
  const [writer, listener] = nodes
  const due = Promise.withResolvers<number>()
  const changed = Promise.withResolvers<unknown>()
  listener.onDue(due.resolve)
  listener.onChange(() => {
    changed.resolve(undefined)
  })
  const times = [70_000, 10_000, 30_000].map((ms) => DUE + ms)
  await writer.put(
    times.map((dueAt, n) => aTask({ name: `at-${dueAt}`, dueAt, host: LANES[n] ?? '' })),
    { now: DUE },
  )
  expect(await due.promise).toBe(DUE + 10_000)
  await changed.promise
  expect(await listener.claimDue(aClaim())).toEqual({ tasks: [], nextDue: DUE + 10_000 })
  expect(keysOf(await claimAll(listener, DUE + 10_000))).toEqual([`at-${DUE + 10_000}@${MINUTE}`])
})

test('a node is told that a task was moved, retried or run by another one', async () => {
  const { nodes } = await openNodes()
  const [writer, listener] = nodes
  const heardBy = async (write: () => Promise<unknown>) => {
    // What was written before must be heard first.
    await listener.claimDue(aClaim({ limit: 0 }))
    const { promise, resolve } = Promise.withResolvers<number>()
    const end = listener.onDue(resolve)
    await write()
    const heard = await promise
    end()
    return heard
  }
  const key = { name: 'a-task', triggerAt: MINUTE }
  const claimed = await claimOne(writer, aTask({ definition: { retry: 3 } }))
  expect(await heardBy(() => finish(writer, claimed, answered(500, DUE + 5), DUE + 5))).toBe((await mustGet(writer, key)).dueAt)
  expect(await heardBy(() => writer.run(key, { now: DUE + 7 }))).toBe(DUE + 7)
  const request = { selection: {}, all: true, triggerAt: MINUTE + 600, now: DUE + 9, dryRun: false, limit: 10 }
  expect(await heardBy(() => rescheduleAll(writer, request))).toBe(DUE + 600_000)
})

test('a lane that a node has found empty is seen again once another one has stored into it, also something earlier', async () => {
  const { nodes } = await openNodes()
  const [writer, claimer] = nodes
  for (const round of [1, 2, 3]) {
    await writer.put([aTask({ name: `first-${round}` })], { now: DUE - 1 })
    expect(await claimAll(claimer)).toHaveLength(1)
    expect(await claimer.claimDue(aClaim())).toEqual({ tasks: [], nextDue: undefined })
    for (const dueAt of [DUE + 9000, DUE + 5000, DUE + 1000]) {
      await writer.put([aTask({ name: `later-${round}-${dueAt}`, dueAt })], { now: DUE })
      expect(await claimer.claimDue(aClaim())).toEqual({ tasks: [], nextDue: dueAt })
    }
    expect(keysOf(await claimAll(claimer, DUE + 1000))).toEqual([`later-${round}-${DUE + 1000}@${MINUTE}`])
    expect(await claimAll(claimer, DUE + 9000)).toHaveLength(2)
  }
})

test('what is stored in the very moment of a claim of another node, the next claim has', async () => {
  const { nodes } = await openNodes()
  const [writer, claimer, other] = nodes
  for (let round = 0; round < 100; round += 1) {
    const at = (ms: number) => aTask({ name: `n${round}-${ms}`, dueAt: DUE - ms })
    await Promise.all([writer.put([at(9)], { now: DUE - 9 }), round % 3 === 0 && other.put([at(10)], { now: DUE - 9 })])
    const expected = [9, ...(round % 3 === 0 ? [10] : []), 8, ...(round % 2 === 0 ? [12] : [])].map((ms) => at(ms))
    const [during] = await Promise.all([
      claimAll(claimer),
      writer.put([at(8)], { now: DUE - 9 }),
      round % 2 === 0 && other.put([at(12)], { now: DUE - 9 }),
      // Each read has the node hear of what was stored, also while it claims.
      readOften(claimer),
    ])
    const after = await claimAll(claimer)
    expect(keysOf([...during, ...after]).sort()).toEqual(keysOf(expected).sort())
  }
})

test('a series goes on once, whichever of racing nodes claims its entries', async () => {
  const { nodes, database } = await openNodes()
  const names = Array.from({ length: 20 }, (_, n) => `series-${n}`)
  const entries = (triggerAt: number, prefix = '') =>
    names.map((name) => ({ ...aRepeating({ max_delay: 600 }, triggerAt), name: prefix + name }))
  await nodes[0].put([...entries(MINUTE), ...entries(MINUTE + 300, 'also-')], { now: DUE - 1 })
  // Each has two entries that are due at once, as an older program stored them, and that racing nodes would both have followed.
  await database.query(`UPDATE callme.tasks SET name = substr(name, 6) WHERE name LIKE 'also-%'`)
  for (let round = 1; round < 8; round += 1) {
    const now = DUE + round * 300_000
    const shares = await Promise.all(
      nodes.map((store, n) => takeAll(now, () => store.claimDue(aClaim({ now, node: `node-${n}`, limit: 3 })))),
    )
    const due = round === 1 ? [0, 1] : [round]
    const expected = names.flatMap((name) => due.map((n) => `${name}@${MINUTE + n * 300}`))
    expect(keysOf(shares.flat()).sort()).toEqual(expected.sort())
    await Promise.all(shares.map((share, n) => finishAll(nodes[((n + 1) % 3) as 0], share, now + 5)))
  }
  for (const name of names) expect(await minutesOf(nodes[1], name)).toEqual(Array.from({ length: 9 }, (_, n) => n * 5))
  expect(await listAll(nodes[2], { states: ['pending'] })).toHaveLength(names.length)
  for (const store of nodes) await expectCountsToAddUp(store)
})

test('a node takes back the tasks of processes that had its name and are gone, and leaves those of one that lives', async () => {
  const { nodes } = await openNodes()
  const [living, gone, again] = nodes
  await living.put(
    ['living', 'gone', 'namesake'].map((name) => aTask({ name })),
    { now: DUE },
  )
  await Promise.all([living.announce('web#1'), gone.announce('web#2'), again.announce('web#4')])
  for (const node of ['web#1', 'web#2', 'web-2#3']) {
    expect((await living.claimDue(aClaim({ node, limit: 1 }))).tasks).toHaveLength(1)
  }
  const mine = { now: DUE + 7, onlyNode: 'web#4', nodeName: 'web', limit: 9 }
  expect(await again.rescue(mine)).toEqual([])
  await gone.close()
  expect(await again.rescue(mine)).toMatchObject([{ lost: 1, dueAt: DUE + 7 }])
  expect((await listAll(again, { states: ['running'] })).map(({ claimedBy }) => claimedBy).sort()).toEqual(['web#1', 'web-2#3'])
})
