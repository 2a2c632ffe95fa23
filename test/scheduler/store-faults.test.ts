/** A store that refuses for a while: nothing is lost, nothing invented, nothing called twice, and it goes on by itself. */
import { describe, expect, it } from 'vitest'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness, refuseWrites } from '../support/scheduler-harness.ts'

const MINUTES = 60_000

describe('while the store refuses claims', () => {
  it('nothing is called and nothing changes, and the call is made once it takes them again', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    const stored = await harness.task()
    harness.before.claimDue = refuseWrites
    await harness.start()
    await harness.clock.advance(3 * MINUTES)
    expect(harness.caller.calls).toEqual([])
    expect(await harness.task()).toEqual(stored)
    expect(harness.ticker.readiness()).toMatchObject({ ready: false, lastTick: null, failure: { code: 'store_unavailable' } })
    expect(harness.events('tick.failed')).toMatchObject([{ level: 'error', err: { code: 'store_unavailable' } }])

    delete harness.before.claimDue
    await harness.clock.advance(1000)
    expect(harness.caller.only.request.headers).toMatchObject({ 'callme-attempt': '1' })
    expect(harness.ticker.readiness().ready).toBe(true)
    harness.caller.only.answer()
    await harness.clock.advance(MINUTES)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task()).toMatchObject({ state: 'successful', attempts: 1 })
  })

  it('tasks whose window closes meanwhile end as skipped', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    harness.before.claimDue = refuseWrites
    await harness.start()
    await harness.clock.advance(10 * MINUTES)
    delete harness.before.claimDue
    await harness.clock.advance(1000)
    expect(await harness.task()).toMatchObject({ state: 'skipped', attempts: 0 })
    expect(harness.events('task.skipped')).toHaveLength(1)
    expect(harness.caller.calls).toEqual([])
  })

  it('the retry of a call that had ended before is made when it takes them again', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    await harness.start()
    harness.before.claimDue = refuseWrites
    harness.caller.only.answer(500)
    await harness.clock.advance(20_000)
    expect(await harness.task()).toMatchObject({ state: 'retrying', attempts: 1 })
    delete harness.before.claimDue
    await harness.clock.advance(1000)
    expect(harness.caller.only.request.headers).toMatchObject({ 'callme-attempt': '2' })
  })
})

describe('while the store refuses to end what is out of time', () => {
  it('no more calls are open than may be, however often a pass is made', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, maxInflight: 4, maxOpenCalls: 4 })
    for (let n = 0; n < 20; n += 1) await harness.put(aTask({ name: `task-${n}`, definition: { callback: `http://host-${n}.test/` } }))
    harness.before.expire = () => {
      harness.ticker.wake(harness.clock.now())
      if (harness.passes.length < 6) refuseWrites()
      delete harness.before.expire
    }
    await harness.start()
    await harness.clock.advance(5000)
    expect(harness.caller.open.length).toBeLessThanOrEqual(4)
    expect(harness.hosts.open).toBe(harness.caller.open.length)
  })
})

describe('while the store refuses results', () => {
  it('the save is tried each second, the call is not made again, and the result is that of the call', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    await harness.start()
    await harness.clock.advance(2000)
    let saves = 0
    harness.before.record = () => {
      saves += 1
      refuseWrites()
    }
    harness.caller.only.answer(200, { body: 'done' })
    await harness.clock.advance(3 * MINUTES)
    expect(saves).toBe(181)
    expect(await harness.task()).toMatchObject({ state: 'running', attempts: 1, responseStatus: null })
    expect(harness.dispatcher.claims()).toHaveLength(1)
    // The call is over, and another one may have its slot.
    expect(harness.hosts.open).toBe(0)
    expect(harness.events('record.failed')).toMatchObject([
      { level: 'error', task: `a-task@${MINUTE}`, attempt: 1, err: { code: 'store_unavailable' } },
    ])

    delete harness.before.record
    await harness.clock.advance(1000)
    expect(await harness.task()).toMatchObject({
      state: 'successful',
      attempts: 1,
      responseStatus: 200,
      responseBody: 'done',
      executedAt: MINUTE_MS + 2000,
    })
    expect(await harness.history()).toMatchObject([{ number: 1, startedAt: MINUTE_MS, durationMs: 2000, status: 200 }])
    expect(harness.caller.calls).toHaveLength(1)
    expect(harness.dispatcher.claims()).toEqual([])
    expect(harness.hosts.open).toBe(0)
  })

  it('no more calls are made than twice as many as may be under way, until results are saved', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, maxInflight: 4, maxOpenCalls: 4 })
    for (let n = 0; n < 20; n += 1) await harness.put(aTask({ name: `task-${n}`, definition: { callback: `http://host-${n}.test/` } }))
    harness.before.record = refuseWrites
    await harness.start()
    while (harness.caller.open.length > 0) {
      expect(harness.caller.open.length).toBeLessThanOrEqual(4)
      harness.caller.open[0]?.answer()
      await harness.clock.advance(10)
    }
    expect(harness.caller.calls).toHaveLength(8)
    expect(harness.dispatcher.claims()).toHaveLength(8)
    delete harness.before.record
    await harness.clock.advance(2000)
    expect(harness.dispatcher.claims()).toHaveLength(harness.caller.open.length)
    expect(harness.caller.calls.length).toBeGreaterThan(8)
  })

  it('a retry that was due meanwhile is made once its failure is saved', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    await harness.start()
    harness.before.record = refuseWrites
    harness.caller.only.answer(500)
    await harness.clock.advance(30_500)
    expect(harness.caller.calls).toHaveLength(1)
    delete harness.before.record
    await harness.clock.advance(1000)
    expect(harness.caller.only.request.headers).toMatchObject({ 'callme-attempt': '2' })
  })

  it('a lease that could be renewed all the time is not rescued', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    await harness.start()
    harness.before.record = refuseWrites
    harness.caller.only.answer()
    await harness.clock.advance(10 * MINUTES)
    delete harness.before.record
    await harness.clock.advance(1000)
    expect(await harness.task()).toMatchObject({ state: 'successful', attempts: 1, lost: 0 })
    expect(harness.events('claim.rescued', 'claim.lost')).toEqual([])
  })
})

describe('while the store refuses everything', () => {
  it('calls under way keep their claims, and their results are there afterwards', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(
      aTask({ name: 'one' }),
      aTask({ name: 'two', definition: { retry: 0 } }),
      aTask({ name: 'later', triggerAt: MINUTE + 60 }),
    )
    await harness.start()
    let isFull = true
    for (const verb of ['claimDue', 'record', 'expire', 'renew', 'rescue', 'prune'] as const) {
      harness.before[verb] = () => {
        if (isFull) refuseWrites()
      }
    }
    harness.caller.calls[0]?.answer()
    harness.caller.calls[1]?.answer(500)
    await harness.clock.advance(5 * MINUTES)
    expect(harness.caller.calls).toHaveLength(2)
    expect(await harness.store.counts()).toMatchObject({ running: 2, pending: 1 })

    isFull = false
    await harness.clock.advance(15_000)
    expect(await harness.task('one')).toMatchObject({ state: 'successful', attempts: 1, lost: 0 })
    expect(await harness.task('two')).toMatchObject({ state: 'failed', attempts: 1, lost: 0 })
    expect(harness.caller.only.key).toBe(`later@${MINUTE + 60}`)
    expect(harness.events('tick.failed')).toHaveLength(1)
  })

  it('a store that is closed under the scheduler is reported once and takes nothing down with it', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.start()
    await harness.store.close()
    await harness.clock.advance(3 * MINUTES)
    expect(harness.events('tick.failed')).toHaveLength(1)
    expect(harness.ticker.readiness().ready).toBe(false)
    expect(harness.passes.slice(1, 4)).toEqual([MINUTE_MS + 60_000, MINUTE_MS + 61_000, MINUTE_MS + 62_000])
    await harness.stop()
  })
})
