/** When a call is made again, and when there is no time left for it. */
import fc from '../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness, afterOneCall } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000
const KEY = `a-task@${MINUTE}`

describe('a call that is answered with 500', () => {
  it('is made again between half a second and a second later, and the task succeeds with it', async () => {
    const harness = await afterOneCall()
    const { runId } = await harness.task()
    await harness.clock.advance(3 * SECOND)
    harness.caller.only.answer(500, { body: 'oops' })
    await harness.clock.advance(499)
    const waiting = await harness.task()
    expect(waiting).toMatchObject({
      state: 'retrying',
      attempts: 1,
      responseStatus: 500,
      responseBody: 'oops',
      error: 'answered 500, expected 200',
    })
    expect(waiting.dueAt).toBeGreaterThanOrEqual(MINUTE_MS + 3500)
    expect(waiting.dueAt).toBeLessThanOrEqual(MINUTE_MS + 4000)
    expect(harness.caller.open).toEqual([])
    await harness.clock.advance(501)
    expect(harness.caller.only.startedAt).toBe(waiting.dueAt)
    harness.caller.only.answer()
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({
      state: 'successful',
      attempts: 2,
      runId,
      error: null,
      responseStatus: 200,
      responseBody: '',
    })
    expect(await harness.history()).toMatchObject([
      { number: 1, status: 500, error: 'answered 500, expected 200' },
      { number: 2, status: 200, error: null },
    ])
    expect(harness.events('task.retry')).toMatchObject([{ level: 'debug', task: KEY, attempt: 1, status: 500 }])
  })

  it('is made again by a later process on the same store, as the second attempt of the same run', async () => {
    const first = await afterOneCall({}, { node: 'node-1' })
    first.caller.only.answer(500)
    await first.clock.advance(0)
    const waiting = await first.task()
    await first.stop()

    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    await second.clock.advance(waiting.dueAt - second.clock.now() - 1)
    expect(second.caller.calls).toEqual([])
    await second.clock.advance(1)
    expect(second.caller.only.request.headers).toMatchObject({
      'callme-run-id': waiting.runId,
      'callme-attempt': '2',
      'callme-max-attempts': '2',
    })
    second.caller.only.answer()
    await second.clock.advance(0)
    expect(await second.task()).toMatchObject({ state: 'successful', attempts: 2 })
    expect(await second.history()).toMatchObject([{ node: 'node-1' }, { node: 'node-2' }])
  })

  it('is tried as often as the task says and then fails with the last answer', async () => {
    const harness = await afterOneCall({ retry: 3, max_delay: 60 })
    harness.caller.script = (call) => {
      call.answer(503, { body: `answer ${harness.caller.calls.length}` })
    }
    harness.caller.only.answer(500)
    await harness.clock.advance(60 * MINUTES)
    expect(harness.caller.calls.map(({ request }) => request.headers['callme-attempt'])).toEqual(['1', '2', '3', '4'])
    expect(await harness.task()).toMatchObject({
      state: 'failed',
      attempts: 4,
      responseStatus: 503,
      responseBody: 'answer 4',
      error: 'answered 503, expected 200',
    })
    expect(harness.events('task.failed')).toMatchObject([{ level: 'warn', task: KEY, attempt: 4, error: 'answered 503, expected 200' }])
  })

  it('is tried again after waits that double, each at most as long as the rule says and at least half of it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 7 }), async (randoms) => {
        let n = 0
        const harness = await afterOneCall({ retry: 10, max_delay: 60 }, { random: () => randoms[n++ % randoms.length] ?? 0 })
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

describe('Retry-After', () => {
  it.each([
    ['in seconds', '95'],
    ['as a date', new Date(MINUTE_MS + 95 * SECOND).toUTCString()],
  ])('%s is waited for to the second', async (_, retryAfter) => {
    const harness = await afterOneCall()
    harness.caller.only.answer(429, { retryAfter })
    await harness.clock.advance(95 * SECOND - 1)
    expect(harness.caller.calls).toHaveLength(1)
    await harness.clock.advance(1)
    expect(harness.caller.only.startedAt).toBe(MINUTE_MS + 95 * SECOND)
  })

  it('beyond the window ends the task with the reason', async () => {
    const harness = await afterOneCall()
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
    const harness = await afterOneCall()
    harness.caller.only.answer(503, { retryAfter: '599' })
    await harness.clock.advance(599 * SECOND)
    expect(harness.caller.only.startedAt).toBe(MINUTE_MS + 599 * SECOND)
  })
})

describe('a window that closes', () => {
  const closed = `out of time: no call may start at or after ${new Date(MINUTE_MS + 10 * MINUTES).toISOString()}`

  it('before a retry could be made ends the task as failed, with both reasons', async () => {
    const harness = await afterOneCall()
    harness.caller.only.answer(500)
    await harness.clock.advance(0)
    harness.clock.block(10 * MINUTES)
    await harness.clock.advance(SECOND)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task()).toMatchObject({
      state: 'failed',
      attempts: 1,
      error: `${closed}; before that: answered 500, expected 200`,
    })
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
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, maxInflight: 1, maxOpenCalls: 1 })
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
    expect(harness.hosts.open).toBe(0)
  })

  it('after the claim but before a second call ends the task as failed, with the one attempt and its answer', async () => {
    const harness = await afterOneCall()
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
    const harness = await afterOneCall({ timeout: 1800 })
    await harness.clock.advance(15 * MINUTES)
    harness.caller.only.answer()
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'successful', executedAt: MINUTE_MS + 15 * MINUTES })
  })
})
