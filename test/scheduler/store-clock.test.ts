/** A node whose system has the wrong time: it goes by the clock of the store. */
import { describe, expect, it } from 'vitest'
import { LEASE_MS } from '../../src/scheduler/leases.ts'
import { aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness, refuseWrites } from '../support/scheduler-harness.ts'

const HOUR = 3_600_000

describe.each([
  ['ahead', HOUR],
  ['behind', -HOUR],
])('a node whose clock is an hour %s', (_, wrong) => {
  async function aNode(): Promise<SchedulerHarness> {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS - 10_000 + wrong, storeTime: MINUTE_MS - 10_000 })
    await harness.start()
    return harness
  }

  it('calls on the minute of the store, and writes down the time of the store', async () => {
    const harness = await aNode()
    await harness.put(aTask())
    await harness.clock.advance(9999)
    expect(harness.caller.calls).toEqual([])
    await harness.clock.advance(1)
    expect(harness.caller.only.startedAt).toBe(MINUTE_MS)
    await harness.clock.advance(500)
    harness.caller.only.answer()
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'successful', created: MINUTE_MS - 10_000, updated: MINUTE_MS + 500 })
    expect(await harness.history()).toMatchObject([{ startedAt: MINUTE_MS, durationMs: 500 }])
    expect(harness.events('clock.skewed')).toMatchObject([{ level: 'warn', offset_ms: -wrong }])
    expect(harness.events('clock.jumped')).toEqual([])
  })

  it('claims with leases that others understand', async () => {
    const harness = await aNode()
    const leases: number[] = []
    harness.before.claimDue = ({ leaseUntil }) => leases.push(leaseUntil)
    harness.before.renew = (_claims, { leaseUntil }) => leases.push(leaseUntil)
    await harness.put(aTask())
    await harness.clock.advance(10_000)
    harness.caller.only.answer()
    expect(new Set(leases)).toEqual(new Set([MINUTE_MS + LEASE_MS]))
  })
})

describe('a clock that is set forward by an hour while the node runs', () => {
  it('has nothing called early', async () => {
    const harness = new SchedulerHarness({ storeTime: MINUTE_MS - 10_000 })
    await harness.put(aTask())
    await harness.start()
    harness.clock.jump(HOUR)
    await harness.clock.advance(9999)
    expect(harness.caller.calls).toEqual([])
    await harness.clock.advance(1)
    expect(harness.caller.only.startedAt).toBe(MINUTE_MS)
  })

  it('takes no call away from another node', async () => {
    const first = new SchedulerHarness({ storeTime: MINUTE_MS, startAt: MINUTE_MS })
    await first.start()
    await first.put(aTask())
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    // Just before the second one looks after leases, and before the first one does; no loop has noticed.
    await first.clock.advance(30_000)
    await first.leases.stop()
    await first.clock.advance(2500)
    first.clock.jump(HOUR)
    await first.clock.advance(5000)
    expect(await first.task()).toMatchObject({ state: 'running', attempts: 1, claimedBy: 'node-1' })
    expect(second.events('claim.rescued')).toEqual([])
  })

  it('has nothing called before the store can be asked for the time again', async () => {
    const harness = new SchedulerHarness({ storeTime: MINUTE_MS - 10_000 })
    await harness.put(aTask())
    await harness.start()
    harness.before.time = refuseWrites
    harness.clock.jump(HOUR)
    await harness.clock.advance(15_000)
    expect(harness.caller.calls).toEqual([])
    expect(harness.events('tick.failed')).toHaveLength(1)
    delete harness.before.time
    await harness.clock.advance(1000)
    expect(harness.caller.only.startedAt).toBe(MINUTE_MS + 6000)
  })
})
