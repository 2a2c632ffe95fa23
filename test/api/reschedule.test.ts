import { once } from 'node:events'
import { get as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { reportOf } from '../../src/domain/attempt/attempt-report.ts'
import { CallmeError } from '../../src/domain/errors.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem, expectTask } from '../support/wire.ts'

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

const post = (path: string, body?: object | string) => api.http.post(path).send(body)
const key = (name: string, minutes: number) => `${name}@${MINUTE + minutes * 60}`

/** All entries as `name@minutes after MINUTE state`. */
async function entries(): Promise<string[]> {
  const { tasks } = await api.store.list({}, { limit: 1000 })
  return tasks.map((task) => `${task.name}@${(task.triggerAt - MINUTE) / 60} ${task.state}`)
}

async function storePending(name: string, ...minutes: number[]): Promise<void> {
  await api.store.put(
    minutes.map((minute) => aTask({ name, triggerAt: MINUTE + minute * 60 })),
    { now: api.clock.now() },
  )
}

describe('POST /reschedule/<key>', () => {
  it('copies a failed entry to the next minute and keeps it as the record', async () => {
    const failed = await api.called('gone', 404)
    api.clock.jump(90_000)
    const answer = await post(`/reschedule/${key('gone', 0)}`)
    expect(answer.status).toBe(200)
    expect(Object.keys(answer.body)).toEqual(['tasks', 'rescheduled'])
    expect(answer.body.rescheduled).toBe(1)
    const copy = expectTask(answer.body.tasks[0])
    expect(copy).toMatchObject({
      trigger_at: String(MINUTE + 120),
      task_state: 'pending',
      attempts: 0,
      error: null,
      executed_at: null,
      rescheduled_from: key('gone', 0),
    })
    expect(copy.run_id).not.toBe(failed.runId)
    expect((await api.http.get(`/task/${key('gone', 0)}`)).body.tasks[0]).toMatchObject({
      task_state: 'failed',
      rescheduled_to: key('gone', 2),
      response_status: 404,
    })
    expect(api.wakes).toEqual([(MINUTE + 120) * 1000])
    expect(api.logged).toEqual([{ level: 'debug', event: 'task.stored', fields: { task: key('gone', 2) } }])
  })

  it.each([
    ['body', '', { trigger_at: '+2h' }],
    ['query', '?trigger_at=+2h', undefined],
    ['percent-encoded query', '?trigger_at=%2B2h', undefined],
    ['body and the same in the query', '?trigger_at=+2h', { trigger_at: '+2h' }],
    ['body as a number', '', { trigger_at: MINUTE - 60 + 7200 }],
    ['query as a number', `?trigger_at=${MINUTE - 60 + 7200}`, {}],
    ['query as an RFC 3339 time', `?trigger_at=${new Date((MINUTE - 60 + 7200) * 1000).toISOString()}`, {}],
    ['body in a zone', '', { trigger_at: '2027-01-15 10:59', timezone: 'Europe/Berlin' }],
    ['query in a zone', '?trigger_at=2027-01-15T10:59&timezone=Europe/Berlin', undefined],
    ['query as a sum', '?trigger_at=+1h60m', undefined],
    ['query with an offset', `?trigger_at=${new Date((MINUTE - 60 + 7200 + 3600) * 1000).toISOString().slice(0, 19)}+01:00`, {}],
  ])('takes the new time from the %s', async (_where, query, body) => {
    await api.called('gone', 404)
    const answer = await post(`/reschedule/${key('gone', 0)}${query}`, body)
    expect(answer.body.tasks[0].trigger_at).toBe(String(MINUTE - 60 + 7200))
  })

  it('reads the body as JSON although curl -d sends a form type', async () => {
    await api.called('gone', 404)
    const answer = await api.http
      .post(`/reschedule/${key('gone', 0)}`)
      .set('Content-Type', 'application/x-www-form-urlencoded')
      .send('{"trigger_at":"+1d"}')
    expect(answer.body.tasks[0].trigger_at).toBe(String(MINUTE - 60 + 86_400))
  })

  it('refuses what is neither failed nor skipped, and says how it can be had', async () => {
    await api.called('ok', 200)
    await storePending('waits', 5)
    for (const [one, state] of [
      [key('ok', 0), 'successful'],
      [key('waits', 5), 'pending'],
    ] as const) {
      const sentence = expectProblem(await post(`/reschedule/${one}`), 409)
      expect(sentence).toBe(`the entry "${one}" is ${state}, and only failed and skipped entries are taken; add all=true to take it too`)
    }
    expect(await entries()).toEqual(['ok@0 successful', 'waits@5 pending'])
  })

  it('refuses an entry that was rescheduled already, unless all=true', async () => {
    await api.called('gone', 404)
    await post(`/reschedule/${key('gone', 0)}?trigger_at=+1h`)
    expect(expectProblem(await post(`/reschedule/${key('gone', 0)}?trigger_at=+2h`), 409)).toContain(
      `@${MINUTE - 60 + 3600}"; add all=true`,
    )
    expect((await post(`/reschedule/${key('gone', 0)}?trigger_at=+2h&all=true`)).body.rescheduled).toBe(1)
  })

  it('copies a final entry and moves one that waits with all=true', async () => {
    await api.called('ok', 200)
    await storePending('waits', 5)
    expect((await post(`/reschedule/${key('ok', 0)}?all=true&trigger_at=${MINUTE + 600}`)).body.tasks[0].trigger_at).toBe(
      String(MINUTE + 600),
    )
    expect((await post(`/reschedule/${key('waits', 5)}?all&trigger_at=${MINUTE + 600}`)).body.tasks[0].rescheduled_from).toBe(
      key('waits', 5),
    )
    expect(await entries()).toEqual(['ok@0 successful', 'ok@10 pending', 'waits@10 pending'])
  })

  it('refuses an entry that is running, also with all=true', async () => {
    await api.claimed('busy')
    for (const query of ['', '?all=true']) {
      expect(expectProblem(await post(`/reschedule/${key('busy', 0)}${query}`), 409)).toContain('is running')
    }
  })

  it('answers 404 for a key that nothing has', async () => {
    expect(expectProblem(await post(`/reschedule/${key('none', 0)}`), 404)).toContain(`no entry "${key('none', 0)}"`)
  })

  it('takes nothing where a filter leaves the entry out', async () => {
    await api.called('gone', 404)
    expect((await post(`/reschedule/${key('gone', 0)}?state=skipped`)).body).toEqual({ tasks: [], rescheduled: 0 })
  })
})

describe('POST /reschedule/<name> and /reschedule/', () => {
  it('gives several failed entries of one name minutes of their own and overwrites nothing', async () => {
    await api.called('a', 404)
    for (const minutes of [1, 2]) {
      await post(`/reschedule/a?all=true&state=failed&trigger_at=${MINUTE + minutes * 60}`)
    }
    // Three failed entries: their calls are refused at once.
    await failAll(MINUTE + 120)
    await storePending('a', 10)
    await storePending('b', 11)
    const answer = await post(`/reschedule/a?trigger_at=${MINUTE + 600}&all=true&state=failed`)
    expect(answer.body.tasks.map((task: { trigger_at: string }) => Number(task.trigger_at) - MINUTE)).toEqual([660, 720, 780])
    expect(answer.body.rescheduled).toBe(3)
    expect(await entries()).toEqual([
      ...['a@0 failed', 'a@1 failed', 'a@2 failed', 'a@10 pending', 'a@11 pending'],
      ...['b@11 pending', 'a@12 pending', 'a@13 pending'],
    ])
  })

  async function failAll(until: number): Promise<void> {
    const now = until * 1000
    const claim = {
      now,
      node: 'n',
      leaseUntil: now + 60_000,
      limit: 100,
      hosts: new Map(),
      capacityOfNewHost: 100,
      unprovenLimit: 100,
      silentLimit: 100,
    }
    const { tasks } = await api.store.claimDue(claim)
    const result = { kind: 'answered', startedAt: now, endedAt: now, status: 404, body: '' } as const
    await api.store.record(tasks.map((task) => reportOf(task, result, 'n', now, 0)))
  }

  it('takes failed and skipped entries of the name and no others', async () => {
    await api.called('a', 404)
    await api.called('b', 404)
    await storePending('a', -20, 5)
    await api.store.expire({ now: api.clock.now(), limit: 10 })
    const answer = await post(`/reschedule/a?trigger_at=${MINUTE + 3600}`)
    expect(answer.body.tasks.map((task: { rescheduled_from: string }) => task.rescheduled_from)).toEqual([key('a', -20), key('a', 0)])
    expect(await entries()).toEqual(['a@-20 skipped', 'a@0 failed', 'b@0 failed', 'a@5 pending', 'a@60 pending', 'a@61 pending'])
    expect((await post('/reschedule/a')).body).toMatchObject({ tasks: [], rescheduled: 0, message: expect.stringContaining('all=true') })
  })

  it('says what there is where it takes nothing, and which parameter takes it', async () => {
    expect((await post('/reschedule/')).body).toEqual({ tasks: [], rescheduled: 0 })
    await storePending('p', 5, 6)
    const there = `${key('p', 5)} (pending), ${key('p', 6)} (pending)`
    const message = `only failed and skipped entries that were not rescheduled yet are taken; there are ${there}: add all=true to take them too`
    for (const path of ['/reschedule/p', '/reschedule/', '/reschedule/?name=p&dry_run']) {
      expect((await post(path)).body).toEqual({ tasks: [], rescheduled: 0, message })
    }
    expect((await post('/reschedule/p?state=skipped')).body).toEqual({ tasks: [], rescheduled: 0 })
    await api.claimed('busy')
    const waits = `no entry that is running is taken; wait until it has ended: ${key('busy', 0)} (running)`
    for (const path of ['/reschedule/busy', '/reschedule/busy?all']) expect((await post(path)).body.message).toBe(waits)
  })

  it('answers 404 for a name that nothing has', async () => {
    expect(expectProblem(await post('/reschedule/none'), 404)).toContain('no task "none"')
  })

  it.each(['/reschedule/', '/reschedule'])('takes every failed entry at %s', async (path) => {
    await api.called('a', 404)
    await api.called('b', 404)
    await api.called('c', 200)
    expect((await post(path)).body.rescheduled).toBe(2)
    expect((await post(path)).body).toMatchObject({ tasks: [], rescheduled: 0, message: expect.stringContaining('c@') })
  })

  it('leaves running entries alone with all=true', async () => {
    await api.called('a', 404)
    await api.claimed('busy')
    await storePending('waits', 5)
    expect((await post(`/reschedule/?all=true&trigger_at=${MINUTE + 600}`)).body.rescheduled).toBe(2)
    expect(await entries()).toEqual(['a@0 failed', 'busy@0 running', 'a@10 pending', 'waits@10 pending'])
  })

  it.each([
    ['state=skipped', 1],
    ['state=failed', 2],
    ['state=failed,skipped', 3],
    ['limit=2', 2],
    ['limit=1000000', 3],
    [`from=${MINUTE}`, 2],
    [`to=${MINUTE}`, 1],
    ['future_only', 2],
    ['all=true&state=successful', 1],
    ['all=true', 4],
    ['all=false', 3],
  ])('takes what the filter %s chooses: %i', async (query, count) => {
    await storePending('late', -20)
    await api.store.expire({ now: api.clock.now(), limit: 10 })
    await api.called('a', 404)
    await api.called('b', 404)
    await api.called('c', 200)
    const answer = await post(`/reschedule/?trigger_at=${MINUTE + 6000}&${query}`)
    expect([answer.body.rescheduled, answer.body.tasks.length]).toEqual([count, count])
  })

  it('changes nothing with dry_run and answers what would be', async () => {
    await api.called('a', 404)
    const before = await entries()
    const dry = await post(`/reschedule/?dry_run&trigger_at=${MINUTE + 600}`)
    expect(dry.body.rescheduled).toBe(1)
    expect(dry.body.tasks[0]).toMatchObject({ trigger_at: String(MINUTE + 600), task_state: 'pending' })
    expect(await entries()).toEqual(before)
    expect([api.wakes, api.logged]).toEqual([[], []])
    expect((await post(`/reschedule/?dry_run=false&trigger_at=${MINUTE + 600}`)).body.rescheduled).toBe(1)
    expect(await entries()).toHaveLength(2)
  })

  it.each([
    ['?trigger_at=+2h', { trigger_at: '+3h' }, '/trigger_at', 'given once'],
    ['?trigger_at=soon', undefined, '?trigger_at', 'must be'],
    ['?timezone=Berlin', undefined, '?timezone', 'must be'],
    ['', { timezone: 'Berlin' }, '/timezone', 'must be'],
    ['?trigger_at=', undefined, '?trigger_at', 'must be'],
    ['?trigger_at=60', undefined, '?trigger_at', 'in the future'],
    ['', { trigger_at: 'soon' }, '/trigger_at', 'must be'],
    ['', { trigger: '+2h' }, '/trigger', 'did you mean "trigger_at"?'],
    ['', '[]', '', 'the body must be'],
    ['', 'trigger_at=+2h', '', 'the body must be JSON such as {"trigger_at":"+6h"}'],
    ['', '['.repeat(100_000), '', 'nested'],
    ['?state=pending', undefined, '?state', 'add all=true to take entries that are pending'],
    ['?state=failed,successful', undefined, '?state', 'add all=true to take entries that are successful'],
    ['?state=bad', undefined, '?state', 'must be one or more of'],
    ['?limit=0', undefined, '?limit', 'must be'],
    ['?limit=-1', undefined, '?limit', 'must be'],
    ['?dryrun', undefined, '?dryrun', 'did you mean "dry_run"?'],
    ['?all=yes', undefined, '?all', 'must be'],
    ['?start_from=a@60', undefined, '?start_from', 'unknown query parameter'],
  ])('refuses %s with the body %j', async (query, body, pointer, text) => {
    await api.called('a', 404)
    for (const path of ['/reschedule/', '/reschedule/a', `/reschedule/${key('a', 0)}`]) {
      expect(expectProblem(await post(path + query, body), 400, pointer)).toContain(text)
    }
    expect(await entries()).toEqual(['a@0 failed'])
  })
})

describe('a long reschedule', () => {
  const COUNT = 1201

  async function storeMany(target: Api): Promise<void> {
    const tasks = Array.from({ length: COUNT }, (_, n) => aTask({ name: `n${n % 3}`, triggerAt: MINUTE + Math.floor(n / 3) * 60 }))
    await target.store.put(tasks, { now: target.clock.now() })
  }

  it.each(['', '&dry_run'])('takes every entry once over all its batches%s, also those that lie beyond the new time', async (query) => {
    await storeMany(api)
    const answer = await post(`/reschedule/?all=true&trigger_at=${MINUTE + 6000}${query}`)
    expect([answer.body.rescheduled, answer.body.tasks.length]).toEqual([COUNT, COUNT])
    const from = answer.body.tasks.map((task: { rescheduled_from: string }) => task.rescheduled_from)
    expect(new Set(from).size).toBe(COUNT)
    expect((await api.store.counts()).pending).toBe(COUNT)
  })

  it('is pretty like JSON.stringify, and ends at its limit', async () => {
    await storeMany(api)
    const answer = await post('/reschedule/n1?all=true&trigger_at=+30d&limit=300&pretty')
    expect(answer.body.rescheduled).toBe(300)
    expect(answer.text).toBe(`${JSON.stringify(answer.body, null, 4)}\n`)
    const limited = await post('/reschedule/?all=true&trigger_at=+60d&limit=700')
    expect(limited.body.rescheduled).toBe(700)
  })

  it('whose first batch fails gets its status, and whose later one fails is cut off', async () => {
    let left = 1
    const broken = await openApi((store) => {
      const full = new CallmeError('store_unavailable', 'the disk is full')
      return { reschedule: (request) => (left-- > 0 ? store.reschedule(request) : Promise.reject(full)) }
    })
    await storeMany(broken)
    await expect(broken.http.post('/reschedule/?all=true&trigger_at=+1m')).rejects.toThrow(/aborted|hang up|reset/)
    expectProblem(await broken.http.post('/reschedule/?all=true&trigger_at=+1m'), 503)
    expect(broken.logged.filter(({ event }) => event === 'request.failed').map(({ level }) => level)).toEqual(['warn', 'warn'])
    await broken.close()
  })

  it('whose client leaves is no failure', async () => {
    const payload = 'x'.repeat(100_000)
    const tasks = Array.from({ length: 600 }, (_, n) => aTask({ triggerAt: MINUTE + n * 60, definition: { payload } }))
    await api.store.put(tasks, { now: api.clock.now() })
    const request = httpRequest({ port: api.port, host: '127.0.0.1', method: 'POST', path: '/reschedule/?all=true&dry_run' })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    await once(response, 'readable')
    response.destroy()
    expect((await api.http.get('/health')).status).toBe(200)
    expect(api.logged).toEqual([])
  })
})
