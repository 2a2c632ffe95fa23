/** One task from its claim to its end. */
import { describe, expect, it } from 'vitest'
import type { Task, TaskDefinition } from '../../src/domain/task/task.ts'
import { LEASE_MS } from '../../src/scheduler/leases.ts'
import { presentTask } from '../../src/wire/present-task.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness, afterOneCall } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000
const KEY = `a-task@${MINUTE}`

describe('a call that is answered as expected', () => {
  it('makes the task successful, with what was answered and when', async () => {
    const harness = await afterOneCall()
    const running = await harness.task()
    expect(running).toMatchObject({ state: 'running', attempts: 1, claimedBy: 'node-1', leaseUntil: MINUTE_MS + LEASE_MS })
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
      {
        ...{ runId: running.runId, number: 1, dueAt: MINUTE_MS, startedAt: MINUTE_MS, durationMs: 2500, deadline: running.deadline },
        ...{ status: 200, error: null, outcome: 'successful', attemptsLeft: 1, node: 'node-1' },
      },
    ])
    expect(harness.events('task.successful')).toMatchObject([
      { level: 'debug', task: KEY, run_id: running.runId, attempt: 1, node: 'node-1', status: 200, duration_ms: 2500 },
    ])
  })

  it('is never made again', async () => {
    const harness = await afterOneCall()
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
    const harness = await afterOneCall({ expected_http_status })
    harness.caller.only.answer(status)
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'successful', responseStatus: status })
  })
})

it('an answer is measured against the status of the node where neither task nor handler has one, and every reader is told that', async () => {
  const harness = new SchedulerHarness({ expectedStatus: [202, '3xx'] })
  await harness.start()
  await harness.putHandler('c*', { expected_http_status: '2xx' })
  for (const [name, definition] of Object.entries({ a: {}, b: { expected_http_status: 201 }, c: {} }))
    await harness.put(
      aTask({ name, definition: { callback: `http://${name}.test/`, error_callback: 'http://alarm.test/', ...definition } }),
    )
  await harness.clock.advance(MINUTE_MS - harness.clock.now())
  for (const call of harness.caller.calls) call.answer(201)
  await harness.clock.advance(0)
  const { tasks } = await harness.store.list({}, { limit: 9 })
  expect(tasks.map(({ name, state, error }) => [name, state, error])).toEqual([
    ['a', 'failed', 'answered 201, expected 202 or 3xx; "expected_http_status":"2xx" would take it'],
    ['b', 'successful', null],
    ['c', 'successful', null],
  ])
  const [told] = (await harness.store.changes({ after: 0, limit: 99 })).changes.filter(({ kind }) => kind === 'failed')
  expect(told?.task.definition.expected_http_status).toEqual([202, '3xx'])
  const report = harness.caller.calls.find(({ host }) => host === 'alarm.test')?.request.body ?? ''
  expect(report).toContain('"expected_http_status":[202,"3xx"]')
  expect(presentTask(tasks[0] as Task, { timeout: 15, expectedStatus: '2xx' }).expected_http_status).toBe('2xx')
})

describe('a call without an answer', () => {
  it('is made again, and the reason is kept', async () => {
    const harness = await afterOneCall()
    harness.caller.only.fail('connect ECONNREFUSED 10.0.0.1:80')
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({
      state: 'retrying',
      responseStatus: null,
      responseBody: null,
      error: 'connect ECONNREFUSED 10.0.0.1:80',
    })
    await harness.clock.advance(SECOND)
    harness.caller.only.fail('read ECONNRESET')
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 2, error: 'read ECONNRESET' })
    expect(await harness.history()).toMatchObject([{ error: 'connect ECONNREFUSED 10.0.0.1:80' }, { error: 'read ECONNRESET' }])
  })
})

describe('a refusal', () => {
  it.each([400, 401, 404, 410, 422])('with %i ends the task at once', async (status) => {
    const harness = await afterOneCall({ retry: 5 })
    harness.caller.only.answer(status)
    await harness.clock.advance(30 * MINUTES)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task()).toMatchObject({
      state: 'failed',
      attempts: 1,
      responseStatus: status,
      error: `answered ${status}, expected 200`,
    })
  })

  it.each([301, 408, 425, 429, 503])('with %i does not', async (status) => {
    const harness = await afterOneCall()
    harness.caller.only.answer(status)
    await harness.clock.advance(SECOND)
    expect(harness.caller.only.request.headers['callme-attempt']).toBe('2')
  })
})

describe('at most once', () => {
  it('means that a failed call is not made again', async () => {
    const harness = await afterOneCall({ delivery: 'at_most_once' })
    harness.caller.only.answer(500)
    await harness.clock.advance(10 * MINUTES)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 1, error: 'answered 500, expected 200' })
  })

  it('means that a lost call is not made again, and the reason says so', async () => {
    const harness = await afterOneCall({ delivery: 'at_most_once' })
    harness.caller.only.lose('the worker died')
    await harness.clock.advance(10 * MINUTES)
    expect(harness.caller.calls).toHaveLength(1)
    const error = 'the worker died; delivery is at_most_once, so it is not called again'
    expect(await harness.task()).toMatchObject({ state: 'failed', attempts: 1, error })
  })

  it('means that what an earlier process left running is not called again', async () => {
    const first = await afterOneCall({ delivery: 'at_most_once' }, { node: 'node-1' })
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
    const harness = await afterOneCall()
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
    const harness = await afterOneCall()
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
    const harness = await afterOneCall({ timeout: 1800 })
    await harness.clock.advance(11 * MINUTES)
    harness.caller.only.lose('the worker died')
    await harness.clock.advance(SECOND)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task()).toMatchObject({
      state: 'failed',
      error: expect.stringMatching(/^out of time.*; before that: the worker died$/) as string,
    })
  })
})

describe('a call that the node cannot begin for want of a resource', () => {
  const shortage = { kind: 'not_called', reason: 'shortage', error: 'no descriptors (EMFILE)' } as const

  it('is no attempt: it is tried again each second, the log says so once, and nothing is used up', async () => {
    const harness = await afterOneCall({ delivery: 'at_most_once' })
    harness.caller.script = (call) => {
      if (harness.caller.calls.length < 5) call.end(shortage)
    }
    harness.caller.only.end(shortage)
    await harness.clock.advance(999)
    expect(harness.caller.calls).toHaveLength(1)
    await harness.clock.advance(3001)
    expect(harness.caller.calls).toHaveLength(5)
    expect(harness.events('node.short')).toMatchObject([{ level: 'error', error: 'no descriptors (EMFILE)' }])
    harness.caller.only.answer()
    await harness.clock.advance(0)
    expect(await harness.task()).toMatchObject({ state: 'successful', attempts: 1, error: null })
    expect(await harness.history()).toHaveLength(1)
  })

  it('leaves its slot to no other call while the shortage lasts', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, maxInflight: 4 })
    await harness.put(...Array.from({ length: 50 }, (_, n) => aTask({ name: `task-${n}` })))
    harness.caller.script = (call) => {
      call.end(shortage)
    }
    await harness.start()
    await harness.clock.advance(5900)
    expect(harness.caller.calls).toHaveLength(24)
  })

  it('holds back nothing longer than the shortage lasts, although no other call ends meanwhile', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, maxInflight: 4, maxOpenCalls: 100 })
    const aHost = (n: number) => aTask({ name: `task-${n}`, definition: { callback: `http://host-${n}.test/`, timeout: 100 } })
    await harness.put(...Array.from({ length: 20 }, (_, n) => aHost(n)))
    harness.caller.script = (call) => {
      if (harness.caller.calls.length === 4) call.end(shortage)
    }
    await harness.start()
    await harness.clock.advance(4900)
    expect(harness.caller.calls.length).toBeLessThan(8)
    await harness.clock.advance(5000)
    expect(harness.caller.calls).toHaveLength(21)
  })

  it('is skipped with the reason where the shortage outlasts its window', async () => {
    const harness = await afterOneCall()
    harness.caller.script = (call) => {
      call.end(shortage)
    }
    harness.caller.only.end(shortage)
    await harness.clock.advance(11 * MINUTES)
    const closes = new Date(MINUTE_MS + 10 * MINUTES).toISOString()
    const error = `out of time: no call may start at or after ${closes}; before that: no descriptors (EMFILE)`
    expect(await harness.task()).toMatchObject({ state: 'skipped', attempts: 0, error })
  })
})
