/** Who holds a claim, how long, and what becomes of the claims of a node that is gone. */
import { describe, expect, it } from 'vitest'
import type { Task } from '../../src/domain/task/task.ts'
import { LEASE_MS, LOOK_EVERY_MS } from '../../src/scheduler/leases.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness, refuseWrites } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000
const HOUR = 60 * MINUTES
const DAY = 24 * HOUR
/** By then a lost call is made again. */
const TAKEN_OVER = 20 * SECOND

/** Has a node that is no more claim all that is due at `MINUTE`, up to `limit`. */
async function claimedByADeadNode(harness: SchedulerHarness, limit = 1): Promise<Task[]> {
  const capacity = { hosts: new Map(), capacityOfNewHost: limit, unprovenLimit: limit, silentLimit: limit }
  const lease = { now: MINUTE_MS, node: 'dead-node', leaseUntil: MINUTE_MS + LEASE_MS }
  const { tasks } = await harness.store.claimDue({ ...lease, limit, ...capacity })
  return tasks
}

describe('what a dead node had claimed', () => {
  it('is left alone while its lease lasts and called again within 20 seconds', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    await claimedByADeadNode(harness)
    harness.ticker.start()
    harness.leases.start()
    await harness.clock.advance(LEASE_MS - 1)
    expect(harness.caller.calls).toEqual([])
    expect(await harness.task()).toMatchObject({ state: 'running', claimedBy: 'dead-node' })
    await harness.clock.advance(TAKEN_OVER - LEASE_MS + 1)
    expect(harness.caller.only.request.headers).toMatchObject({ 'callme-attempt': '2', 'callme-max-attempts': '3' })
    expect(await harness.task()).toMatchObject({ state: 'running', claimedBy: 'node-1', attempts: 2, lost: 1 })
    expect(await harness.history()).toMatchObject([
      { number: 1, node: 'dead-node', status: null, error: expect.stringContaining('lost') as string },
    ])
    expect(harness.events('claim.rescued')).toMatchObject([
      { level: 'warn', task: `a-task@${MINUTE}`, attempt: 1, state: 'retrying', node: 'node-1' },
    ])
  })

  it('is called again within 20 seconds whenever its lease ends, also where it has only a minute', async () => {
    for (let startedBefore = 0; startedBefore < LOOK_EVERY_MS; startedBefore += 500) {
      const harness = new SchedulerHarness({ startAt: MINUTE_MS - 60 * SECOND - startedBefore })
      harness.leases.start()
      await harness.clock.advance(60 * SECOND + startedBefore)
      await harness.put(aTask({ definition: { max_delay: 1 } }))
      await claimedByADeadNode(harness)
      harness.ticker.start()
      await harness.clock.advance(TAKEN_OVER)
      expect(harness.caller.only.startedAt).toBeGreaterThanOrEqual(MINUTE_MS + LEASE_MS)
      await harness.stop()
    }
  })

  it('is left alone until the store has been there for as long as a lease, because its node may live', async () => {
    const first = new SchedulerHarness({ startAt: MINUTE_MS, storeTime: MINUTE_MS })
    await first.start()
    await first.put(aTask())
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    await first.clock.advance(30 * SECOND)
    for (const harness of [first, second])
      for (const verb of ['renew', 'rescue', 'claimDue', 'expire'] as const) harness.before[verb] = refuseWrites
    await first.clock.advance(MINUTES)
    // The second one is back before the first one has renewed anything.
    second.before = {}
    await first.clock.advance(10 * SECOND)
    first.before = {}
    await first.clock.advance(MINUTES)
    expect(second.events('claim.rescued')).toEqual([])
    expect(await first.task()).toMatchObject({ state: 'running', attempts: 1, claimedBy: 'node-1' })
    expect(first.caller.calls).toHaveLength(1)
  })

  it('fails with the reason where it may be called at most once', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask({ definition: { delivery: 'at_most_once' } }))
    await claimedByADeadNode(harness)
    harness.ticker.start()
    harness.leases.start()
    await harness.clock.advance(TAKEN_OVER)
    expect(harness.caller.calls).toEqual([])
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 1, error: expect.stringContaining('at_most_once') as string })
  })

  it('is failed, not called, where its window has closed', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask({ definition: { max_delay: 1 } }))
    await claimedByADeadNode(harness)
    // Nobody was there to take it over in time.
    await harness.clock.advance(MINUTES - LEASE_MS)
    harness.ticker.start()
    harness.leases.start()
    await harness.clock.advance(TAKEN_OVER)
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
    harness.leases.start()
    await harness.clock.advance(TAKEN_OVER)
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
    await harness.leases.rescueAbandoned({ onlyNode: 'node-1' })
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
    expect(batches).toEqual([1000, 200])
    const renewedAt = MINUTE_MS + 6 * SECOND
    for (const name of ['task-0', 'task-1199']) expect((await harness.task(name)).leaseUntil).toBe(renewedAt + LEASE_MS)
  })

  it('are renewed while a call is under way, however long it takes', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask({ definition: { timeout: 1800 } }))
    await harness.start()
    for (let n = 0; n < 30; n += 1) {
      await harness.clock.advance(MINUTES)
      expect((await harness.task()).leaseUntil).toBeGreaterThan(harness.clock.now() + LEASE_MS / 3)
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
      void harness.leases.runOnce()
      harness.clock.jump(HOUR)
    }
    await harness.put(aTask({ definition: { max_delay: 1440 } }))
    await harness.clock.advance(MINUTES)
    expect(harness.events('clock.jumped')).toHaveLength(1)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task()).toMatchObject({ state: 'running', attempts: 1, lost: 0 })
  })
})

describe('a lease from a clock that was ahead', () => {
  it('is made as short as any other, so that the end of its node is noticed', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS + DAY })
    await harness.put(aTask({ triggerAt: MINUTE + DAY / SECOND, definition: { timeout: 1800 } }))
    await harness.start()
    harness.clock.jump(-DAY)
    await harness.clock.advance(LOOK_EVERY_MS)
    expect(await harness.task('a-task', MINUTE + DAY / SECOND)).toMatchObject({
      state: 'running',
      leaseUntil: harness.clock.now() + LEASE_MS,
    })
  })
})

describe('a run of the chores that fails', () => {
  it('is logged, and the next one follows all the same', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    await claimedByADeadNode(harness)
    harness.ticker.start()
    harness.leases.start()
    harness.before.rescue = refuseWrites
    await harness.clock.advance(2 * MINUTES)
    expect(await harness.task()).toMatchObject({ state: 'running', claimedBy: 'dead-node' })
    expect(harness.events('upkeep.failed')[0]).toMatchObject({ level: 'error', err: { code: 'store_unavailable' } })
    expect(harness.readiness()).toMatchObject({ ready: true, upkeepFailure: { code: 'store_unavailable' } })
    delete harness.before.rescue
    await harness.clock.advance(TAKEN_OVER)
    expect(harness.readiness().upkeepFailure).toBeUndefined()
    expect(harness.caller.calls).toHaveLength(1)
  })

  it('does not overlap with the next one, and a stop waits for it', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.start()
    let runs = 0
    harness.before.rescue = () => (runs += 1)
    await harness.clock.advance(5 * LOOK_EVERY_MS)
    expect(runs).toBe(5)
    await harness.leases.stop()
    await harness.clock.advance(10 * MINUTES)
    expect(runs).toBe(5)
  })
})

describe('a node that stood still between its claim and the call', () => {
  it('makes no call under a lease that is over, even once its other leases are renewed', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.start()
    harness.caller.setBusy(true)
    await harness.put(aTask())
    harness.clock.block(70 * SECOND)
    await harness.leases.runOnce()
    harness.caller.setBusy(false)
    expect(harness.caller.calls).toEqual([])
    await harness.clock.advance(LOOK_EVERY_MS)
    expect(harness.caller.only).toMatchObject({ request: { headers: { 'callme-attempt': '1' } } })
    expect(await harness.task()).toMatchObject({ state: 'running', attempts: 1, lost: 0 })
  })

  it('makes the calls that wait for a busy thread longer than a lease, because it has renewed theirs', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.start()
    harness.caller.setBusy(true)
    await harness.put(aTask())
    await harness.clock.advance(2 * LEASE_MS)
    harness.caller.setBusy(false)
    expect(harness.caller.calls).toHaveLength(1)
  })
})
