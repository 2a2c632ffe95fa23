import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MINUTE } from '../support/a-task.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem } from '../support/wire.ts'

const CALLBACK = 'http://receiver.test/run'
const GOOD = { trigger_at: '+6h', callback: CALLBACK }

let api: Api
beforeAll(async () => {
  api = await openApi()
})
afterAll(() => api.close())

const put = (body: unknown) => api.http.put('/task/a').set('Content-Type', 'application/json').send(JSON.stringify(body))
const manyHeaders = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`x-${n}`, 'v']))

describe('a task definition', () => {
  it.each([
    [
      'trigger_at',
      [
        undefined,
        null,
        '',
        'soon',
        '6h',
        '+6',
        '+6w',
        '+-6h',
        '+1.5h',
        '+99999999d',
        1.5,
        -60,
        true,
        [],
        {},
        '1e9',
        '2030-02-30T00:00:00Z',
      ],
    ],
    ['trigger_at', [MINUTE + 1, MINUTE - 60, String(MINUTE - 120), '1999-01-01T00:00:00Z', '2030-01-01T00:00:30Z', '2040-01-01T00:00:00Z']],
    [
      'callback',
      [undefined, null, '', 5, 'receiver.test/run', '/run', 'ftp://receiver.test/', 'http:receiver.test', 'http:/receiver.test', 'http://'],
    ],
    [
      'callback',
      [
        'http://receiver.test/a b',
        'http://receiver.test/\r\nX: y',
        'http://rec\u0000eiver.test/',
        ' http://receiver.test/',
        'http://receiver.test\t/',
      ],
    ],
    ['callback', ['http://receiver.test:99999/', 'http:\\\\receiver.test']],
    ['callback', [`http://receiver.test/${'a'.repeat(2083)}`, 'javascript:alert(1)', 'file:///etc/passwd', 'http://[::1/']],
    ['callback_method', ['', 'FETCH', 'GET\r\nX: y', 'CONNECT', 'TRACE', 1]],
    ['headers', [[], 'a: b', 5, manyHeaders(65), { 'x-big': 'v'.repeat(16_384) }]],
    ['expected_http_status', [99, 600, '200', '6xx', 'xx2', 200.5, [], [200, '9xx'], {}, true]],
    ['retry', [-1, 101, 1.5, '1', true, []]],
    ['max_delay', [0, -1, 525_601, 1.5, '10']],
    ['timeout', [0, 1801, 1.5, '15']],
    ['delivery', ['', 'exactly_once', 1]],
    ['task_name', [5, 'other', '']],
    ['error_callback', ['', 5, 'alarm.test/run', 'ftp://alarm.test/', 'http://alarm.test/a b', `http://alarm.test/${'a'.repeat(2083)}`]],
    ['ack_timeout', [0, -1, 10_081, 1.5, '30']],
    ['spread', [-1, 60, 0.5, '5']],
    ['repeat', ['', 5, 'daily', '* * * *', '* * * * * *', '60 * * * *', '0 0 30 2 *', '@reboot', '@every 5m', '*'.repeat(201)]],
  ])('is refused with a sentence about %s when that is %j', async (field, values) => {
    for (const value of values) {
      const sentence = expectProblem(await put({ ...GOOD, [field]: value }), 400, `/${field}`)
      expect(sentence, JSON.stringify(value)).toMatch(new RegExp(`^${field} (must|is required)`))
      if (value !== undefined && typeof value !== 'object') expect(sentence).toContain('got ')
    }
    expect((await api.store.list({}, { limit: 1 })).tasks).toEqual([])
  })

  it.each([
    ['x y', 'v'],
    ['', 'v'],
    ['x:y', 'v'],
    ['x\r\ny', 'v'],
    ['x-a', 'line\r\nbreak'],
    ['x-a', 'nul\u0000'],
    ['x-a', '€'],
    ['x-a', 5],
    ['x-a', null],
    ['x-a', ['v']],
  ])('is refused for the header %j: %j', async (name, value) => {
    expect(expectProblem(await put({ ...GOOD, headers: { [name]: value } }), 400, name === 'x-a' ? '/headers/x-a' : '/headers')).toContain(
      'headers',
    )
  })

  it.each([
    ...[
      'Connection',
      'keep-alive',
      'Proxy-Authenticate',
      'proxy-authorization',
      'Proxy-Connection',
      'TE',
      'Trailer',
      'Transfer-Encoding',
      'Upgrade',
      'Expect',
    ],
    ...['Host', 'Content-Length', 'Callme-Task', 'CALLME-X', 'webhook-signature', 'Webhook-Id'],
  ])('is refused for the header %s, which the client may not set', async (name) => {
    const sentence = expectProblem(await put({ ...GOOD, headers: { [name]: 'v' } }), 400, `/headers/${name}`)
    expect(sentence).toContain(JSON.stringify(name))
  })

  it.each([
    'http://user:hunter2@receiver.test/',
    'http://hunter2@receiver.test/',
    'http://user:hunt er2@receiver.test/',
    'http://user:hunter2@receiver.test:99999/',
    'ftp://user:hunter2@receiver.test/',
  ])('is refused for the callback %s without repeating its password', async (callback) => {
    const answer = await put({ ...GOOD, callback })
    expect(expectProblem(answer, 400, '/callback')).toMatch(/^callback must/)
    expect(answer.text).not.toMatch(/hunt|got/)
  })

  it.each(['http://user:hunter2@alarm.test/', 'ftp://user:hunter2@alarm.test/'])(
    'is refused for the error_callback %s without repeating its password',
    async (error_callback) => {
      const answer = await put({ ...GOOD, error_callback })
      expect(expectProblem(answer, 400, '/error_callback')).toMatch(/^error_callback must/)
      expect(answer.text).not.toMatch(/hunt|got/)
    },
  )

  it('is refused without a callback where its name has no handler that does without one', async () => {
    const { callback: _, ...rest } = GOOD
    const sentence = 'callback is required: the name "a" has no handler with a callback, nor one whose tasks are pulled'
    expect(expectProblem(await put(rest), 400, '/callback')).toBe(sentence)
    await api.store.putHandler('a', { concurrency: 1 }, { now: api.clock.now(), force: false })
    expect(expectProblem(await put(rest), 400, '/callback')).toBe(sentence)
    await api.store.removeHandler('a', { force: false })
  })

  it.each([{ callback: CALLBACK }, { pull: true }])('needs no callback where its handler says %j', async (handler) => {
    await api.store.putHandler('handled', handler, { now: api.clock.now(), force: false })
    const answer = await api.http.put('/task/handled').send({ trigger_at: '+6h' })
    expect(answer.body.task.callback).toBe(handler.callback ?? null)
  })

  it.each([true, null, 1.5])('is refused for trigger_at %j with all that is right, the whole minute too', async (trigger_at) => {
    expect(expectProblem(await put({ ...GOOD, trigger_at }), 400, '/trigger_at')).toContain(
      'an RFC 3339 time or date on a whole minute such as',
    )
  })

  it('is refused for one header in two cases', async () => {
    expect(expectProblem(await put({ ...GOOD, headers: { 'X-A': '1', 'x-a': '2' } }), 400, '/headers/x-a')).toContain('once')
  })

  it('takes 64 headers, and 16 KiB of them', async () => {
    expect((await put({ ...GOOD, trigger_at: '+7h', headers: manyHeaders(64) })).status).toBe(201)
    expect((await put({ ...GOOD, trigger_at: '+8h', headers: { 'x-big': 'v'.repeat(16_384 - 5) } })).status).toBe(201)
  })

  it.each([1, 100])('is refused when at_most_once comes with retry %i', async (retry) => {
    const sentence = expectProblem(await put({ ...GOOD, delivery: 'at_most_once', retry }), 400, '/retry')
    expect(sentence).toBe(`retry must be absent or 0 where delivery is "at_most_once"; got ${retry}`)
  })

  it('has no retry by default when it is at_most_once', async () => {
    expect((await put({ ...GOOD, trigger_at: '+9h', delivery: 'at_most_once' })).body.task.retry).toBe(0)
  })

  it.each([
    ['calback', 'callback'],
    ['Callback', 'callback'],
    ['triggerAt', 'trigger_at'],
    ['payloud', 'payload'],
    ['maxDelay', 'max_delay'],
    ['header', 'headers'],
    ['retries', 'retry'],
    ['expected_status', 'expected_http_status'],
    ['error_calback', 'error_callback'],
    ['ack_timout', 'ack_timeout'],
    ['time_zone', 'timezone'],
    ['repeats', 'repeat'],
  ])('is refused for the unknown field %s with the nearest name %s, also when that one is missing', async (unknown, nearest) => {
    for (const rest of [GOOD, {}]) {
      const sentence = expectProblem(await put({ ...rest, [unknown]: 'x' }), 400, `/${unknown}`)
      expect(sentence).toContain(`unknown field "${unknown}"; did you mean "${nearest}"?`)
    }
  })

  it.each([
    [['url', 'uri', 'webhook', 'callbackUrl'], 'callback'],
    [['method', 'httpMethod'], 'callback_method'],
    [['body', 'data'], 'payload'],
    [['cron', 'schedule', 'every'], 'repeat'],
    [['at', 'when', 'run-at', 'time'], 'trigger_at'],
    [['retries', 'max_retries', 'retyr'], 'retry'],
    [['tz', 'timeZone'], 'timezone'],
    [['name', 'id'], 'task_name'],
    [['on_failure'], 'error_callback'],
  ] as const)('is refused for %j, with the word that callme has for it: %s', async (others, ours) => {
    for (const other of others) {
      expect(expectProblem(await put({ ...GOOD, [other]: 'x' }), 400, `/${other}`)).toContain(
        `"${other}"; did you mean "${ours}"? Known are`,
      )
    }
  })

  it('is refused for an unknown field without a name that is not near', async () => {
    for (const unknown of ['colour', 'toString', 'x', 'priority', 'tag'])
      expect(expectProblem(await put({ ...GOOD, [unknown]: 1 }), 400, `/${unknown}`)).toMatch(/^unknown field "\w+"\. Known are /)
  })

  it('is refused with all members that are wrong, each with its sentence', async () => {
    const wrong = {
      calback: CALLBACK,
      retry: -1,
      trigger_at: 'soon',
      error_callback: 'here',
      headers: { host: 'a' },
      rate: 'x',
      method: 'GET',
    }
    const { body } = await put({ ...wrong, payload: 1 })
    expect(body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      ...['/rate', '/calback', '/method', '/retry', '/trigger_at', '/error_callback', '/headers/host'],
    ])
    expect(body.error).toMatch(/^rate belongs to the handler/)
    expect(body.errors[4].detail).toMatch(/^trigger_at must be .*; got "soon"$/)
    const bad = { callback: 'here', trigger_at: 'soon', task_name: 'other' }
    expect((await put(bad)).body.errors).toMatchObject([{ pointer: '/task_name' }, { pointer: '/trigger_at' }, { pointer: '/callback' }])
    const many = Object.fromEntries(Array.from({ length: 50_000 }, (_, n) => [`a${n}`, n]))
    expect((await put(many)).body.errors).toHaveLength(10)
  })

  it.each(['concurrency', 'rate', 'paused', 'pull'])('is refused for %s, which belongs to a handler', async (field) => {
    const detail = `${field} belongs to the handler of a name, not to a task; send it with PUT /handler/<name>`
    expect(expectProblem(await put({ calback: CALLBACK, [field]: 1 }), 400, `/${field}`)).toBe(detail)
    const { body } = await api.http.post('/tasks').send([{ ...GOOD, task_name: 'a', [field]: 1 }])
    expect(body.results[0]).toEqual({ error: detail, errors: [{ pointer: `/${field}` }], status: 400 })
  })

  it.each(['a/b~c', 'x'.repeat(100_000)])('is refused for the field %.20s', async (unknown) => {
    const pointer = `/${unknown.replaceAll('~', '~0').replaceAll('/', '~1')}`
    expect(expectProblem(await put({ ...GOOD, [unknown]: 1 }), 400, pointer)).toContain('unknown field')
  })

  it.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'])(
    'is refused for the field %s and changes no prototype',
    async (field) => {
      const body = `{"trigger_at":"+6h","callback":"${CALLBACK}",${JSON.stringify(field)}:{"polluted":true,"callback":"http://evil.test/"}}`
      const answer = await api.http.put('/task/a').send(body)
      expect(expectProblem(answer, 400, `/${field}`)).toContain('unknown field')
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
    },
  )

  it('is refused for the header __proto__', async () => {
    const answer = await api.http.put('/task/a').send(`{"trigger_at":"+6h","callback":"${CALLBACK}","headers":{"__proto__":"x"}}`)
    expect(expectProblem(answer, 400, '/headers/__proto__')).toContain('"__proto__": JavaScript keeps that name for itself')
  })

  it.each([['null'], ['5'], ['"text"'], ['[]'], ['[{"trigger_at":"+6h"}]'], ['true']])(
    'is refused when it is %s instead of an object',
    async (body) => {
      expect(expectProblem(await api.http.put('/task/a').send(body), 400, '')).toContain('the body must be a JSON object such as')
    },
  )

  it('cuts what it shows of a long value', async () => {
    const sentence = expectProblem(await put({ ...GOOD, retry: 'x'.repeat(100_000) }), 400, '/retry')
    expect(sentence).toMatch(/^retry must be an integer from 0 to 100; got "x{59}…$/)
  })

  it.each([
    [String(MINUTE), MINUTE],
    [MINUTE + 60, MINUTE + 60],
    ['+2m', MINUTE + 60],
    ['+1d', MINUTE - 60 + 86_400],
    ['2030-01-01T01:00:00+01:00', Date.UTC(2030, 0, 1) / 1000],
  ])('takes trigger_at %j', async (trigger_at, expected) => {
    const answer = await api.http.put('/task/times').send({ trigger_at, callback: CALLBACK })
    expect(answer.body.task.trigger_at).toBe(String(expected))
  })
})
