/** The chores beside the minute loop: leases, rescue, retention. */
import { describe, expect, it } from 'vitest'
import type { Task } from '../../src/domain/task.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness, refuseWrites } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000
const HOUR = 60 * MINUTES
const DAY = 24 * HOUR
const LEASE = 60 * SECOND

/** Has a node that is no more claim all that is due at `MINUTE`, up to `limit`. */
async function claimedByADeadNode(harness: SchedulerHarness, limit = 1): Promise<Task[]> {
  const room = { lanes: new Map(), roomOfNewLane: limit, unprovenLimit: limit }
  const { tasks } = await harness.store.claimDue({ now: MINUTE_MS, node: 'dead-node', leaseUntil: MINUTE_MS + LEASE, limit, ...room })
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
    expect(await harness.history()).toMatchObject([{ number: 1, node: 'dead-node', status: null, error: expect.stringContaining('lost') as string }])
    expect(harness.events('claim.rescued')).toMatchObject([{ level: 'warn', task: `a-task@${MINUTE}`, attempt: 1, state: 'retrying', node: 'node-1' }])
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
    await harness.store.put(Array.from({ length: 1030 }, (_, n) => aTask({ name: `task-${n}` })), { now: MINUTE_MS })
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
    await harness.store.put(Array.from({ length: 450 }, (_, n) => aTask({ name: `task-${n}` })), { now: MINUTE_MS })
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
    ['the machine is suspended for an hour', ({ clock }) => { clock.jump(HOUR) }],
    ['the process is blocked for an hour', ({ clock }) => { clock.block(HOUR) }],
    ['the clock is set forward by 400 days', ({ clock }) => { clock.jump(400 * DAY) }],
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
    delete harness.before.renew
    await harness.clock.advance(15 * SECOND)
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

describe('retention', () => {
  /** Entries that end at `MINUTE`: one successful, one failed, one skipped; and one that waits. */
  async function finished(retentionMs: number): Promise<SchedulerHarness> {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, retentionMs })
    const old = { triggerAt: MINUTE - 3600 }
    await harness.store.put([aTask({ name: 'good' }), aTask({ name: 'bad' }), aTask({ name: 'over', ...old })], { now: MINUTE_MS - 40 * DAY })
    await harness.store.put([aTask({ name: 'waits', triggerAt: MINUTE + 50 * 86_400 })], { now: MINUTE_MS - 40 * DAY })
    harness.caller.script = (call) => {
      call.answer(call.key.startsWith('good') ? 200 : 404)
    }
    harness.ticker.start()
    await harness.clock.advance(0)
    expect(await harness.store.counts()).toMatchObject({ successful: 1, failed: 1, skipped: 1, pending: 1 })
    return harness
  }

  it('keeps what finished within it, and removes it with its history afterwards', async () => {
    const harness = await finished(30 * DAY)
    harness.clock.block(30 * DAY)
    await harness.upkeep.runOnce()
    expect(await harness.store.counts()).toMatchObject({ successful: 1, failed: 1, skipped: 1, pending: 1 })
    expect(harness.events('pruned')).toEqual([])

    harness.clock.block(1)
    await harness.upkeep.runOnce()
    expect(await harness.store.counts()).toEqual({ pending: 1, running: 0, retrying: 0, successful: 0, failed: 0, skipped: 0 })
    expect(await harness.history('good')).toEqual([])
    expect(harness.events('pruned')).toMatchObject([{ level: 'info', tasks: 3 }])
  })

  it('of 0 keeps everything', async () => {
    const harness = await finished(0)
    harness.clock.block(40 * DAY)
    await harness.upkeep.runOnce()
    expect(await harness.store.counts()).toMatchObject({ successful: 1, failed: 1, skipped: 1 })
  })

  it('does not touch what runs, waits or is retried, however old it is', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, retentionMs: DAY })
    const patient = { definition: { max_delay: 525_600 } }
    await harness.put(aTask({ name: 'running', ...patient }), aTask({ name: 'retrying', ...patient }), aTask({ name: 'waiting', triggerAt: MINUTE + 300 * 86_400 }))
    await harness.start()
    harness.caller.open.find(({ key }) => key.startsWith('retrying'))?.answer(503, { retryAfter: '20000000' })
    await harness.clock.advance(0)
    harness.clock.block(100 * DAY)
    await harness.upkeep.runOnce()
    expect(await harness.store.counts()).toMatchObject({ running: 1, retrying: 1, pending: 1 })
  })

  it('removes in batches, between which a tick finds its turn', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS + DAY, retentionMs: HOUR })
    await harness.store.put(Array.from({ length: 3100 }, (_, n) => aTask({ name: `old-${n}` })), { now: MINUTE_MS - DAY })
    harness.ticker.start()
    await harness.clock.advance(0)
    expect(await harness.store.counts()).toMatchObject({ skipped: 3100 })
    harness.clock.block(2 * HOUR)
    const limits: number[] = []
    let batchesBeforeCall: number | undefined
    harness.before.prune = ({ limit }) => {
      limits.push(limit)
      if (limits.length === 3) void harness.put(aTask({ triggerAt: MINUTE + 86_400 + 7200 }))
    }
    harness.caller.script = () => (batchesBeforeCall = limits.length)
    await harness.upkeep.runOnce()
    expect(await harness.store.counts()).toMatchObject({ skipped: 0 })
    expect(limits.length).toBeGreaterThan(10)
    expect(Math.max(...limits)).toBeLessThanOrEqual(500)
    expect(batchesBeforeCall).toBeLessThan(8)
    expect(harness.events('pruned')).toMatchObject([{ tasks: 3100 }])
  })

  it('leaves the rest for the next start when the node stops', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS + DAY, retentionMs: HOUR })
    await harness.store.put(Array.from({ length: 2000 }, (_, n) => aTask({ name: `old-${n}` })), { now: MINUTE_MS - DAY })
    await harness.start()
    await harness.clock.advance(0)
    harness.clock.block(2 * HOUR)
    let batches = 0
    harness.before.prune = () => {
      batches += 1
      if (batches === 2) void harness.upkeep.stop()
    }
    await harness.clock.advance(15 * SECOND)
    expect(batches).toBe(2)
    await harness.stop()
  })
})
