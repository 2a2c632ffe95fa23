/** How bad news is delivered: once for each run that ends badly, by a call that goes the way of every other. */
import { describe, expect, it } from 'vitest'
import { MINUTE, aTask, aTaskWithoutCallback } from '../support/a-task.ts'
import { ALARM, bodyOf, callsToAlarm, refused } from '../support/refused-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000
const KEY = `a-task@${MINUTE}`

describe('the error callback', () => {
  it('with a damaged payload fails with the reason, and the process goes on', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask({ name: 'a-task@run', definition: { payload: 7 } }), aTask({ name: 'other' }))
    await harness.start()
    expect(harness.caller.only.request.headers['callme-task']).toBe(`other@${MINUTE}`)
    expect(await harness.task('a-task@run')).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('no request can be made') as string,
    })
  })

  it('tells, at once and as JSON, what the task was, how it went, and what it carried', async () => {
    const payload = { order: [7, 'é'] }
    const harness = await refused({ payload, callback_method: 'POST', retry: 3, headers: { authorization: 'Bearer secret' } })
    const { runId } = await harness.task()
    const { request, startedAt } = harness.caller.only
    expect(startedAt).toBe(MINUTE_MS)
    expect(request).toMatchObject({ url: ALARM, method: 'POST', timeoutMs: 15_000 })
    expect(request.headers).toEqual({
      'user-agent': 'callme/1.2.3',
      'content-type': 'application/json',
      'callme-task': KEY,
      'callme-run-id': expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      'callme-attempt': '1',
      'callme-max-attempts': '4',
      'callme-trigger-at': String(MINUTE),
    })
    expect(request.headers['callme-run-id']).not.toBe(runId)
    const body = bodyOf(harness.caller.only)
    expect(Object.keys(body)).toEqual(['task', 'attempts', 'last_attempt', 'payload'])
    expect(body['payload']).toEqual(payload)
    expect(body['task']).toMatchObject({
      task_name: 'a-task',
      trigger_at: String(MINUTE),
      task_state: 'failed',
      run_id: runId,
      attempts: 1,
      headers: { authorization: 'redacted' },
      response_status: 404,
      response_body: 'no such thing',
      error: 'answered 404, expected 200',
    })
    expect(body['task']).not.toHaveProperty('payload')
    const attempt = { run_id: runId, number: 1, status: 404, error: 'answered 404, expected 200', node: 'node-1' }
    expect(body['attempts']).toMatchObject([attempt])
    expect(body['last_attempt']).toMatchObject(attempt)
  })

  it('is called after the last attempt alone, and tells of every one', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask({ definition: { error_callback: ALARM, retry: 2 } }))
    harness.caller.script = (call) => {
      call.answer(call.host === 'alarm.test' ? 200 : 503)
    }
    await harness.start()
    await harness.clock.advance(10 * MINUTES)
    expect(harness.caller.calls.map(({ host }) => host)).toEqual(['receiver.test', 'receiver.test', 'receiver.test', 'alarm.test'])
    const [call] = callsToAlarm(harness)
    expect(bodyOf(call)['attempts']).toMatchObject([{ number: 1 }, { number: 2 }, { number: 3 }])
    expect(bodyOf(call)['last_attempt']).toMatchObject({ number: 3 })
  })

  it('is called for a task that was skipped, which had no attempt', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS + 10 * MINUTES })
    await harness.put(aTask({ definition: { error_callback: ALARM } }))
    await harness.start()
    const body = bodyOf(harness.caller.only)
    expect(body).toMatchObject({ task: { task_state: 'skipped' }, attempts: [], last_attempt: null, payload: '' })
    expect(harness.caller.only.request.deadline).toBe(MINUTE_MS + 20 * MINUTES)
  })

  it.each<[string, (harness: SchedulerHarness) => unknown]>([
    [
      'its node was lost and it may be called at most once',
      ({ caller }) => {
        caller.only.lose('the worker died')
      },
    ],
    ['it was refused by an acknowledgement', (harness) => harness.acknowledge({ status: 'failed', retryable: false })],
    [
      'its work was accepted and then silent',
      async ({ caller, clock }) => {
        caller.only.answer()
        await clock.advance(MINUTES + 15 * SECOND)
      },
    ],
  ])('is called when %s', async (_, end) => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask({ definition: { error_callback: ALARM, delivery: 'at_most_once', ack_timeout: 1 } }))
    await harness.start()
    await end(harness)
    await harness.clock.advance(0)
    expect(callsToAlarm(harness)).toHaveLength(1)
    expect(bodyOf(callsToAlarm(harness)[0])).toMatchObject({ task: { task_state: 'failed' }, last_attempt: { number: 1 } })
  })

  it('is that of the handler where the task has none', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.putHandler('a-task', { error_callback: ALARM })
    await harness.put(aTask())
    await harness.start()
    harness.caller.only.answer(404)
    await harness.clock.advance(0)
    expect(callsToAlarm(harness)).toHaveLength(1)
  })

  it('is called for a task that has nothing to call, with the reason', async () => {
    const harness = new SchedulerHarness()
    await harness.putHandler('a-task', { callback: 'http://receiver.test/' })
    await harness.put(aTaskWithoutCallback({ definition: { error_callback: ALARM } }))
    await harness.store.removeHandler('a-task', { force: true })
    await harness.start()
    await harness.clock.advance(10 * SECOND)
    expect(harness.caller.only.request.url).toBe(ALARM)
    expect(bodyOf(harness.caller.only)).toMatchObject({
      task: { task_state: 'failed', callback: null, error: expect.stringContaining('no handler with one any more') as string },
      attempts: [],
      last_attempt: null,
    })
  })

  it('is not called for a task that ends well', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask({ definition: { error_callback: ALARM } }))
    await harness.start()
    harness.caller.only.answer()
    await harness.clock.advance(10 * MINUTES)
    expect(callsToAlarm(harness)).toEqual([])
    expect((await harness.task()).errorCallback).toBeNull()
  })
})

describe('a delivery', () => {
  it('that is answered with any 2xx is done, and the task says so', async () => {
    const harness = await refused()
    expect((await harness.task()).errorCallback).toMatchObject({ state: 'running', attempts: 1 })
    harness.caller.only.answer(204)
    await harness.clock.advance(10 * MINUTES)
    expect(callsToAlarm(harness)).toHaveLength(1)
    expect((await harness.task()).errorCallback).toEqual({
      state: 'successful',
      attempts: 1,
      executedAt: MINUTE_MS,
      responseStatus: 204,
      error: null,
    })
  })

  it('that fails is made again after the backoff, under the same run id', async () => {
    const harness = await refused({ retry: 0 })
    harness.caller.only.answer(503)
    await harness.clock.advance(499)
    expect(callsToAlarm(harness)).toHaveLength(1)
    expect((await harness.task()).errorCallback).toMatchObject({ state: 'retrying', error: 'answered 503, expected 2xx' })
    await harness.clock.advance(501)
    const [first, second] = callsToAlarm(harness)
    expect(second?.request.headers).toMatchObject({
      'callme-run-id': first?.request.headers['callme-run-id'],
      'callme-attempt': '2',
      'callme-max-attempts': '2',
    })
    second?.answer()
    await harness.clock.advance(0)
    expect((await harness.task()).errorCallback).toMatchObject({ state: 'successful', attempts: 2 })
  })

  it('that fails for good is told by the task, and nobody is told of it in turn', async () => {
    const harness = await refused()
    harness.caller.only.answer(410)
    await harness.clock.advance(60 * MINUTES)
    expect(harness.caller.calls).toHaveLength(2)
    expect((await harness.task()).errorCallback).toMatchObject({
      state: 'failed',
      responseStatus: 410,
      error: 'answered 410, expected 2xx',
    })
  })

  it('has the window of the task, from its end on', async () => {
    const harness = await refused({ max_delay: 3 })
    expect(harness.caller.only.request.deadline).toBe(MINUTE_MS + 3 * MINUTES)
    harness.caller.only.answer(503, { retryAfter: '180' })
    await harness.clock.advance(10 * MINUTES)
    expect((await harness.task()).errorCallback).toMatchObject({ state: 'failed', error: expect.stringContaining('no retry') as string })
  })

  it('is no task of its own to those who look', async () => {
    const harness = await refused()
    expect(await harness.store.counts()).toEqual({ pending: 0, running: 0, retrying: 0, successful: 0, failed: 1, skipped: 0 })
    expect((await harness.store.list({}, { limit: 10 })).tasks.map(({ name }) => name)).toEqual(['a-task'])
  })

  it('waits for no limit of the name of its task', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.putHandler('a-task', { concurrency: 1, error_callback: ALARM })
    await harness.put(aTask(), aTask({ triggerAt: MINUTE - 60 }))
    await harness.start()
    harness.caller.only.answer(404)
    await harness.clock.advance(0)
    expect(harness.caller.open.map(({ host }) => host).toSorted()).toEqual(['alarm.test', 'receiver.test'])
  })
})
