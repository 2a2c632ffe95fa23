import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { firstDueAt } from '../../src/domain/task/task.ts'
import { MINUTE } from '../support/a-task.ts'
import { DEFAULT_TIMEOUT, openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem, expectTask } from '../support/wire.ts'

const CALLBACK = 'http://receiver.test/run'
const GOOD = { trigger_at: '+6h', callback: CALLBACK }

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

const put = (name: string, body: object | string, query = '') => api.http.put(`/task/${name}${query}`).send(body)
const stored = async () => (await api.store.list({}, { limit: 100 })).tasks

describe('PUT /task/<name>', () => {
  it('stores a task with every default and answers it with its place', async () => {
    const answer = await put('first', GOOD)
    const triggerAt = MINUTE - 60 + 6 * 3600
    expect(answer.status).toBe(201)
    expect(answer.headers).toMatchObject({ location: `/task/first@${triggerAt}`, 'content-type': 'application/json; charset=utf-8' })
    expect(Object.keys(answer.body)).toEqual(['message', 'task'])
    expect(answer.body.message).toBe('task successfully registered')
    const due = new Date(triggerAt * 1000).toISOString()
    const now = new Date(api.clock.now()).toISOString()
    expect(expectTask(answer.body.task)).toEqual({
      task_name: 'first',
      key: `first@${triggerAt}`,
      trigger_at: String(triggerAt),
      trigger_time: due,
      local_time: null,
      task_state: 'pending',
      callback: CALLBACK,
      callback_method: 'GET',
      payload: '',
      headers: {},
      expected_http_status: 200,
      retry: 1,
      max_delay: 10,
      timeout: DEFAULT_TIMEOUT,
      error_callback: null,
      error_payload: null,
      delivery: 'at_least_once',
      ack_timeout: null,
      repeat: null,
      timezone: 'UTC',
      spread: 0,
      run_id: expect.any(String),
      attempts: 0,
      lost: 0,
      next_attempt: due,
      executed_at: null,
      response_status: null,
      response_body: null,
      error: null,
      created: now,
      updated: now,
      rescheduled_to: null,
      rescheduled_from: null,
      repeated_to: null,
      error_callback_result: null,
    })
  })

  it('reads every field back as it was given', async () => {
    const given = {
      callback: `${CALLBACK}?a=1#b`,
      callback_method: 'post',
      payload: { list: [1, 'two', null, { deep: true }] },
      headers: { 'Content-Type': 'application/json', 'X-Plain': 'café' },
      expected_http_status: [204, '3xx'],
      retry: 0,
      max_delay: 525_600,
      timeout: 1800,
      error_callback: 'https://alarm.test:8443/?from=callme',
      delivery: 'at_most_once',
      ack_timeout: 10_080,
      repeat: '*/5 9-17 * * 1-5',
      timezone: 'Europe/Berlin',
      spread: 59,
    }
    const { headers } = await put('all-fields', { trigger_at: '+1d', ...given })
    const answer = await api.http.get(headers['location'] ?? '')
    expect(expectTask(answer.body.tasks[0])).toMatchObject({ ...given, callback_method: 'POST' })
  })

  it.each([
    ['a string'],
    [''],
    [0],
    [false],
    [null],
    [[1, [2]]],
    [{ a: { b: {} } }],
    [JSON.parse('{"__proto__":{"x":1},"constructor":2}')],
  ])('keeps the payload %j as it is', async (payload) => {
    await put('payload', { ...GOOD, payload })
    const [task] = await stored()
    expect(JSON.stringify(task?.definition.payload)).toBe(JSON.stringify(payload))
  })

  it('stores only what the client gave, so that a new default reaches waiting tasks', async () => {
    await put('sparse', GOOD)
    expect((await stored())[0]?.definition).toEqual({ callback: CALLBACK })
  })

  it('replaces the entry of the same name and minute', async () => {
    await put('twice', { trigger_at: '+1h', callback: CALLBACK })
    const answer = await put('twice', { trigger_at: '+60m', callback: `${CALLBACK}/new` })
    expect(answer.status).toBe(200)
    expect((await stored()).map((task) => task.definition.callback)).toEqual([`${CALLBACK}/new`])
  })

  it('does not replace with If-None-Match: *', async () => {
    const first = await put('once', GOOD).set('If-None-Match', '*')
    expect(first.status).toBe(201)
    const second = await put('once', { ...GOOD, retry: 5 }).set('If-None-Match', '*')
    expect(expectProblem(second, 412)).toContain('leave out "If-None-Match: *"')
    expect((await stored())[0]?.definition).toEqual({ callback: CALLBACK })
  })

  it.each([
    ['If-Match', '*'],
    ['If-Match', '"a"'],
    ['If-None-Match', '"a"'],
    ['If-None-Match', '*, "a"'],
  ])('refuses the condition %s: %s and stores nothing', async (name, value) => {
    const sentence = expectProblem(await put('once', GOOD).set(name, value), 400)
    expect(sentence).toContain('the only condition that is known is "If-None-Match: *"')
    expect(sentence).toContain(`got ${JSON.stringify(`${name}: ${value}`)}`)
    expect(await stored()).toEqual([])
  })

  it('refuses to replace an entry that is running', async () => {
    await api.claimed('busy')
    const answer = await put('busy', { trigger_at: MINUTE, callback: CALLBACK })
    expect(expectProblem(answer, 409)).toContain(`"busy@${MINUTE}" is running`)
    expect((await stored())[0]?.state).toBe('running')
  })

  it('wakes the scheduler for the new minute and logs the key, never the payload', async () => {
    await put('quiet', { ...GOOD, payload: 'confidential', headers: { authorization: 'Bearer confidential' } })
    const triggerAt = MINUTE - 60 + 6 * 3600
    expect(api.wakes).toEqual([triggerAt * 1000])
    expect(api.logged).toEqual([{ level: 'debug', event: 'task.stored', fields: { task: `quiet@${triggerAt}` } }])
  })

  it('wakes the scheduler for the second that its spread gives it', async () => {
    const answer = await put('spread-out', { ...GOOD, spread: 59 })
    const dueAt = firstDueAt({ name: 'spread-out', triggerAt: MINUTE - 60 + 6 * 3600 }, { spread: 59 })
    expect(api.wakes).toEqual([dueAt])
    expect(answer.body.task.next_attempt).toBe(new Date(dueAt).toISOString())
    expect(answer.body.task.trigger_at).toBe(String(MINUTE - 60 + 6 * 3600))
  })

  it('shows the values of its handler where it has none of its own, and stores only its own', async () => {
    const handler = { callback: CALLBACK, retry: 7, headers: { 'X-A': 'handler', 'X-B': 'handler', 'X-Api-Key': 'secret' } }
    await api.store.putHandler('handled', handler, { now: api.clock.now(), force: false })
    const { task } = (await put('handled', { trigger_at: '+6h', max_delay: 5, headers: { 'x-a': 'own' } })).body
    expect(task).toMatchObject({
      callback: CALLBACK,
      retry: 7,
      max_delay: 5,
      headers: { 'x-a': 'own', 'X-B': 'handler', 'X-Api-Key': 'redacted' },
    })
    await api.store.putHandler('handled', { callback: `${CALLBACK}/new` }, { now: api.clock.now(), force: false })
    const [read] = (await api.http.get('/task/handled')).body.tasks
    expect(read).toMatchObject({ callback: `${CALLBACK}/new`, retry: 1, max_delay: 5, headers: { 'x-a': 'own' } })
  })

  it.each(['+0m', 'now'])('runs at once with %s, and has its whole window', async (trigger_at) => {
    const answer = await put('now', { trigger_at, callback: CALLBACK, max_delay: 1 })
    expect(answer.body.task.trigger_at).toBe(String(MINUTE - 60))
    expect((await stored())[0]?.deadline).toBe(api.clock.now() + 60_000)
    expect(api.wakes[0]).toBeLessThanOrEqual(api.clock.now())
  })

  it.each(['Authorization', 'cookie', 'X-Api-Key', 'x-auth-token', 'Proxy-Thing', 'X-Client-Secret'])(
    'shows the header %s redacted, and keeps it where it is sent back as it was shown',
    async (name) => {
      const answer = await put('secret', { ...GOOD, headers: { [name]: 'abc', 'X-Keyboard': 'plain' } })
      expect(answer.body.task.headers).toEqual({ [name]: 'redacted', 'X-Keyboard': 'plain' })
      await put('secret', { ...GOOD, headers: { [name]: 'abc', 'X-Keyboard': 'redacted' } }).expect(200)
      await put('secret', { ...GOOD, headers: { [name]: 'redacted', 'X-Keyboard': 'redacted' } }).expect(200)
      const sentence = expectProblem(await put('unknown', { ...GOOD, headers: answer.body.task.headers }), 400, `/headers/${name}`)
      expect(sentence).toBe(`headers.${name} holds the word "redacted", which is what a secret reads back as; send the real value`)
      expect((await stored())[0]?.definition.headers).toEqual({ [name]: 'abc', 'X-Keyboard': 'redacted' })
    },
  )

  it('takes task_name in the body where it is that of the path', async () => {
    expect((await put('named', { ...GOOD, task_name: 'named' })).status).toBe(201)
    const other = await put('named', { ...GOOD, task_name: 'other' })
    expect(expectProblem(other, 400, '/task_name')).toBe('task_name must be absent or equal to the name in the path, "named"; got "other"')
  })

  it.each([
    ['%C3%A4%E2%82%AC', 'ä€'],
    ['%F0%9F%95%92', '🕒'],
    ['a.b-c_d~e!%27()*+%25', "a.b-c_d~e!'()*+%"],
    ['a'.repeat(200), 'a'.repeat(200)],
    ['__proto__', '__proto__'],
  ])('takes the name %s', async (path, name) => {
    const answer = await put(path, GOOD)
    expect(answer.status).toBe(201)
    expect(answer.body.task.task_name).toBe(name)
    const location = answer.headers['location'] ?? ''
    expect((await api.http.get(location)).body.tasks[0].task_name).toBe(name)
  })

  it.each([
    ['%zz', 'path'],
    ['%C3', 'path'],
    ['%ED%A0%80', 'path'],
    ['a%00b', '/task_name'],
    ['a%0D%0Ab', '/task_name'],
    ['a%2Fb', '/task_name'],
    ['a%20b', '/task_name'],
    ['a@1858809600', '/task_name'],
    ['a'.repeat(201), '/task_name'],
  ])('refuses the name %s', async (path, pointer) => {
    expect(expectProblem(await put(path, GOOD), 400, pointer)).toContain(
      pointer === 'path' ? 'the name or key in the path must be' : 'task_name',
    )
    expect(await stored()).toEqual([])
  })
})
