/** One task from its claim to its end. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TaskDefinition } from '../../src/domain/task.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'
import type { HarnessOptions } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000
const KEY = `a-task@${MINUTE}`

/** A node whose one task has just been called. */
async function called(definition: Partial<TaskDefinition> = {}, options: HarnessOptions = {}): Promise<SchedulerHarness> {
  const harness = new SchedulerHarness({ startAt: MINUTE_MS, ...options })
  await harness.put(aTask({ definition }))
  await harness.start()
  return harness
}

describe('a call that is answered as expected', () => {
  it('makes the task successful, with what was answered and when', async () => {
    const harness = await called()
    const running = await harness.task()
    expect(running).toMatchObject({ state: 'running', attempts: 1, claimedBy: 'node-1', leaseUntil: MINUTE_MS + 60_000 })
    await harness.clock.advance(2500)
    harness.caller.only.answer(200, { body: 'done' })
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({
      state: 'successful',
      attempts: 1,
      lost: 0,
      leaseUntil: null,
      executedAt: MINUTE_MS + 2500,
      responseStatus: 200,
      responseBody: 'done',
      error: null,
      updated: MINUTE_MS + 2500,
    })
    expect(await harness.history()).toEqual([
      { runId: running.runId, number: 1, startedAt: MINUTE_MS, durationMs: 2500, status: 200, error: null, node: 'node-1' },
    ])
    expect(harness.events('task.successful')).toMatchObject([
      { level: 'debug', task: KEY, run_id: running.runId, attempt: 1, node: 'node-1', status: 200, duration_ms: 2500 },
    ])
  })

  it('is never made again', async () => {
    const harness = await called()
    harness.caller.only.answer()
    await harness.clock.advance(30 * MINUTES)
    expect(harness.caller.calls).toHaveLength(1)
  })

  it.each<[TaskDefinition['expected_http_status'] & {}, number]>([
    [204, 204],
    ['2xx', 299],
    [[404, '3xx'], 404],
    [[404, '3xx'], 302],
  ])('succeeds where %j is expected and the status is %i', async (expected_http_status, status) => {
    const harness = await called({ expected_http_status })
    harness.caller.only.answer(status)
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'successful', responseStatus: status })
  })
})

describe('a call that is answered with 500', () => {
  it('is made again between half a second and a second later, and the task succeeds with it', async () => {
    const harness = await called()
    const { runId } = await harness.task()
    await harness.clock.advance(3 * SECOND)
    harness.caller.only.answer(500, { body: 'oops' })
    await harness.clock.advance(499)
    const waiting = await harness.task()
    expect(waiting).toMatchObject({ state: 'retrying', attempts: 1, responseStatus: 500, responseBody: 'oops', error: 'answered 500, expected 200' })
    expect(waiting.dueAt).toBeGreaterThanOrEqual(MINUTE_MS + 3500)
    expect(waiting.dueAt).toBeLessThanOrEqual(MINUTE_MS + 4000)
    expect(harness.caller.open).toEqual([])
    await harness.clock.advance(501)
    expect(harness.caller.only.startedAt).toBe(waiting.dueAt)
    harness.caller.only.answer()
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'successful', attempts: 2, runId, error: null, responseStatus: 200, responseBody: '' })
    expect(await harness.history()).toMatchObject([
      { number: 1, status: 500, error: 'answered 500, expected 200' },
      { number: 2, status: 200, error: null },
    ])
    expect(harness.events('task.retry')).toMatchObject([{ level: 'debug', task: KEY, attempt: 1, status: 500 }])
  })

  it('is made again by a later process on the same store, as the second attempt of the same run', async () => {
    const first = await called({}, { node: 'node-1' })
    first.caller.only.answer(500)
    await first.clock.advance(0)
    const waiting = await first.task()
    await first.stop()

    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    await second.clock.advance(waiting.dueAt - second.clock.now() - 1)
    expect(second.caller.calls).toEqual([])
    await second.clock.advance(1)
    expect(second.caller.only.request.headers).toMatchObject({ 'callme-run-id': waiting.runId, 'callme-attempt': '2', 'callme-max-attempts': '2' })
    second.caller.only.answer()
    await second.clock.advance(0)
    expect(await second.task()).toMatchObject({ state: 'successful', attempts: 2 })
    expect(await second.history()).toMatchObject([{ node: 'node-1' }, { node: 'node-2' }])
  })

  it('is tried as often as the task says and then fails with the last answer', async () => {
    const harness = await called({ retry: 3, max_delay: 60 })
    harness.caller.script = (call) => {
      call.answer(503, { body: `answer ${harness.caller.calls.length}` })
    }
    harness.caller.only.answer(500)
    await harness.clock.advance(60 * MINUTES)
    expect(harness.caller.calls.map(({ request }) => request.headers['callme-attempt'])).toEqual(['1', '2', '3', '4'])
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 4, responseStatus: 503, responseBody: 'answer 4', error: 'answered 503, expected 200' })
    expect(harness.events('task.failed')).toMatchObject([{ level: 'warn', task: KEY, attempt: 4, error: 'answered 503, expected 200' }])
  })

  it('is tried again after waits that double, each at most as long as the rule says and at least half of it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 7 }), async (randoms) => {
        let n = 0
        const harness = await called({ retry: 10, max_delay: 60 }, { random: () => randoms[n++ % randoms.length] ?? 0 })
        harness.caller.script = (call) => {
          call.answer(500)
        }
        harness.caller.only.answer(500)
        await harness.clock.advance(30 * SECOND)
        const starts = harness.caller.calls.map(({ startedAt }) => startedAt ?? 0)
        const waits = starts.slice(1).map((at, i) => at - (starts[i] ?? 0))
        expect(waits.length).toBeGreaterThanOrEqual(4)
        for (const [i, wait] of waits.entries()) {
          expect(wait).toBeGreaterThanOrEqual(500 * 2 ** i)
          expect(wait).toBeLessThanOrEqual(1000 * 2 ** i)
        }
        await harness.stop()
      }),
      { numRuns: 20 },
    )
  })
})

describe('a call without an answer', () => {
  it('is made again, and the reason is kept', async () => {
    const harness = await called()
    harness.caller.only.fail('connect ECONNREFUSED 10.0.0.1:80')
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'retrying', responseStatus: null, responseBody: null, error: 'connect ECONNREFUSED 10.0.0.1:80' })
    await harness.clock.advance(SECOND)
    harness.caller.only.fail('read ECONNRESET')
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 2, error: 'read ECONNRESET' })
    expect(await harness.history()).toMatchObject([{ error: 'connect ECONNREFUSED 10.0.0.1:80' }, { error: 'read ECONNRESET' }])
  })
})

describe('a refusal', () => {
  it.each([400, 401, 404, 410, 422])('with %i ends the task at once', async (status) => {
    const harness = await called({ retry: 5 })
    harness.caller.only.answer(status)
    await harness.clock.advance(30 * MINUTES)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 1, responseStatus: status, error: `answered ${status}, expected 200` })
  })

  it.each([204, 301, 408, 425, 429, 503])('with %i does not', async (status) => {
    const harness = await called()
    harness.caller.only.answer(status)
    await harness.clock.advance(SECOND)
    expect(harness.caller.only.request.headers['callme-attempt']).toBe('2')
  })
})

describe('Retry-After', () => {
  it.each([
    ['in seconds', '95'],
    ['as a date', new Date(MINUTE_MS + 95 * SECOND).toUTCString()],
  ])('%s is waited for to the second', async (_, retryAfter) => {
    const harness = await called()
    harness.caller.only.answer(429, { retryAfter })
    await harness.clock.advance(95 * SECOND - 1)
    expect(harness.caller.calls).toHaveLength(1)
    await harness.clock.advance(1)
    expect(harness.caller.only.startedAt).toBe(MINUTE_MS + 95 * SECOND)
  })

  it('beyond the window ends the task with the reason', async () => {
    const harness = await called()
    harness.caller.only.answer(503, { retryAfter: '600' })
    await harness.clock.advance(0)
    const closes = new Date(MINUTE_MS + 10 * MINUTES).toISOString()
    expect(await harness.task()).toMatchObject({
      state: 'failed',
      attempts: 1,
      error: `answered 503, expected 200; no retry: it would be due at or after ${closes}, when the window closes`,
    })
    await harness.clock.advance(20 * MINUTES)
    expect(harness.caller.calls).toHaveLength(1)
  })

  it('just inside the window is waited for', async () => {
    const harness = await called()
    harness.caller.only.answer(503, { retryAfter: '599' })
    await harness.clock.advance(599 * SECOND)
    expect(harness.caller.only.startedAt).toBe(MINUTE_MS + 599 * SECOND)
  })
})

describe('a window that closes', () => {
  const closed = `out of time: no call may start at or after ${new Date(MINUTE_MS + 10 * MINUTES).toISOString()}`

  it('before a retry could be made ends the task as failed, with both reasons', async () => {
    const harness = await called()
    harness.caller.only.answer(500)
    await harness.clock.advance(0)
    harness.clock.block(10 * MINUTES)
    await harness.clock.advance(SECOND)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 1, error: `${closed}; before that: answered 500, expected 200` })
    expect(harness.events('task.failed')).toMatchObject([{ level: 'warn', task: KEY }])
  })

  it('before any attempt could be made ends the task as skipped', async () => {
    const harness = new SchedulerHarness()
    await harness.put(aTask())
    await harness.start()
    harness.clock.block(10 * SECOND + 10 * MINUTES)
    await harness.clock.advance(SECOND)
    expect(harness.caller.calls).toEqual([])
    expect(await harness.task()).toMatchObject({ state: 'skipped', attempts: 0, error: closed, executedAt: null })
    expect(await harness.history()).toEqual([])
  })

  it('while its host is full ends the task as skipped as soon as it closes', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, maxInflight: 1 })
    await harness.put(aTask({ name: 'slow', definition: { timeout: 1800, max_delay: 60 } }), aTask())
    await harness.start()
    expect(harness.caller.only.key).toBe(`slow@${MINUTE}`)
    await harness.clock.advance(10 * MINUTES - 1)
    expect(await harness.task()).toMatchObject({ state: 'pending' })
    await harness.clock.advance(1)
    expect(await harness.task()).toMatchObject({ state: 'skipped', error: closed })
  })

  it('after the claim but before the call ends the task as skipped, with no attempt', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    harness.caller.setBusy(true)
    await harness.put(aTask())
    await harness.start()
    await harness.clock.advance(10 * MINUTES)
    harness.caller.setBusy(false)
    await harness.clock.advance(0)
    expect(harness.caller.calls).toEqual([])
    expect(await harness.task()).toMatchObject({ state: 'skipped', attempts: 0, error: closed })
    expect(await harness.history()).toEqual([])
    expect(harness.lanes.inflight).toBe(0)
  })

  it('after the claim but before a second call ends the task as failed, with the one attempt and its answer', async () => {
    const harness = await called()
    harness.caller.setBusy(true)
    harness.caller.only.answer(500, { body: 'oops' })
    await harness.clock.advance(10 * MINUTES)
    harness.caller.setBusy(false)
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({
      state: 'failed',
      attempts: 1,
      responseStatus: 500,
      responseBody: 'oops',
      executedAt: MINUTE_MS,
      error: `${closed}; before that: answered 500, expected 200`,
    })
    expect(await harness.history()).toHaveLength(1)
  })

  it('during a call leaves the call its result', async () => {
    const harness = await called({ timeout: 1800 })
    await harness.clock.advance(15 * MINUTES)
    harness.caller.only.answer()
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'successful', executedAt: MINUTE_MS + 15 * MINUTES })
  })
})

describe('at most once', () => {
  it('means that a failed call is not made again', async () => {
    const harness = await called({ delivery: 'at_most_once' })
    harness.caller.only.answer(500)
    await harness.clock.advance(10 * MINUTES)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 1, error: 'answered 500, expected 200' })
  })

  it('means that a lost call is not made again, and the reason says so', async () => {
    const harness = await called({ delivery: 'at_most_once' })
    harness.caller.only.lose('the worker died')
    await harness.clock.advance(10 * MINUTES)
    expect(harness.caller.calls).toHaveLength(1)
    const error = 'the worker died; delivery is at_most_once, so it is not called again'
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 1, error })
  })

  it('means that what an earlier process left running is not called again', async () => {
    const first = await called({ delivery: 'at_most_once' }, { node: 'node-1' })
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    await second.clock.advance(10 * MINUTES)
    expect(second.caller.calls).toEqual([])
    expect(await second.task()).toMatchObject({ state: 'failed', attempts: 1, error: expect.stringContaining('at_most_once') as string })
  })

  it('still lets a call be made later that was handed back unmade', async () => {
    const first = new SchedulerHarness({ startAt: MINUTE_MS })
    first.caller.setBusy(true)
    await first.put(aTask({ definition: { delivery: 'at_most_once' } }))
    await first.start()
    await first.stop()
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    expect(second.caller.only.request.headers).toMatchObject({ 'callme-attempt': '1', 'callme-max-attempts': '1' })
  })
})

describe('a lost call', () => {
  it('is made again at once and uses up no retry', async () => {
    const harness = await called()
    harness.caller.only.lose('the worker died')
    await harness.clock.advance(0)
    expect(harness.caller.only.request.headers).toMatchObject({ 'callme-attempt': '2', 'callme-max-attempts': '3' })
    expect(await harness.history()).toMatchObject([{ number: 1, status: null, error: 'the worker died' }])
    harness.caller.only.answer(500)
    await harness.clock.advance(SECOND)
    expect(harness.caller.only.request.headers).toMatchObject({ 'callme-attempt': '3', 'callme-max-attempts': '3' })
    harness.caller.only.answer(500)
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 3, lost: 1, error: 'answered 500, expected 200' })
  })

  it('fails the task with the fifth loss of one run', async () => {
    const harness = await called()
    harness.caller.script = (call) => {
      call.lose('the worker died')
    }
    harness.caller.only.lose('the worker died')
    await harness.clock.advance(10 * MINUTES)
    expect(harness.caller.calls).toHaveLength(5)
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 5, error: expect.stringContaining('lost 5 times') as string })
    expect(await harness.history()).toHaveLength(5)
  })

  it('of a task whose window has closed meanwhile is not made again', async () => {
    const harness = await called({ timeout: 1800 })
    await harness.clock.advance(11 * MINUTES)
    harness.caller.only.lose('the worker died')
    await harness.clock.advance(SECOND)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task()).toMatchObject({ state: 'failed', error: expect.stringMatching(/^out of time.*; before that: the worker died$/) as string })
  })
})

describe('a stop', () => {
  it('waits for a call under way and keeps its result', async () => {
    const harness = await called()
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
    const first = await called()
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
    const first = await called()
    first.caller.setBusy(true)
    first.caller.only.answer(500, { body: 'oops' })
    await first.clock.advance(SECOND)
    expect(await first.task()).toMatchObject({ state: 'running', attempts: 2 })
    await first.stop()
    expect(await first.task()).toMatchObject({ state: 'retrying', attempts: 1, error: 'answered 500, expected 200', responseStatus: 500, responseBody: 'oops' })
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    expect(second.caller.only.request.headers['callme-attempt']).toBe('2')
  })

  it('during a pass waits for it, and what it claims is settled too', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    await harness.upkeep.rescueAbandoned()
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
