/** Work that goes on after its call was answered: accepted, awaited, and acknowledged or found silent. */
import { describe, expect, it } from 'vitest'
import type { TaskDefinition } from '../../src/domain/task/task.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness, afterOneCall } from '../support/scheduler-harness.ts'
import type { HarnessOptions } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000
const KEY = `a-task@${MINUTE}`
const ACK_TIMEOUT = 2 * MINUTES

/** A node at `MINUTE` whose one task was called and accepted; two minutes are left to acknowledge it. */
async function accepted(definition: Partial<TaskDefinition> = {}, options: HarnessOptions = {}): Promise<SchedulerHarness> {
  const harness = await afterOneCall({ ack_timeout: 2, ...definition }, options)
  harness.caller.only.answer(200, { body: 'ticket 7' })
  await harness.clock.advance(0)
  return harness
}

describe('an accepted call', () => {
  it('leaves the task running, with its answer, until it is acknowledged', async () => {
    const harness = await accepted()
    expect(await harness.task()).toMatchObject({
      state: 'running',
      awaiting: 'ack',
      attempts: 1,
      leaseUntil: MINUTE_MS + ACK_TIMEOUT,
      responseStatus: 200,
      responseBody: 'ticket 7',
      error: null,
    })
    expect(harness.events('task.accepted')).toMatchObject([{ level: 'debug', task: KEY, attempt: 1, status: 200 }])
    await harness.clock.advance(MINUTES)
    expect(await harness.acknowledge({ detail: 'done' })).toBe('acknowledged')
    expect(await harness.task()).toMatchObject({ state: 'successful', awaiting: null, leaseUntil: null, responseStatus: 200, error: null })
    await harness.clock.advance(10 * MINUTES)
    expect(harness.caller.calls).toHaveLength(1)
    expect(harness.events('claim.rescued')).toEqual([])
  })

  it('gives its slot back, so that another task is called', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, maxInflight: 1 })
    await harness.put(aTask({ triggerAt: MINUTE - 60, definition: { ack_timeout: 60 } }), aTask({ name: 'next' }))
    await harness.start()
    expect(harness.caller.only.key).toBe(`a-task@${MINUTE - 60}`)
    harness.caller.only.answer()
    await harness.clock.advance(0)
    expect(harness.caller.only.key).toBe(`next@${MINUTE}`)
    expect(harness.dispatcher.claims()).toHaveLength(1)
  })

  it('counts as running for the concurrency of its name', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.putHandler('a-task', { concurrency: 1, ack_timeout: 60 })
    await harness.put(aTask(), aTask({ triggerAt: MINUTE - 60 }))
    await harness.start()
    harness.caller.only.answer()
    await harness.clock.advance(MINUTES)
    expect(harness.caller.calls).toHaveLength(1)
    await harness.acknowledge({ key: { name: 'a-task', triggerAt: MINUTE - 60 } })
    expect(harness.caller.only.key).toBe(KEY)
  })

  it('keeps its time though a renewal of the lease of its call was on the way', async () => {
    const harness = await afterOneCall({ ack_timeout: 2 })
    const claims = harness.dispatcher.claims()
    harness.caller.only.answer()
    await harness.clock.advance(0)
    await harness.store.renew(claims, { leaseUntil: MINUTE_MS + MINUTES })
    expect(await harness.task()).toMatchObject({ awaiting: 'ack', leaseUntil: MINUTE_MS + ACK_TIMEOUT })
  })

  it('that is not what was expected is not accepted', async () => {
    const harness = await afterOneCall({ ack_timeout: 2 })
    harness.caller.only.answer(503)
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'retrying', awaiting: null })
  })
})

describe('an acknowledgement', () => {
  it('may come before the answer of the call, which then changes nothing', async () => {
    const harness = await afterOneCall({ ack_timeout: 2 })
    expect(await harness.acknowledge({ detail: 'quick' })).toBe('acknowledged')
    const ended = await harness.task()
    harness.caller.only.answer(500)
    await harness.until(() => harness.events('claim.lost').length > 0)
    expect(await harness.task()).toEqual(ended)
    expect(ended).toMatchObject({ state: 'successful', attempts: 1 })
    expect([harness.hosts.open, harness.dispatcher.claims()]).toEqual([0, []])
  })

  it('of failure has the call made again after the backoff', async () => {
    const harness = await accepted()
    await harness.clock.advance(MINUTES)
    await harness.acknowledge({ status: 'failed', detail: 'no space' })
    expect(await harness.task()).toMatchObject({ state: 'retrying', error: 'acknowledged as failed: no space' })
    await harness.clock.advance(500)
    expect(harness.caller.only.request.headers).toMatchObject({ 'callme-attempt': '2', 'callme-max-attempts': '2' })
  })

  it('of failure that is not retryable ends the task', async () => {
    const harness = await accepted({ retry: 5 })
    await harness.acknowledge({ status: 'failed', retryable: false })
    await harness.clock.advance(10 * MINUTES)
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 1, error: 'acknowledged as failed' })
    expect(harness.caller.calls).toHaveLength(1)
  })

  it('that work goes on gives it the full time again, as often as it comes', async () => {
    const harness = await accepted()
    for (let n = 0; n < 5; n += 1) {
      await harness.clock.advance(ACK_TIMEOUT - SECOND)
      expect(await harness.acknowledge({ status: 'running' })).toBe('acknowledged')
      expect(await harness.task()).toMatchObject({ state: 'running', leaseUntil: harness.clock.now() + ACK_TIMEOUT })
    }
    expect(harness.events('claim.rescued')).toEqual([])
    await harness.acknowledge()
    expect(await harness.task()).toMatchObject({ state: 'successful', attempts: 1 })
  })

  it('of an attempt that was given up changes nothing in the next one', async () => {
    const harness = await accepted({ max_delay: 60 })
    await harness.clock.advance(ACK_TIMEOUT + 15 * SECOND)
    const second = await harness.task()
    expect(second).toMatchObject({ state: 'running', attempts: 2 })
    expect(await harness.acknowledge()).toBe('other_attempt')
    expect(await harness.task()).toEqual(second)
    expect(await harness.acknowledge({ attempt: 2 })).toBe('acknowledged')
  })
})

describe('silence', () => {
  it('is found within 15 seconds after the time is over, is logged, and is a failed attempt that is made again', async () => {
    const harness = await accepted()
    const { runId } = await harness.task()
    await harness.clock.advance(ACK_TIMEOUT - 1)
    expect(await harness.task()).toMatchObject({ state: 'running', attempts: 1 })
    await harness.clock.advance(15 * SECOND)
    expect(harness.caller.only.request.headers).toMatchObject({
      'callme-attempt': '2',
      'callme-max-attempts': '2',
      'callme-run-id': runId,
    })
    const error = 'accepted, but not acknowledged within 2 min'
    expect(await harness.history()).toMatchObject([{ number: 1, status: 200, error }])
    expect(await harness.task()).toMatchObject({ lost: 0 })
    expect(harness.events('claim.rescued')).toMatchObject([{ level: 'warn', task: KEY, run_id: runId, attempt: 1, state: 'retrying' }])
    expect(harness.events('rescued')).toMatchObject([{ level: 'warn', tasks: 1 }])
  })

  it('after the last attempt fails the task with that reason', async () => {
    const harness = await accepted({ retry: 0 })
    await harness.clock.advance(ACK_TIMEOUT + 15 * SECOND)
    expect(await harness.task()).toMatchObject({
      state: 'failed',
      attempts: 1,
      lost: 0,
      responseStatus: 200,
      error: 'accepted, but not acknowledged within 2 min',
    })
    expect(harness.caller.calls).toHaveLength(1)
  })

  it('is counted over all that were silent', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(...Array.from({ length: 7 }, (_, n) => aTask({ name: `task-${n}`, definition: { ack_timeout: 1, retry: 0 } })))
    harness.caller.script = (call) => {
      call.answer()
    }
    await harness.start()
    await harness.clock.advance(MINUTES + 15 * SECOND)
    expect(harness.events('claim.rescued')).toHaveLength(7)
    expect(harness.events('rescued').map(({ tasks }) => tasks)).toEqual([7])
    expect(await harness.store.counts()).toMatchObject({ failed: 7 })
  })

  it('that outlasts the window fails the task without another call', async () => {
    const harness = await accepted({ max_delay: 1 })
    await harness.clock.advance(ACK_TIMEOUT + 15 * SECOND)
    expect(await harness.task()).toMatchObject({ state: 'failed', error: expect.stringContaining('not acknowledged') as string })
    expect(harness.caller.calls).toHaveLength(1)
  })
})

describe('a restart', () => {
  it('leaves alone what awaits its acknowledgement, and takes that from then on', async () => {
    const first = await accepted({}, { node: 'node-1' })
    await first.crash()
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    await second.clock.advance(MINUTES)
    expect(await second.task()).toMatchObject({ state: 'running', awaiting: 'ack', attempts: 1, lost: 0 })
    await second.acknowledge()
    expect(await second.task()).toMatchObject({ state: 'successful' })
    expect(second.caller.calls).toEqual([])
  })

  it('does not hide silence', async () => {
    const first = await accepted({}, { node: 'node-1' })
    await first.stop()
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    await second.clock.advance(ACK_TIMEOUT + 15 * SECOND)
    expect(second.caller.only.request.headers).toMatchObject({ 'callme-attempt': '2' })
    expect(second.events('rescued')).toMatchObject([{ tasks: 1 }])
  })
})
