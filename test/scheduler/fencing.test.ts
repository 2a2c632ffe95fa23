/** A result counts only for the claim it was made under. */
import { describe, expect, it } from 'vitest'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'

const MINUTES = 60_000

describe('a result that comes after the lease was lost', () => {
  it('changes nothing and is logged', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    await harness.start()
    const late = harness.caller.only
    await harness.store.rescue({ now: MINUTE_MS + 60_000, limit: 1 })
    const rescued = await harness.task()
    expect(rescued).toMatchObject({ state: 'retrying', attempts: 1, lost: 1 })
    late.answer(404)
    await harness.until(() => harness.events('claim.lost').length > 0)
    expect(harness.events('claim.lost')).toMatchObject([
      { level: 'warn', task: `a-task@${MINUTE}`, attempt: 1, run_id: rescued.runId, node: 'node-1' },
    ])
    expect(await harness.task()).toEqual(rescued)
    expect(harness.hosts.open).toBe(0)
  })

  it('changes nothing either while the second attempt is under way, which then counts', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    await harness.start()
    const late = harness.caller.only
    await harness.store.rescue({ now: MINUTE_MS + 60_000, limit: 1 })
    await harness.clock.advance(MINUTES)
    expect(harness.caller.calls).toHaveLength(2)
    const running = await harness.task()
    late.answer(404)
    await harness.clock.advance(0)
    expect(await harness.task()).toEqual(running)
    harness.caller.only.answer(200)
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'successful', attempts: 2, lost: 1 })
    expect(await harness.history()).toMatchObject([
      { number: 1, status: null },
      { number: 2, status: 200 },
    ])
  })

  it('changes nothing in a task that was put anew in the meantime', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    await harness.start()
    const late = harness.caller.only
    await harness.store.rescue({ now: MINUTE_MS + 60_000, limit: 1 })
    await harness.store.put([aTask({ definition: { payload: 'new' } })], { now: harness.clock.now() })
    const anew = await harness.task()
    late.answer(500)
    await harness.until(() => harness.events('claim.lost').length > 0)
    expect(anew).toMatchObject({ state: 'pending', attempts: 0 })
    expect(harness.events('claim.lost')).toHaveLength(1)
    await harness.clock.advance(0)
    expect(harness.caller.only.request).toMatchObject({ headers: { 'callme-run-id': anew.runId, 'callme-attempt': '1' } })
  })
})
