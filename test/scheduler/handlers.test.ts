/** What the handler of a name is to its tasks: it is looked at when a call is made, not before. */
import { describe, expect, it } from 'vitest'
import type { TaskDefinition } from '../../src/domain/task/task.ts'
import { MINUTE, aTask, aTaskWithoutCallback } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000
const OLD = 'http://old.test/run'
const NEW = 'http://new.test:8080/run'

/** A node ten seconds before `MINUTE`, at which a task without a callback is due. */
async function waiting(definition: TaskDefinition = {}): Promise<SchedulerHarness> {
  const harness = new SchedulerHarness()
  await harness.putHandler('a-task', { callback: OLD })
  await harness.put(aTaskWithoutCallback({ definition }))
  await harness.start()
  return harness
}

describe('a handler that is changed', () => {
  it('has its waiting tasks called where, and how, it says now', async () => {
    const harness = await waiting({ payload: { a: 1 } })
    await harness.putHandler('a-task', {
      callback: NEW,
      callback_method: 'PUT',
      headers: { 'X-From': 'handler' },
      timeout: 3,
      retry: 4,
      max_delay: 2,
    })
    await harness.clock.advance(10 * SECOND)
    expect(harness.caller.only.request).toMatchObject({
      url: NEW,
      method: 'PUT',
      body: '{"a":1}',
      timeoutMs: 3000,
      deadline: MINUTE_MS + 2 * MINUTES,
      headers: { 'x-from': 'handler', 'callme-max-attempts': '5' },
    })
    expect(harness.caller.only.startedAt).toBe(MINUTE_MS)
  })

  it('has a thousand of them called there, in one minute', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.putHandler('a-task', { callback: OLD })
    const minutes = Array.from({ length: 1000 }, (_, n) =>
      aTaskWithoutCallback({ triggerAt: MINUTE - n * 60, definition: { max_delay: 1440 } }),
    )
    await harness.put(...minutes)
    await harness.putHandler('a-task', { callback: NEW })
    harness.caller.script = (call) => {
      call.answer()
    }
    await harness.start()
    await harness.until(() => harness.caller.calls.length === 1000)
    expect(new Set(harness.caller.calls.map(({ request }) => request.url))).toEqual(new Set([NEW]))
  })

  it('has the next attempt of a task made there', async () => {
    const harness = await waiting()
    await harness.clock.advance(10 * SECOND)
    expect(harness.caller.only.request.url).toBe(OLD)
    harness.caller.only.answer(503)
    await harness.putHandler('a-task', { callback: NEW })
    await harness.clock.advance(SECOND)
    expect(harness.caller.only.request).toMatchObject({ url: NEW, headers: { 'callme-attempt': '2' } })
  })

  it('leaves a call that is under way as it was begun', async () => {
    const harness = await waiting({ max_delay: 60 })
    await harness.clock.advance(10 * SECOND)
    await harness.putHandler('a-task', { callback: NEW, expected_http_status: 204 })
    harness.caller.only.answer(200)
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'successful', responseStatus: 200 })
    expect(harness.caller.calls).toHaveLength(1)
  })
})

describe("a task's own value", () => {
  it('wins over that of the handler, and of the headers each one by itself', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.putHandler('a-task', { callback: OLD, callback_method: 'PUT', retry: 9, headers: { 'X-A': 'handler', 'X-B': 'handler' } })
    await harness.put(aTask({ definition: { callback: NEW, retry: 0, headers: { 'x-a': 'task' } } }))
    await harness.start()
    expect(harness.caller.only.request).toMatchObject({
      url: NEW,
      method: 'PUT',
      headers: { 'x-a': 'task', 'x-b': 'handler', 'callme-max-attempts': '1' },
    })
  })
})

describe('the window that a handler gives', () => {
  it('is made longer for tasks that wait already', async () => {
    const harness = await waiting()
    await harness.putHandler('a-task', { callback: OLD, max_delay: 60 })
    harness.clock.block(30 * MINUTES)
    await harness.clock.advance(SECOND)
    expect(harness.caller.only.request.deadline).toBe(MINUTE_MS + 60 * MINUTES)
  })

  it('is made shorter for them too', async () => {
    const harness = await waiting()
    await harness.putHandler('a-task', { callback: OLD, max_delay: 1 })
    harness.clock.block(10 * SECOND + MINUTES)
    await harness.clock.advance(SECOND)
    expect(harness.caller.calls).toEqual([])
    const closed = `out of time: no call may start at or after ${new Date(MINUTE_MS + MINUTES).toISOString()}`
    expect(await harness.task()).toMatchObject({ state: 'skipped', error: closed })
  })
})

describe('at_most_once of a handler', () => {
  it('holds for its tasks: a failed call, and a lost one, are not made again', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.putHandler('a-task', { callback: OLD, delivery: 'at_most_once' })
    await harness.put(aTaskWithoutCallback({ definition: { retry: 5 } }), aTaskWithoutCallback({ triggerAt: MINUTE - 60 }))
    await harness.start()
    const [first, second] = harness.caller.open
    first?.answer(500)
    second?.lose('the worker died')
    await harness.clock.advance(5 * MINUTES)
    expect(harness.caller.calls).toHaveLength(2)
    expect(await harness.store.counts()).toMatchObject({ failed: 2 })
  })
})

describe('a handler that was removed by force', () => {
  const reason = 'the task has no callback of its own, and the name "a-task" has no handler with one any more'

  it('has its tasks fail when they are due, with the reason and without a call', async () => {
    const harness = await waiting({ max_delay: 60, retry: 5 })
    await harness.store.removeHandler('a-task', { force: true })
    await harness.clock.advance(10 * SECOND - 1)
    expect(await harness.task()).toMatchObject({ state: 'pending' })
    await harness.clock.advance(1)
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 0, error: reason, executedAt: null, responseStatus: null })
    expect(await harness.history()).toEqual([])
    expect(harness.events('task.failed')).toMatchObject([{ level: 'warn', task: `a-task@${MINUTE}`, error: reason }])
    await harness.clock.advance(60 * MINUTES)
    expect(harness.caller.calls).toEqual([])
  })

  it('gives back the slots of those that it fails', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.putHandler('a-task', { callback: OLD })
    await harness.put(
      ...Array.from({ length: 300 }, (_, n) => aTaskWithoutCallback({ triggerAt: MINUTE - n * 60, definition: { max_delay: 1440 } })),
    )
    await harness.store.removeHandler('a-task', { force: true })
    await harness.start()
    await harness.until(() => harness.events('task.failed').length === 300)
    expect(await harness.store.counts()).toMatchObject({ pending: 0, running: 0, failed: 300 })
    expect([harness.hosts.open, harness.dispatcher.claims()]).toEqual([0, []])
  })

  it('leaves a task alone that has a callback of its own', async () => {
    const harness = await waiting()
    await harness.put(aTask({ definition: { callback: NEW } }))
    await harness.store.removeHandler('a-task', { force: true })
    await harness.clock.advance(10 * SECOND)
    expect(harness.caller.only.request.url).toBe(NEW)
  })

  it('and came back in time has its tasks called as if nothing had been', async () => {
    const harness = await waiting()
    await harness.store.removeHandler('a-task', { force: true })
    await harness.putHandler('a-task', { callback: NEW })
    await harness.clock.advance(10 * SECOND)
    expect(harness.caller.only.request).toMatchObject({ url: NEW, headers: { 'callme-attempt': '1' } })
  })
})
