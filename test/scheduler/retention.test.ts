/** How long finished tasks are kept, and how they are removed. */
import { describe, expect, it } from 'vitest'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000
const HOUR = 60 * MINUTES
const DAY = 24 * HOUR

describe('retention', () => {
  /** Entries that end at `MINUTE`: one successful, one failed, one skipped; and one that waits. */
  async function finished(retentionMs: number): Promise<SchedulerHarness> {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, retentionMs })
    const old = { triggerAt: MINUTE - 3600 }
    await harness.store.put([aTask({ name: 'good' }), aTask({ name: 'bad' }), aTask({ name: 'over', ...old })], {
      now: MINUTE_MS - 40 * DAY,
    })
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

  it('of very much takes several passes, so that leases are not forgotten over it', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, retentionMs: DAY })
    const old = { triggerAt: MINUTE - 3600, definition: { max_delay: 1 } }
    await harness.store.put(
      Array.from({ length: 20_300 }, (_, n) => aTask({ name: `over-${n}`, ...old })),
      { now: MINUTE_MS - HOUR },
    )
    while ((await harness.store.expire({ now: MINUTE_MS, limit: 100_000 })).more);
    harness.clock.block(DAY + 1)
    await harness.upkeep.runOnce()
    expect(await harness.store.counts()).toMatchObject({ skipped: 300 })
    await harness.upkeep.runOnce()
    expect(await harness.store.counts()).toMatchObject({ skipped: 0 })
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
    await harness.put(
      aTask({ name: 'running', ...patient }),
      aTask({ name: 'retrying', ...patient }),
      aTask({ name: 'waiting', triggerAt: MINUTE + 300 * 86_400 }),
    )
    await harness.start()
    harness.caller.open.find(({ key }) => key.startsWith('retrying'))?.answer(503, { retryAfter: '20000000' })
    await harness.clock.advance(0)
    harness.clock.block(100 * DAY)
    await harness.upkeep.runOnce()
    expect(await harness.store.counts()).toMatchObject({ running: 1, retrying: 1, pending: 1 })
  })

  it('removes in batches, between which a tick finds its turn', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS + DAY, retentionMs: HOUR })
    await harness.store.put(
      Array.from({ length: 3100 }, (_, n) => aTask({ name: `old-${n}` })),
      { now: MINUTE_MS - DAY },
    )
    harness.ticker.start()
    await harness.until(() => harness.events('task.skipped').length === 3100)
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
    await harness.store.put(
      Array.from({ length: 2000 }, (_, n) => aTask({ name: `old-${n}` })),
      { now: MINUTE_MS - DAY },
    )
    await harness.start()
    await harness.until(() => harness.events('task.skipped').length === 2000)
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
