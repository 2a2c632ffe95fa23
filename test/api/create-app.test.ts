import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CallmeError } from '../../src/domain/errors.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { VERSION, openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem } from '../support/wire.ts'

const CALLBACK = 'http://receiver.test/run'

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

const PATHS: readonly [path: string, allow: string][] = [
  ['/task/a', 'PUT, GET, HEAD, PATCH, DELETE, OPTIONS'],
  [`/task/a@${MINUTE}`, 'PUT, GET, HEAD, PATCH, DELETE, OPTIONS'],
  ['/status/a', 'GET, HEAD, OPTIONS'],
  ['/task', 'GET, HEAD, DELETE, OPTIONS'],
  ['/task/', 'GET, HEAD, DELETE, OPTIONS'],
  ['/status/', 'GET, HEAD, OPTIONS'],
  ['/tasks', 'POST, OPTIONS'],
  ['/reschedule/', 'POST, OPTIONS'],
  ['/ack/a', 'POST, OPTIONS'],
  ['/claim/a', 'POST, OPTIONS'],
  ['/reschedule/a', 'POST, OPTIONS'],
  [`/run/a@${MINUTE}`, 'POST, OPTIONS'],
  ['/health', 'GET, HEAD, OPTIONS'],
  ['/ready', 'GET, HEAD, OPTIONS'],
  ['/', 'GET, HEAD, OPTIONS'],
]

describe('a path that is known', () => {
  it.each(PATHS)('%s refuses other methods and names %s', async (path, allow) => {
    for (const method of ['get', 'head', 'put', 'post', 'delete', 'patch', 'trace'] as const) {
      if (allow.split(', ').includes(method.toUpperCase())) continue
      const answer = await api.http[method](path)
      expect(answer.headers['allow']).toBe(allow)
      if (method === 'head') expect(answer.status).toBe(405)
      else expect(expectProblem(answer, 405)).toContain(`${method.toUpperCase()} is not allowed on "${path}"; allowed are ${allow}`)
    }
  })

  it.each(PATHS)('%s answers OPTIONS with %s', async (path, allow) => {
    const answer = await api.http.options(path)
    expect([answer.status, answer.headers['allow'], answer.text]).toEqual([204, allow, ''])
  })

  it.each(PATHS.filter(([, allow]) => allow.includes('HEAD')).map(([path]) => path))(
    '%s answers HEAD as GET, without the body',
    async (path) => {
      await api.store.put([aTask({ name: 'a' })], { now: api.clock.now() })
      const get = await api.http.get(path)
      const head = await api.http.head(path)
      expect(get.status).toBe(200)
      expect([head.status, head.headers['content-length'], head.headers['content-type']]).toEqual([
        ...[200, String(get.text.length), 'application/json; charset=utf-8'],
      ])
      expect(head.text).toBeUndefined()
    },
  )

  it('says nothing of the framework behind it', async () => {
    const { headers } = await api.http.get('/health')
    expect(Object.keys(headers).sort()).toEqual(['connection', 'content-length', 'content-type', 'date'])
  })
})

describe('a path that is not known', () => {
  it.each([
    '/nothing',
    '/task/a/b',
    '/tasks/a',
    '/run/',
    '/handler/a/b',
    '/ack/',
    '/claim/',
    '/events/a',
    '/metrics',
    '/TASK/a',
    '/task//a',
    '//task',
    '/task/../../etc',
  ])('%s is answered with 404 whatever the method', async (path) => {
    expect(expectProblem(await api.http.get(path), 404)).toContain(`there is nothing at "${path}"`)
    expectProblem(await api.http.put(path).send('{}'), 404)
  })
})

describe('GET /health', () => {
  it.each(['/health', '/'])('answers while the process lives, at %s', async (path) => {
    api.readiness = { ready: false, lastTick: null, clockOffset: 0, shortage: null }
    const answer = await api.http.get(path)
    expect([answer.status, answer.body]).toEqual([200, { status: 'ok', version: VERSION }])
  })

  it('refuses parameters that it does not have', async () => {
    expectProblem(await api.http.get('/health?verbose'), 400, '?verbose')
    expect((await api.http.get('/health?pretty')).text).toBe(`{\n    "status": "ok",\n    "version": "${VERSION}"\n}\n`)
  })
})

describe('GET /ready', () => {
  it('answers with the last tick and how many entries are in each state', async () => {
    await api.called('a', 404)
    const answer = await api.http.get('/ready')
    const tasks = { pending: 0, running: 0, retrying: 0, successful: 0, failed: 1, skipped: 0 }
    expect([answer.status, answer.body]).toEqual([200, { status: 'ready', last_tick: new Date(api.clock.now()).toISOString(), tasks }])
  })

  it.each([
    [null, 'never'],
    [Date.UTC(2027, 0, 1), '2027-01-01T00:00:00.000Z'],
  ])('answers 503 when the last tick is too old: %j', async (lastTick, said) => {
    api.readiness = { ready: false, lastTick, clockOffset: 0, shortage: null }
    const answer = await api.http.get('/ready')
    expect(expectProblem(answer, 503)).toContain(`last tick was ${said}`)
    expect(answer.headers['retry-after']).toBe('5')
    expect((await api.http.head('/ready')).status).toBe(503)
  })

  it('answers 503 at once when the last tick or the chores failed, and hides what an unknown error says', async () => {
    const full = new CallmeError('store_unavailable', 'the disk is full')
    const sentences = async (): Promise<string> => expectProblem(await api.http.get('/ready'), 503)
    api.readiness = { ...api.readiness, ready: false, failure: full }
    expect(await sentences()).toBe('the last tick failed: the disk is full')
    api.readiness = { ...api.readiness, failure: new Error('SELECT * FROM confidential') }
    expect(await sentences()).toBe('the last tick failed: an error inside callme, see the log')
    api.readiness = { ready: true, lastTick: 0, clockOffset: 0, shortage: null, upkeepFailure: full }
    expect(await sentences()).toBe('the last chores, such as the renewal of leases, failed: the disk is full')
  })

  it.each([
    [30_001, '30.0 s behind that of the database, more than 30 s'],
    [-3_600_000, '3600.0 s ahead of that of the database, more than 30 s'],
  ])('answers 503 when the clock of the store is ahead by %i ms', async (clockOffset, said) => {
    api.readiness = { ...api.readiness, clockOffset }
    expect(expectProblem(await api.http.get('/ready'), 503)).toContain(said)
  })

  it.each([30_000, -30_000])('answers 200 when the clock of the store is ahead by %i ms', async (clockOffset) => {
    api.readiness = { ...api.readiness, clockOffset }
    expect((await api.http.get('/ready')).status).toBe(200)
  })
})

describe('a store that fails', () => {
  const unavailable = () => Promise.reject(new CallmeError('store_unavailable', 'the store cannot be written: the disk is full'))
  const broken = () => Promise.reject(new Error('SELECT * FROM confidential'))

  async function withFailing(fail: () => Promise<never>, use: (failing: Api) => Promise<void>): Promise<void> {
    const failing = await openApi(() => ({ put: fail, list: fail, counts: fail, remove: fail, run: fail, reschedule: fail }))
    await use(failing)
    await failing.close()
  }

  const requests = (target: Api) => [
    target.http.put('/task/a').send({ trigger_at: '+1h', callback: CALLBACK }),
    target.http.post('/tasks').send(JSON.stringify([{ task_name: 'a', trigger_at: '+1h', callback: CALLBACK }])),
    target.http.get('/task/'),
    target.http.get('/ready'),
    target.http.delete(`/task/a@${MINUTE}`),
    target.http.post(`/run/a@${MINUTE}`),
    target.http.post('/reschedule/'),
  ]

  it('because it is unavailable leads to 503 with Retry-After, is logged, and wakes nobody', async () => {
    await withFailing(unavailable, async (failing) => {
      const sent = requests(failing)
      for (const request of sent) {
        const answer = await request
        expect(expectProblem(answer, 503)).toBe('the store cannot be written: the disk is full')
        expect(answer.headers['retry-after']).toBe('5')
      }
      expect(failing.wakes).toEqual([])
      expect(failing.logged.map(({ level, event }) => `${level} ${event}`)).toEqual(sent.map(() => 'warn request.failed'))
      expect((await failing.http.get('/health')).status).toBe(200)
    })
  })

  it('because of a defect leads to 500 that tells nothing of the inside, and is logged', async () => {
    await withFailing(broken, async (failing) => {
      const sent = requests(failing)
      for (const request of sent) {
        const answer = await request
        expect(expectProblem(answer, 500)).toBe('callme failed on this request; its log says why')
        expect(answer.text).not.toContain('confidential')
      }
      expect(failing.logged.map(({ level, event }) => `${level} ${event}`)).toEqual(sent.map(() => 'error request.failed'))
      expect(failing.logged[0]?.fields?.['err']).toBeInstanceOf(Error)
    })
  })
})
