/** How a node stops: nothing more is claimed, calls under way end, and the rest is handed back. */
import { describe, expect, it } from 'vitest'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness, afterOneCall } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000
const KEY = `a-task@${MINUTE}`

describe('a stop', () => {
  it('waits for a call under way and keeps its result', async () => {
    const harness = await afterOneCall()
    harness.clock.setTimer(5 * SECOND, () => {
      harness.caller.only.answer()
    })
    await harness.stop(20 * SECOND)
    expect(await harness.task()).toMatchObject({ state: 'successful', attempts: 1 })
    expect(harness.caller.calls).toHaveLength(1)
  })

  it('claims nothing more while it waits, though slots become free', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, maxInflight: 1 })
    await harness.put(aTask({ name: 'one' }), aTask({ name: 'two' }))
    await harness.start()
    harness.clock.setTimer(5 * SECOND, () => {
      harness.caller.only.answer()
    })
    await harness.stop(2 * MINUTES)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.store.counts()).toMatchObject({ successful: 1, pending: 1, running: 0 })
  })

  it('cuts off a call that outlasts the grace, and a later process makes it again', async () => {
    const first = await afterOneCall()
    await first.stop(20 * SECOND)
    expect(await first.task()).toMatchObject({ state: 'retrying', attempts: 1, lost: 1 })
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    expect(second.caller.only.request.headers['callme-attempt']).toBe('2')
  })

  it('hands back what was claimed and not called, with its attempt number', async () => {
    const first = new SchedulerHarness({ startAt: MINUTE_MS })
    first.caller.setBusy(true)
    await first.put(aTask())
    await first.start()
    expect(await first.task()).toMatchObject({ state: 'running', attempts: 1 })
    await first.stop()
    expect(await first.task()).toMatchObject({ state: 'pending', attempts: 0, lost: 0, dueAt: MINUTE_MS, error: null, leaseUntil: null })
    expect(await first.history()).toEqual([])
    expect(first.events('claim.released')).toMatchObject([{ level: 'debug', task: KEY }])
    expect(await first.store.counts()).toMatchObject({ pending: 1, running: 0 })

    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    expect(second.caller.only.request.headers['callme-attempt']).toBe('1')
  })

  it('hands back a retry that was claimed and not called, with its reason and its last answer', async () => {
    const first = await afterOneCall()
    first.caller.setBusy(true)
    first.caller.only.answer(500, { body: 'oops' })
    await first.clock.advance(SECOND)
    expect(await first.task()).toMatchObject({ state: 'running', attempts: 2 })
    await first.stop()
    expect(await first.task()).toMatchObject({
      state: 'retrying',
      attempts: 1,
      error: 'answered 500, expected 200',
      responseStatus: 500,
      responseBody: 'oops',
    })
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    expect(second.caller.only.request.headers['callme-attempt']).toBe('2')
  })

  it('during a pass waits for it, and what it claims is settled too', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    await harness.leases.rescueAbandoned({ onlyNode: 'node-1' })
    harness.ticker.start()
    await harness.stop(5 * SECOND)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.store.counts()).toMatchObject({ running: 0, retrying: 1 })
    expect(harness.dispatcher.claims()).toEqual([])
  })

  it('with nothing to do leaves no timer behind', async () => {
    const harness = new SchedulerHarness()
    await harness.start()
    await harness.stop()
    expect(harness.clock.timers).toBe(0)
  })
})
