/** Who holds a claim, how long, and what becomes of the claims of a node that is gone. */
import { describe, expect, it } from 'vitest'
import type { Task } from '../../src/domain/task/task.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness, refuseWrites } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000
const HOUR = 60 * MINUTES
const DAY = 24 * HOUR
const LEASE = 60 * SECOND

/** Has a node that is no more claim all that is due at `MINUTE`, up to `limit`. */
async function claimedByADeadNode(harness: SchedulerHarness, limit = 1): Promise<Task[]> {
  const capacity = { hosts: new Map(), capacityOfNewHost: limit, unprovenLimit: limit, silentLimit: limit }
  const { tasks } = await harness.store.claimDue({ now: MINUTE_MS, node: 'dead-node', leaseUntil: MINUTE_MS + LEASE, limit, ...capacity })
  return tasks
}

describe('what a dead node had claimed', () => {
  it('is left alone while its lease lasts and called again within 15 seconds after it', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    await claimedByADeadNode(harness)
    harness.ticker.start()
    harness.upkeep.start()
    await harness.clock.advance(LEASE - 1)
    expect(harness.caller.calls).toEqual([])
    expect(await harness.task()).toMatchObject({ state: 'running', claimedBy: 'dead-node' })
    await harness.clock.advance(15 * SECOND + 1)
    expect(harness.caller.only.request.headers).toMatchObject({ 'callme-attempt': '2', 'callme-max-attempts': '3' })
    expect(await harness.task()).toMatchObject({ state: 'running', claimedBy: 'node-1', attempts: 2, lost: 1 })
    expect(await harness.history()).toMatchObject([
      { number: 1, node: 'dead-node', status: null, error: expect.stringContaining('lost') as string },
    ])
    expect(harness.events('claim.rescued')).toMatchObject([
      { level: 'warn', task: `a-task@${MINUTE}`, attempt: 1, state: 'retrying', node: 'node-1' },
    ])
  })

  it('is rescued within 15 seconds after its lease whenever the lease ends', async () => {
    for (let startedAgo = 0; startedAgo < 15; startedAgo += 2) {
      const harness = new SchedulerHarness({ startAt: MINUTE_MS })
      await harness.put(aTask())
      await claimedByADeadNode(harness)
      await harness.clock.advance(startedAgo * SECOND)
      harness.ticker.start()
      harness.upkeep.start()
      await harness.clock.advance(LEASE - startedAgo * SECOND + 15 * SECOND)
      expect(harness.caller.only.startedAt).toBeGreaterThanOrEqual(MINUTE_MS + LEASE)
      await harness.stop()
    }
  })

  it('fails with the reason where it may be called at most once', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask({ definition: { delivery: 'at_most_once' } }))
    await claimedByADeadNode(harness)
    harness.ticker.start()
    harness.upkeep.start()
    await harness.clock.advance(LEASE + 15 * SECOND)
    expect(harness.caller.calls).toEqual([])
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 1, error: expect.stringContaining('at_most_once') as string })
  })

  it('is failed, not called, where its window has closed', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask({ definition: { max_delay: 1 } }))
    await claimedByADeadNode(harness)
    harness.ticker.start()
    harness.upkeep.start()
    await harness.clock.advance(LEASE + 15 * SECOND)
    expect(harness.caller.calls).toEqual([])
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 1, error: expect.stringMatching(/^out of time/) as string })
  })

  it('is rescued in full by one run, however much it is', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.store.put(
      Array.from({ length: 1030 }, (_, n) => aTask({ name: `task-${n}` })),
      { now: MINUTE_MS },
    )
    expect(await claimedByADeadNode(harness, 1030)).toHaveLength(1030)
    await harness.clock.advance(LEASE)
    await harness.upkeep.runOnce()
    expect(await harness.store.counts()).toMatchObject({ running: 0, retrying: 1030 })
    expect(harness.events('claim.rescued')).toHaveLength(1030)
  })
})

describe('a start', () => {
  it('rescues at once, in full, what earlier processes left running, though their leases still last', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, maxInflight: 2000 })
    await harness.store.put(
      Array.from({ length: 450 }, (_, n) => aTask({ name: `task-${n}` })),
      { now: MINUTE_MS },
    )
    await claimedByADeadNode(harness, 450)
    await harness.upkeep.rescueAbandoned()
    expect(await harness.store.counts()).toMatchObject({ running: 0, retrying: 450 })
    expect(await harness.task('task-449')).toMatchObject({ attempts: 1, lost: 1, dueAt: MINUTE_MS })
    await harness.start()
    expect(harness.caller.open.length).toBeGreaterThan(0)
    for (const { request } of harness.caller.open) expect(request.headers).toMatchObject({ 'callme-attempt': '2' })
  })
})

describe('the leases of a node that lives', () => {
  it('are renewed in batches where thousands of calls are open', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, maxInflight: 2000 })
    await harness.put(...Array.from({ length: 1200 }, (_, n) => aTask({ name: `task-${n}` })))
    await harness.start()
    const batches: number[] = []
    harness.before.renew = (claims) => batches.push(claims.length)
    await harness.clock.advance(10 * SECOND)
    expect(batches).toEqual([500, 500, 200])
    for (const name of ['task-0', 'task-1199']) expect((await harness.task(name)).leaseUntil).toBe(harness.clock.now() + LEASE)
  })

  it('are renewed while a call is under way, however long it takes', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask({ definition: { timeout: 1800 } }))
    await harness.start()
    for (let n = 0; n < 30; n += 1) {
      await harness.clock.advance(MINUTES)
      expect((await harness.task()).leaseUntil).toBeGreaterThan(harness.clock.now() + 40 * SECOND)
    }
    harness.caller.only.answer()
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'successful', attempts: 1, lost: 0 })
  })

  it.each<[string, (harness: SchedulerHarness) => void]>([
    [
      'the machine is suspended for an hour',
      ({ clock }) => {
        clock.jump(HOUR)
      },
    ],
    [
      'the process is blocked for an hour',
      ({ clock }) => {
        clock.block(HOUR)
      },
    ],
    [
      'the clock is set forward by 400 days',
      ({ clock }) => {
        clock.jump(400 * DAY)
      },
    ],
  ])('hold when %s, and the call under way is not made again', async (_, leave) => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask({ definition: { max_delay: 525_600, timeout: 1800 } }))
    await harness.start()
    await harness.clock.advance(7 * SECOND)
    leave(harness)
    await harness.clock.advance(MINUTES)
    expect(harness.caller.calls).toHaveLength(1)
    expect(harness.events('claim.rescued')).toEqual([])
    harness.caller.only.answer()
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'successful', attempts: 1, lost: 0 })
  })

  it('hold when the machine is suspended while they are being renewed', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask({ definition: { max_delay: 1440 } }))
    await harness.start()
    harness.before.renew = () => {
      delete harness.before.renew
      harness.clock.jump(HOUR)
    }
    await harness.clock.advance(MINUTES)
    expect(harness.events('clock.jumped')).toHaveLength(1)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task()).toMatchObject({ state: 'running', attempts: 1, lost: 0 })
  })

  it('hold when the machine is suspended while the task is being claimed', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.start()
    harness.before.claimDue = () => {
      delete harness.before.claimDue
      void harness.upkeep.runOnce()
      harness.clock.jump(HOUR)
    }
    await harness.put(aTask({ definition: { max_delay: 1440 } }))
    await harness.clock.advance(MINUTES)
    expect(harness.events('clock.jumped')).toHaveLength(1)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task()).toMatchObject({ state: 'running', attempts: 1, lost: 0 })
  })
})

describe('a run of the chores that fails', () => {
  it('is logged, and the next one follows all the same', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    await claimedByADeadNode(harness)
    harness.ticker.start()
    harness.upkeep.start()
    harness.before.renew = refuseWrites
    await harness.clock.advance(2 * MINUTES)
    expect(await harness.task()).toMatchObject({ state: 'running', claimedBy: 'dead-node' })
    expect(harness.events('upkeep.failed')[0]).toMatchObject({ level: 'error', err: { code: 'store_unavailable' } })
    expect(harness.readiness()).toMatchObject({ ready: true, upkeepFailure: { code: 'store_unavailable' } })
    delete harness.before.renew
    await harness.clock.advance(15 * SECOND)
    expect(harness.readiness().upkeepFailure).toBeUndefined()
    expect(harness.caller.calls).toHaveLength(1)
  })

  it('does not overlap with the next one, and a stop waits for it', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.start()
    let runs = 0
    harness.before.renew = () => (runs += 1)
    await harness.clock.advance(15 * SECOND)
    expect(runs).toBe(1)
    await harness.upkeep.stop()
    await harness.clock.advance(10 * MINUTES)
    expect(runs).toBe(1)
  })
})
