/** How claims of few tasks go round among many hosts, so that none is hidden behind the backlog of the others. */
import { expect } from 'vitest'
import type { Claim, HostCapacity, Store } from '../../../src/store/store.ts'
import { aTask, MINUTE } from '../../support/a-task.ts'
import { area } from './support/area.ts'
import { aClaim, DUE } from './support/tasks.ts'

const HOUR_MS = 3_600_000
const BUSY: HostCapacity = { free: 1, state: 'answers', inflight: 2 }
const IDLE: HostCapacity = { free: 1, state: 'answers', inflight: 0 }

/** So many tasks for each of so many hosts; the first host's are due for the longest. @returns the hosts */
async function putBacklog(store: Store, hosts: number, tasks: number): Promise<string[]> {
  const lanes = Array.from({ length: hosts }, (_, n) => `busy-${n}`)
  await store.put(
    lanes.flatMap((lane, n) =>
      Array.from({ length: tasks }, (_, k) => aTask({ name: lane, triggerAt: MINUTE + k * 60, host: lane, dueAt: DUE - 9000 + n })),
    ),
    { now: DUE - 9999 },
  )
  return lanes
}

/** Claims one task. @returns its host */
async function claimNext(store: Store, fields: Partial<Claim>): Promise<string | undefined> {
  const { tasks } = await store.claimDue(aClaim({ limit: 1, ...fields }))
  expect(tasks.length).toBeLessThanOrEqual(1)
  return tasks[0]?.host
}

export default area('claimDue, a few at a time', (test) => {
  test('an idle host is served within five claims though hundreds of busy ones have waited longer', async ({ store }) => {
    const busy = await putBacklog(store, 300, 9)
    await store.put([aTask({ name: 'idle', host: 'idle', dueAt: DUE - 1 })], { now: DUE - 9 })
    const lanes = new Map([...busy.map((lane) => [lane, BUSY] as const), ['idle', IDLE]])
    const served: (string | undefined)[] = []
    for (let n = 0; n < 5; n += 1) served.push(await claimNext(store, { hosts: lanes }))
    expect(served).toContain('idle')
    expect(served).not.toContain(undefined)
  })

  for (const hosts of [7, 300, 301, 350]) {
    test(`each of ${hosts} hosts is served before any of them a third time, where calls do not end`, async ({ store }) => {
      const served = new Map((await putBacklog(store, hosts, 4)).map((lane) => [lane, 0]))
      const lanes = { get: (lane: string) => ({ ...IDLE, inflight: served.get(lane) ?? 0 }) }
      for (let n = 0; Math.min(...served.values()) === 0; n += 1) {
        const lane = (await claimNext(store, { hosts: lanes })) ?? 'none'
        served.set(lane, (served.get(lane) ?? 0) + 1)
        expect(Math.max(...served.values()), `claim ${n}`).toBeLessThanOrEqual(2)
      }
    })
  }

  test('hosts whose calls end at once take turns', async ({ store }) => {
    const hosts = await putBacklog(store, 20, 4)
    const lanes = new Map(hosts.map((lane) => [lane, IDLE] as const))
    for (let round = 0; round < 4; round += 1) {
      const served = new Set<string | undefined>()
      for (let n = 0; n < 20; n += 1) served.add(await claimNext(store, { hosts: lanes }))
      expect([...served].sort()).toEqual(hosts.toSorted())
    }
  })

  test('every task is handed out once, though the clock jumps to and fro', async ({ store }) => {
    const busy = await putBacklog(store, 130, 2)
    await store.put([aTask({ name: 'idle', host: 'idle', dueAt: DUE - 1 })], { now: DUE - 9 })
    const lanes = new Map([...busy.map((lane) => [lane, BUSY] as const), ['idle', IDLE]])
    const keys = new Set<string>()
    let idleAfter: number | undefined
    for (let n = 0; n < 261 * 3; n += 1) {
      const jump = [0, -HOUR_MS, 300_000][n % 3] ?? 0
      const { tasks } = await store.claimDue(aClaim({ now: DUE + jump, limit: 1, hosts: lanes }))
      if (jump < 0) expect(tasks).toEqual([])
      for (const { name, triggerAt } of tasks) keys.add(`${name}@${triggerAt}`)
      if (keys.has(`idle@${MINUTE}`)) idleAfter ??= n
    }
    expect(keys.size).toBe(261)
    expect(idleAfter).toBeLessThan(9)
  })

  test('hosts that come and go on the way hide none of the others', async ({ store }) => {
    await putBacklog(store, 250, 1)
    const served = new Set<string>()
    for (let n = 0; n < 400; n += 1) {
      if (n < 150) await store.put([aTask({ name: `new-${n}`, host: `new-${n}`, dueAt: DUE - 9999 + n })], { now: DUE })
      served.add((await claimNext(store, { capacityOfNewHost: 1 })) ?? 'none')
    }
    expect(served.size).toBe(400)
    expect(served).not.toContain('none')
  })
})
