/** What a claimed task looks like on the wire. */
import fc from '../support/fast-check.ts'
import { LEASE_LEFT_MS, LEASE_MS } from '../../src/scheduler/leases.ts'
import { describe, expect, it } from 'vitest'
import type { CallRequest } from '../../src/caller/caller.ts'
import type { JsonValue, TaskDefinition } from '../../src/domain/task/task.ts'
import { formatTaskKey, parseTaskName } from '../../src/domain/task/task-key.ts'
import { MINUTE, aTask, aTaskWithoutCallback } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'

/** The request of the first attempt. */
async function requestOf(definition: Partial<TaskDefinition> = {}, name = 'a-task'): Promise<CallRequest> {
  const harness = new SchedulerHarness({ startAt: MINUTE_MS })
  await harness.put(aTask({ name, definition }))
  await harness.start()
  const { request } = harness.caller.only
  await harness.stop()
  await harness.store.close()
  return request
}

describe('the request', () => {
  it('of a task with nothing but a callback is a GET without a body', async () => {
    const request = await requestOf({ callback: 'http://receiver.test/run?a=b' })
    expect(request).toEqual({
      url: 'http://receiver.test/run?a=b',
      method: 'GET',
      headers: {
        'user-agent': 'callme/1.2.3',
        'callme-task': `a-task@${MINUTE}`,
        'callme-run-id': expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
        'callme-attempt': '1',
        'callme-max-attempts': '2',
        'callme-trigger-at': String(MINUTE),
      },
      body: undefined,
      timeoutMs: 15_000,
      mayReuseConnection: true,
      dueAt: MINUTE_MS,
      deadline: MINUTE_MS + 600_000,
      claimedAt: MINUTE_MS,
      leaseUntil: MINUTE_MS + LEASE_MS - LEASE_LEFT_MS,
    })
  })

  it('has the method, the time and the window that the task asks for', async () => {
    const request = await requestOf({ callback_method: 'PATCH', timeout: 90, max_delay: 3, retry: 7 })
    expect(request).toMatchObject({
      method: 'PATCH',
      timeoutMs: 90_000,
      deadline: MINUTE_MS + 180_000,
      headers: { 'callme-max-attempts': '8' },
    })
  })

  it('allows one attempt where delivery is at_most_once', async () => {
    expect((await requestOf({ delivery: 'at_most_once' })).headers['callme-max-attempts']).toBe('1')
  })
})

describe('the payload', () => {
  it.each<[JsonValue, string]>([
    [{ a: [1, null, 'é'] }, '{"a":[1,null,"é"]}'],
    [[], '[]'],
    [0, '0'],
    [false, 'false'],
    [null, 'null'],
  ])('%j is sent as JSON and says so', async (payload, body) => {
    const request = await requestOf({ callback_method: 'POST', payload })
    expect(request).toMatchObject({ body, headers: { 'content-type': 'application/json' } })
  })

  it.each(['a=1&b=2', '{"already":"json"}', ' ', 'ü\r\n\0'])(
    '%j, a string, is sent as it is and its type is for the client to say',
    async (payload) => {
      const request = await requestOf({ callback_method: 'POST', payload })
      expect(request.body).toBe(payload)
      expect(request.headers).not.toHaveProperty('content-type')
    },
  )

  it.each(['POST', 'PUT', 'PATCH', 'DELETE'] as const)('that is empty is an empty body of %s', async (callback_method) => {
    const request = await requestOf({ callback_method, payload: '' })
    expect(request.body).toBe('')
    expect(request.headers).not.toHaveProperty('content-type')
  })

  it('is sent with a GET too when it is not empty', async () => {
    expect(await requestOf({ payload: 'q' })).toMatchObject({ method: 'GET', body: 'q' })
    expect(await requestOf({ payload: { q: 1 } })).toMatchObject({
      method: 'GET',
      body: '{"q":1}',
      headers: { 'content-type': 'application/json' },
    })
  })

  it.each<JsonValue>(['text', { json: true }])('%j is not sent with a HEAD, and no type is claimed for it', async (payload) => {
    const request = await requestOf({ callback_method: 'HEAD', payload })
    expect(request.body).toBeUndefined()
    expect(request.headers).not.toHaveProperty('content-type')
  })
})

describe("the client's headers", () => {
  it('are sent in lower case', async () => {
    expect((await requestOf({ headers: { 'X-Trace': 'Abc', authorization: 'Bearer t' } })).headers).toMatchObject({
      'x-trace': 'Abc',
      authorization: 'Bearer t',
    })
  })

  it.each(['User-Agent', 'user-agent', 'USER-AGENT'])('win over callme where they say %s', async (name) => {
    const { headers } = await requestOf({ headers: { [name]: 'mine/1' } })
    expect(Object.entries(headers).filter(([header]) => header.toLowerCase() === 'user-agent')).toEqual([['user-agent', 'mine/1']])
  })

  it('win over the type of a JSON payload', async () => {
    const { headers } = await requestOf({
      callback_method: 'POST',
      payload: {},
      headers: { 'Content-Type': 'application/cloudevents+json' },
    })
    expect(headers['content-type']).toBe('application/cloudevents+json')
  })

  it('do not win over those of callme', async () => {
    const { headers } = await requestOf({ headers: { 'Callme-Task': 'other@60', 'callme-attempt': '9' } })
    expect(headers).toMatchObject({ 'callme-task': `a-task@${MINUTE}`, 'callme-attempt': '1' })
  })
})

describe('Callme-Task', () => {
  it.each([
    ['plain.Name_1~(2)!', 'plain.Name_1~(2)!'],
    ['grüße', 'gr%C3%BC%C3%9Fe'],
    ['日本', '%E6%97%A5%E6%9C%AC'],
    ['😀', '%F0%9F%98%80'],
    ['100%', '100%25'],
    ['%41', '%2541'],
    ['a"b,c;d', 'a"b,c;d'],
  ])('of %s is %s', async (name, header) => {
    expect((await requestOf({}, name)).headers['callme-task']).toBe(`${header}@${MINUTE}`)
  })

  it('is ASCII that fits into a header and decodes to the key, for every name', async () => {
    const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }).filter((text) => parseTaskName(text).ok)
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(name, { minLength: 1, maxLength: 100 }), async (names) => {
        const harness = new SchedulerHarness({ startAt: MINUTE_MS, maxInflight: 1000 })
        await harness.put(...names.map((one, n) => aTask({ name: one, definition: { callback: `http://host-${n}.test/` } })))
        await harness.start()
        const headers = harness.caller.calls.map(({ key }) => key)
        for (const header of headers) expect(header).toMatch(/^[\x21-\x7e]+$/)
        expect(headers.map(decodeURIComponent).toSorted()).toEqual(
          names.map((one) => formatTaskKey({ name: one, triggerAt: MINUTE })).toSorted(),
        )
      }),
      { numRuns: 10 },
    )
  })
})

describe('over the attempts of a run', () => {
  it('the run id stays and the attempt number grows by one', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask({ definition: { retry: 4 } }))
    harness.caller.script = (call) => {
      call.answer(500)
    }
    await harness.start()
    await harness.clock.advance(120_000)
    const headers = harness.caller.calls.map(({ request }) => request.headers)
    expect(headers.map((header) => header['callme-attempt'])).toEqual(['1', '2', '3', '4', '5'])
    expect(new Set(headers.map((header) => header['callme-run-id'])).size).toBe(1)
    expect(new Set(headers.map((header) => header['callme-max-attempts']))).toEqual(new Set(['5']))
  })

  it('another run has another id and starts again at one', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    harness.caller.script = (call) => {
      call.answer(404)
    }
    await harness.start()
    await harness.clock.advance(1000)
    await harness.store.run({ name: 'a-task', triggerAt: MINUTE }, { now: harness.clock.now() })
    harness.ticker.wake(harness.clock.now())
    await harness.clock.advance(0)
    const [first, second] = harness.caller.calls.map(({ request }) => request.headers)
    expect(second).toMatchObject({ 'callme-attempt': '1', 'callme-task': first?.['callme-task'] })
    expect(second?.['callme-run-id']).not.toBe(first?.['callme-run-id'])
    expect(second).not.toHaveProperty('callme-in-advance')
  })
})

describe('Callme-In-Advance', () => {
  it('is true for every attempt of a run that was started before its minute', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    const triggerAt = MINUTE + 86_400
    await harness.put(aTask({ triggerAt }))
    harness.caller.script = (call) => {
      call.answer(500)
    }
    await harness.start()
    expect(harness.caller.calls).toEqual([])
    await harness.store.run({ name: 'a-task', triggerAt }, { now: harness.clock.now() })
    harness.ticker.wake(harness.clock.now())
    await harness.clock.advance(2000)
    expect(harness.caller.calls).toHaveLength(2)
    for (const { request } of harness.caller.calls) {
      expect(request.headers).toMatchObject({ 'callme-in-advance': 'true', 'callme-trigger-at': String(triggerAt) })
      expect(request.deadline).toBe(MINUTE_MS + 600_000)
    }
  })
})

describe('a template of a handler', () => {
  it('is filled in anew at each attempt', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.putHandler('mail.*', { callback: 'http://receiver.test/{id}/{attempt}', payload: 'n={attempt}', callback_method: 'POST' })
    await harness.put(aTaskWithoutCallback({ name: 'mail.a' }))
    harness.caller.script = (call) => {
      call.answer(503)
    }
    await harness.start()
    await harness.clock.advance(60_000)
    const sent = harness.caller.calls.map(({ request: { url, body } }) => [url, body])
    expect(sent).toEqual([1, 2].map((n) => [`http://receiver.test/a/${n}`, `n=${n}`]))
  })

  it('that a name would lead elsewhere is not called', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.putHandler('*', { callback: 'http://receiver.test/run/{name}' })
    await harness.put(aTaskWithoutCallback({ name: '..' }))
    await harness.start()
    expect(harness.caller.calls).toEqual([])
    const reason = 'the name ".." would lead the call to another path than the callback of its handler says'
    expect(await harness.task('..')).toMatchObject({ state: 'failed', attempts: 0, error: expect.stringContaining(reason) as string })
  })
})
