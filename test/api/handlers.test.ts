import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { reportOf } from '../../src/domain/attempt/attempt-report.ts'
import type { Task } from '../../src/domain/task/task.ts'
import type { CallResult } from '../../src/domain/attempt/verdict.ts'
import { callRequestOf } from '../../src/scheduler/call-request.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { NODE, VERSION, openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem } from '../support/wire.ts'

const CALLBACK = 'http://handler.test/run'
const NEW_CALLBACK = 'http://new-handler.test/run'
const ALL_FIELDS = {
  callback: `${CALLBACK}?a=1`,
  callback_method: 'POST',
  headers: { 'X-Plain': 'café' },
  expected_http_status: [204, '3xx'],
  retry: 100,
  max_delay: 525_600,
  timeout: 1800,
  error_callback: 'http://handler.test/error',
  delivery: 'at_least_once',
  ack_timeout: 10_080,
  concurrency: 100_000,
  rate: 1_000_000,
  paused: true,
  pull: false,
}

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

const put = (name: string, body: object | string, query = '') => api.http.put(`/handler/${name}${query}`).send(body)
const remove = (name: string, query = '') => api.http.delete(`/handler/${name}${query}`)
const read = async (name: string) => (await api.http.get(`/handler/${name}`).expect(200)).body.handlers[0]
const readTask = async (name: string) => (await api.http.get(`/task/${name}@${MINUTE}`).expect(200)).body.tasks[0]
const handlers = async () => (await api.store.listHandlers({ limit: 1000 })).handlers

/** Stores an entry due at `MINUTE`; without `body` it has no callback of its own. */
async function putTask(name: string, body: object = {}): Promise<void> {
  await api.http
    .put(`/task/${name}`)
    .send({ trigger_at: MINUTE, ...body })
    .expect(201)
}

async function end(task: Task | undefined, result: CallResult): Promise<void> {
  if (task === undefined) throw new Error('nothing was claimed')
  await api.store.record([reportOf(task, result, NODE, MINUTE * 1000 + 100, 0)])
}

const claimedNames = async () => (await api.claimAll()).map(({ name }) => name)

describe('PUT /handler/<name>', () => {
  it('stores a handler and answers it with its place', async () => {
    const answer = await put('first', { callback: CALLBACK, concurrency: 5 })
    const now = new Date(api.clock.now()).toISOString()
    expect(answer.status).toBe(201)
    expect(answer.headers).toMatchObject({ location: '/handler/first', 'content-type': 'application/json; charset=utf-8' })
    expect(answer.body).toEqual({
      message: 'handler successfully registered',
      handler: { name: 'first', callback: CALLBACK, concurrency: 5, created: now, updated: now },
    })
    expect(await read('first')).toEqual(answer.body.handler)
  })

  it('reads every field back as it was given', async () => {
    await put('all-fields', { ...ALL_FIELDS, callback_method: 'post' }).expect(201)
    expect(await read('all-fields')).toEqual({
      name: 'all-fields',
      ...ALL_FIELDS,
      created: expect.any(String),
      updated: expect.any(String),
    })
  })

  it.each([
    { concurrency: 1, rate: 1, paused: false, pull: true, ack_timeout: 1 },
    { retry: 0, delivery: 'at_most_once' },
    { pull: true, callback: CALLBACK },
    { name: 'good' },
    { task_name: 'good', name: 'good' },
  ])('takes %j', async (body) => {
    const answer = await put('good', body)
    expect(answer.status).toBe(201)
    const { task_name: _taskName, ...shown } = body as { task_name?: string }
    expect(answer.body.handler).toMatchObject(shown)
    expect(answer.body.handler).not.toHaveProperty('task_name')
  })

  it.each(['{}', ''])('takes the body %j: a handler without anything', async (body) => {
    await put('empty', body).set('Content-Type', 'application/json').expect(201)
    expect(Object.keys(await read('empty'))).toEqual(['name', 'created', 'updated'])
  })

  it('replaces the whole handler and keeps when it was created', async () => {
    const created = new Date(api.clock.now()).toISOString()
    await put('twice', { callback: CALLBACK, rate: 10 }).expect(201)
    await api.clock.advance(1000)
    const answer = await put('twice', { callback: NEW_CALLBACK })
    const updated = new Date(api.clock.now()).toISOString()
    expect(answer.status).toBe(200)
    expect(answer.body.handler).toEqual({ name: 'twice', callback: NEW_CALLBACK, created, updated })
    expect(answer.headers['location']).toBe('/handler/twice')
    expect(await handlers()).toHaveLength(1)
  })

  it('wakes the scheduler now and logs the name, never a header or a URL', async () => {
    await put('quiet', { callback: CALLBACK, headers: { authorization: 'Bearer confidential' } })
    expect(api.wakes).toEqual([api.clock.now()])
    expect(api.logged).toEqual([{ level: 'info', event: 'handler.stored', fields: { handler: 'quiet' } }])
  })

  it('shows secrets redacted, sends them, and keeps what is sent back as it was shown', async () => {
    const headers = { Authorization: 'Bearer abc', 'X-Plain': 'plain' }
    const answer = await put('secret', { callback: CALLBACK, headers })
    const shown = { Authorization: 'redacted', 'X-Plain': 'plain' }
    expect([answer.body.handler.headers, (await read('secret')).headers]).toEqual([shown, shown])
    expect((await api.http.get('/handler/')).body.handlers[0].headers).toEqual(shown)
    expectProblem(await put('unknown', { callback: CALLBACK, headers: shown }), 400, '/headers/Authorization')
    await put('secret', { callback: CALLBACK, headers: shown }).expect(200)
    await putTask('secret')
    expect((await readTask('secret')).headers).toEqual(shown)
    expect((await api.claimAll())[0]?.definition.headers).toEqual(headers)
  })

  it.each([
    ['%C3%A4%E2%82%AC', 'ä€'],
    ['%F0%9F%95%92', '🕒'],
    ['a.b-c_d~e!%27()*+%25%26%3F', "a.b-c_d~e!'()*+%&?"],
    ['a'.repeat(200), 'a'.repeat(200)],
    ['__proto__', '__proto__'],
  ])('takes the name %s and finds it again where Location says', async (path, name) => {
    const { status, headers } = await put(path, { callback: CALLBACK, name })
    expect(status).toBe(201)
    const location = headers['location'] ?? ''
    expect(decodeURIComponent(location)).toBe(`/handler/${name}`)
    expect((await api.http.get(location)).body.handlers[0].name).toBe(name)
    await putTask(path)
    expect((await readTask(path)).callback).toBe(CALLBACK)
    await api.http.delete(`${location}?force`).expect(200, { deleted: 1 })
  })

  it.each([
    ['%zz', 'path'],
    ['%C3', 'path'],
    ['a%00b', '/name'],
    ['a%2Fb', '/name'],
    ['a%20b', '/name'],
    [`a@${MINUTE}`, '/name'],
    ['a'.repeat(201), '/name'],
  ])('refuses the name %s, as GET and DELETE do', async (path, pointer) => {
    for (const answer of [await put(path, {}), await api.http.get(`/handler/${path}`), await remove(path)]) {
      expect(expectProblem(answer, 400, pointer)).toMatch(
        pointer === 'path' ? /^the name or key in the path must be/ : /^the handler's name must be/,
      )
    }
    expect(await handlers()).toEqual([])
  })

  it.each([
    ['If-Match', '*'],
    ['If-None-Match', '*'],
    ['If-None-Match', '"a"'],
  ])('refuses the condition %s: %s and stores nothing', async (name, value) => {
    expect(expectProblem(await put('a', {}).set(name, value), 400)).toContain('leave out If-Match and If-None-Match')
    expect(await handlers()).toEqual([])
  })
})

describe('a handler definition', () => {
  it.each<[string, unknown[]]>([
    ['callback', ['', 5, '/run', 'ftp://handler.test/', 'http://', `http://handler.test/${'a'.repeat(2083)}`, 'http://a b/']],
    ['error_callback', ['', 5, '/run', 'ftp://handler.test/', 'http://', `http://handler.test/${'a'.repeat(2083)}`, 'http://a b/']],
    ['callback_method', ['', 'FETCH', 1]],
    ['headers', [[], 'a: b', { 'x-big': 'v'.repeat(16_384) }]],
    ['expected_http_status', [99, 600, '200', '6xx', [], [200, '9xx'], {}]],
    ['retry', [-1, 101, 1.5, '1']],
    ['max_delay', [0, 525_601, 1.5, '10']],
    ['timeout', [0, 1801, 1.5, '15']],
    ['delivery', ['', 'exactly_once', 1]],
    ['ack_timeout', [0, 10_081, 1.5, '5']],
    ['concurrency', [0, -1, 100_001, 1.5, '5', true]],
    ['rate', [0, -1, 1_000_001, 0.5, '5', true]],
    ['paused', ['true', 1, 0, '']],
    ['pull', ['true', 1, 0, '']],
    ['name', ['other', 5, '']],
    ['task_name', ['other', 5, '']],
  ])('is refused with a sentence about %s when that is one of %j', async (field, values) => {
    for (const value of values) {
      const sentence = expectProblem(await put('a', { callback: CALLBACK, [field]: value }), 400, `/${field}`)
      expect(sentence, JSON.stringify(value)).toMatch(new RegExp(`^${field} must `))
      if (typeof value !== 'object') expect(sentence).toContain('got ')
    }
    expect([await handlers(), api.wakes, api.logged]).toEqual([[], [], []])
  })

  it.each(['trigger_at', 'repeat', 'timezone', 'spread'])('is refused for %s, which belongs to a task', async (field) => {
    const sentence = expectProblem(await put('a', { calback: CALLBACK, [field]: '+6h' }), 400, `/${field}`)
    expect(sentence).toBe(`${field} belongs to a task, not to the handler of a name; send it with PUT /task/<name>`)
  })

  it.each([
    ['calback', 'callback'],
    ['concurency', 'concurrency'],
    ['pause', 'paused'],
    ['errorCallback', 'error_callback'],
    ['rates', 'rate'],
  ])('is refused for the unknown field %s with the nearest name %s', async (unknown, nearest) => {
    const sentence = expectProblem(await put('a', { [unknown]: 1 }), 400, `/${unknown}`)
    expect(sentence).toContain(`unknown field "${unknown}"; did you mean "${nearest}"?`)
  })

  it.each(['__proto__', 'constructor', 'toString'])('is refused for the field %s', async (field) => {
    expect(expectProblem(await put('a', `{${JSON.stringify(field)}:{"pull":true}}`), 400, `/${field}`)).toContain('unknown field')
  })

  it.each(['null', '5', '"text"', '[]', '[{}]', 'true'])('is refused when it is %s instead of an object', async (body) => {
    const answer = await put('a', body).set('Content-Type', 'application/json')
    expect(expectProblem(answer, 400, '')).toContain('the body must be a JSON object such as {"callback":')
  })

  it('is refused when it is no JSON', async () => {
    expect(expectProblem(await put('a', '{"callback"'), 400, '')).toContain('the body must be JSON such as {"callback":')
  })

  it('is refused when at_most_once comes with a retry', async () => {
    const sentence = expectProblem(await put('a', { delivery: 'at_most_once', retry: 1 }), 400, '/retry')
    expect(sentence).toBe('retry must be absent or 0 where delivery is "at_most_once"; got 1')
  })

  it.each(['Host', 'Callme-Task', 'webhook-id', 'Connection'])('is refused for the header %s', async (name) => {
    expectProblem(await put('a', { headers: { [name]: 'v' } }), 400, `/headers/${name}`)
  })

  it.each(['callback', 'error_callback'])('is refused for a %s with a password, without repeating it', async (field) => {
    const answer = await put('a', { [field]: 'http://user:hunter2@handler.test/' })
    expect(expectProblem(answer, 400, `/${field}`)).toBe(`${field} must not hold a user name or password; send them in headers`)
    expect(answer.text).not.toContain('hunter')
  })
})

describe('a task whose name has a handler', () => {
  it('needs no callback of its own, and reads back as it will be called', async () => {
    expectProblem(await api.http.put('/task/a').send({ trigger_at: MINUTE }), 400, '/callback')
    await put('a', ALL_FIELDS)
    await putTask('a', { retry: 3, headers: { 'x-plain': 'own', 'X-Own': '1' } })
    const { concurrency: _concurrency, rate: _rate, paused: _paused, pull: _pull, ...defaults } = ALL_FIELDS
    const task = await readTask('a')
    expect(task).toMatchObject({ ...defaults, retry: 3, headers: { 'x-plain': 'own', 'X-Own': '1' } })
    expect(task).not.toHaveProperty('paused')
  })

  it('is called where a changed handler says, though it was stored before', async () => {
    await put('a', { callback: CALLBACK, timeout: 5 })
    await putTask('a')
    await put('a', { callback: NEW_CALLBACK, callback_method: 'PUT' }).expect(200)
    expect(await readTask('a')).toMatchObject({ callback: NEW_CALLBACK, callback_method: 'PUT', timeout: 15 })
    const [claimed] = await api.claimAll()
    expect(claimed && callRequestOf(claimed, { version: VERSION, timeoutMs: 15_000, expectedStatus: 200 })).toMatchObject({
      url: NEW_CALLBACK,
      method: 'PUT',
      timeoutMs: 15_000,
    })
  })

  it.each([
    [{ delivery: 'at_most_once' }, { retry: 3 }],
    [{ retry: 3 }, { delivery: 'at_most_once' }],
  ])('has no retry where the handler says %j and the task %j', async (handler, task) => {
    await put('a', { callback: CALLBACK, ...handler })
    await putTask('a', task)
    expect(await readTask('a')).toMatchObject({ delivery: 'at_most_once', retry: 0 })
    await end((await api.claimAll())[0], { kind: 'answered', startedAt: MINUTE * 1000, endedAt: MINUTE * 1000, status: 503, body: '' })
    expect(await readTask('a')).toMatchObject({ task_state: 'failed', attempts: 1 })
  })

  it('keeps its own callback whatever the handler says', async () => {
    const callback = 'http://own.test/run'
    await putTask('a', { callback })
    await put('a', { callback: CALLBACK, retry: 9 })
    expect(await readTask('a')).toMatchObject({ callback, retry: 9 })
    expect((await api.claimAll())[0]?.definition).toMatchObject({ callback, retry: 9 })
  })

  it('waits while its name is paused, and may start once that is taken back', async () => {
    await put('a', { callback: CALLBACK, paused: true })
    await putTask('a')
    await putTask('b', { callback: CALLBACK })
    expect(await claimedNames()).toEqual(['b'])
    expect(await readTask('a')).toMatchObject({ task_state: 'pending', attempts: 0 })
    await put('a', { callback: CALLBACK })
    expect(api.wakes.at(-1)).toBe(api.clock.now())
    expect(await claimedNames()).toEqual(['a'])
  })

  it('may start at once when the handler that paused it is removed', async () => {
    await putTask('a', { callback: CALLBACK })
    await put('a', { paused: true })
    expect(await claimedNames()).toEqual([])
    await remove('a').expect(200)
    expect(await claimedNames()).toEqual(['a'])
  })
})

describe('a handler that is needed', () => {
  beforeEach(async () => {
    await put('a', { callback: CALLBACK })
    await putTask('a')
  })

  const attempts: [string, (query?: string) => ReturnType<typeof put>][] = [
    ['DELETE', (query) => remove('a', query)],
    ['PUT without callback', (query) => put('a', { retry: 5 }, query)],
    ['PUT with pull false', (query) => put('a', { pull: false }, query)],
  ]

  it.each(attempts)('by waiting tasks is not taken away by %s without force', async (_what, attempt) => {
    const before = await read('a')
    for (const query of ['', '?force=false']) {
      const sentence = expectProblem(await attempt(query), 409)
      expect(sentence).toContain('tasks of "a" that have not ended have no callback')
      expect(sentence).toContain('force=true')
    }
    expect(await read('a')).toEqual(before)
    expect(api.logged.filter(({ event }) => event.startsWith('handler.'))).toHaveLength(1)
  })

  it.each(attempts)('by running tasks is not taken away by %s either, until they have ended', async (_what, attempt) => {
    const [task] = await api.claimAll()
    expectProblem(await attempt(), 409)
    await end(task, { kind: 'answered', startedAt: MINUTE * 1000, endedAt: MINUTE * 1000 + 100, status: 200, body: '' })
    expect(await readTask('a')).toMatchObject({ task_state: 'successful' })
    expect((await attempt()).status).toBe(200)
  })

  it.each(attempts)('is taken away by %s with force, and its tasks fail with that reason when they are due', async (_what, attempt) => {
    expect((await attempt('?force')).status).toBe(200)
    expect(await readTask('a')).toMatchObject({ task_state: 'pending', callback: null })
    const [task] = await api.claimAll()
    expect(task && callRequestOf(task, { version: VERSION, timeoutMs: 15_000, expectedStatus: 200 })).toBeUndefined()
    await end(task, { kind: 'not_called', reason: 'no_callback' })
    const ended = await readTask('a')
    expect(ended).toMatchObject({ task_state: 'failed', attempts: 0, error: expect.stringContaining('handler') })
  })

  it('may change its URL, or have its tasks pulled instead', async () => {
    await put('a', { callback: NEW_CALLBACK }).expect(200)
    await put('a', { pull: true }).expect(200)
    expectProblem(await remove('a'), 409)
    await put('a', { callback: CALLBACK }).expect(200)
  })

  it('may go once all its tasks have a callback of their own', async () => {
    await api.http.put('/task/a').send({ trigger_at: MINUTE, callback: CALLBACK }).expect(200)
    await remove('a').expect(200)
    expect((await readTask('a')).callback).toBe(CALLBACK)
  })

  it('may go once all its tasks are deleted', async () => {
    await api.http.delete(`/task/a@${MINUTE}`).expect(200)
    await remove('a').expect(200)
  })
})

describe('DELETE /handler/<name>', () => {
  it('removes it, wakes the scheduler now and logs the name', async () => {
    await put('a', { callback: CALLBACK })
    await put('b', { callback: CALLBACK })
    await api.clock.advance(1000)
    const answer = await remove('a')
    expect([answer.status, answer.body]).toEqual([200, { deleted: 1 }])
    expect((await handlers()).map(({ name }) => name)).toEqual(['b'])
    expect(api.wakes.at(-1)).toBe(api.clock.now())
    expect(api.logged.at(-1)).toEqual({ level: 'info', event: 'handler.removed', fields: { handler: 'a' } })
  })

  it('answers 404 for a name without a handler, also where the name has tasks, and with force', async () => {
    await api.store.put([aTask({ name: 'a' })], { now: api.clock.now() })
    for (const query of ['', '?force=true']) {
      expect(expectProblem(await remove('a', query), 404)).toBe('there is no handler "a"; GET /handler/ lists what there is')
    }
    expect([api.wakes, api.logged]).toEqual([[], []])
  })

  it('refuses a body and does not remove', async () => {
    await put('a', {})
    expectProblem(await remove('a').send('{}'), 400, '')
    expect(await handlers()).toHaveLength(1)
  })
})

describe('GET /handler/<name>', () => {
  it('answers 404 for a name without a handler', async () => {
    await put('ab', {})
    expect(expectProblem(await api.http.get('/handler/a'), 404)).toContain('there is no handler "a"')
  })

  it('answers HEAD, and 405 with what is allowed to other methods', async () => {
    await put('a', {})
    expect((await api.http.head('/handler/a')).status).toBe(200)
    const single = await api.http.post('/handler/a')
    expectProblem(single, 405)
    expect(single.headers['allow']).toBe('PUT, GET, HEAD, DELETE, OPTIONS')
    expect((await api.http.delete('/handler/')).headers['allow']).toBe('GET, HEAD, OPTIONS')
    expect(await handlers()).toHaveLength(1)
  })

  it('refuses what chooses among many, and takes pretty', async () => {
    await put('a', { callback: CALLBACK })
    expectProblem(await api.http.get('/handler/a?limit=5'), 400, '?limit')
    const answer = await api.http.get('/handler/a?pretty')
    expect(answer.text).toBe(`${JSON.stringify(answer.body, null, 4)}\n`)
  })
})

describe('GET /handler/', () => {
  const store = async (...names: string[]): Promise<void> => {
    for (const name of names) await api.store.putHandler(name, {}, { now: api.clock.now(), force: false })
  }

  async function list(query = ''): Promise<{ names: string[]; next: string | undefined; link: string | undefined }> {
    const answer = await api.http.get(`/handler/${query}`)
    expect(answer.status, answer.text).toBe(200)
    expect(Object.keys(answer.body)).toEqual(answer.body.next === undefined ? ['handlers'] : ['handlers', 'next'])
    const names = (answer.body.handlers as { name: string }[]).map(({ name }) => name)
    return { names, next: answer.body.next, link: answer.headers['link'] }
  }

  it('answers an empty list where there is none', async () => {
    expect(await list()).toEqual({ names: [], next: undefined, link: undefined })
  })

  it('answers all by name, in bytes of UTF-8, with and without the slash', async () => {
    await store('b', 'ä', 'a', '🕒', 'B', '\uff5e')
    const expected = ['B', 'a', 'b', 'ä', '\uff5e', '🕒']
    expect((await list()).names).toEqual(expected)
    expect((await api.http.get('/handler')).body.handlers.map(({ name }: { name: string }) => name)).toEqual(expected)
  })

  it('pages through 250, a hundred at a time, each exactly once', async () => {
    const names = Array.from({ length: 250 }, (_, n) => `h${String(n).padStart(3, '0')}`)
    await store(...names.toReversed())
    const pages: string[][] = []
    let next: string | undefined
    do {
      const page = await list(next === undefined ? '' : `?start_from=${next}`)
      pages.push(page.names)
      next = page.next
    } while (next !== undefined)
    expect(pages.map((page) => page.length)).toEqual([100, 100, 50])
    expect(pages.flat()).toEqual(names)
    expect((await list('?limit=1000')).names).toEqual(names)
  })

  it('has no next on a page that ends exactly at the last one, and starts after a name that is gone', async () => {
    await store('a', 'b', 'd')
    expect(await list('?limit=3')).toEqual({ names: ['a', 'b', 'd'], next: undefined, link: undefined })
    expect(await list('?limit=2')).toEqual({ names: ['a', 'b'], next: 'b', link: '</handler/?limit=2&start_from=b>; rel="next"' })
    expect((await list('?start_from=c')).names).toEqual(['d'])
  })

  it('links the next page with the same parameters, whatever the names hold', async () => {
    await store('a&<>', 'b+%"', 'ä,;')
    const seen: string[] = []
    let query: string | undefined = '?limit=1&pretty'
    while (query !== undefined) {
      const page = await list(query)
      seen.push(...page.names)
      query = page.link && /^<\/handler\/(\?limit=1&pretty=&start_from=[^<>"]+)>; rel="next"$/.exec(page.link)?.[1]
    }
    expect(seen).toEqual(['a&<>', 'b+%"', 'ä,;'])
  })

  it('indents a page with ?pretty', async () => {
    await store('a', 'b')
    const answer = await api.http.get('/handler/?limit=1&pretty')
    expect(answer.text).toBe(`${JSON.stringify(answer.body, null, 4)}\n`)
  })
})

describe('the parameters of handlers', () => {
  it.each([
    ['get', 'limit=0', '?limit'],
    ['get', 'limit=1001', '?limit'],
    ['get', 'limit=1e2', '?limit'],
    ['get', 'start_from=', '?start_from'],
    ['get', `start_from=a@${MINUTE}`, '?start_from'],
    ['get', 'state=failed', '?state'],
    ['get', 'force', '?force'],
    ['get', 'limit=1&limit=2', '?limit'],
    ['put', 'force=yes', '?force'],
    ['put', 'forced', '?forced'],
    ['put', 'limit=5', '?limit'],
    ['delete', 'force=maybe', '?force'],
    ['delete', 'force&force', '?force'],
    ['delete', 'all=true', '?all'],
    ['delete', '__proto__=1', '?__proto__'],
  ] as const)('are refused where they are wrong: %s ?%s', async (method, query, pointer) => {
    await api.store.putHandler('a', { retry: 3 }, { now: api.clock.now(), force: false })
    const answer = await api.http[method](`/handler/${method === 'get' ? '' : 'a'}?${query}`)
    expect(expectProblem(answer, 400, pointer)).toMatch(/must be|^unknown query parameter [^]*Known are/)
    expect((await handlers()).map(({ definition }) => definition)).toEqual([{ retry: 3 }])
  })
})
