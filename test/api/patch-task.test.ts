import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { HandlerDefinition } from '../../src/domain/task/handler.ts'
import { MINUTE } from '../support/a-task.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem, expectTask } from '../support/wire.ts'

const CALLBACK = 'http://receiver.test/run'
const HOUR = MINUTE + 3600
const KEY = `a@${HOUR}`

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

const put = (body: object, name = 'a') => api.http.put(`/task/${name}`).send({ trigger_at: HOUR, callback: CALLBACK, ...body })
const patch = (body: object | string, target = 'a') =>
  api.http
    .patch(`/task/${target}`)
    .set('Content-Type', 'application/merge-patch+json')
    .send(typeof body === 'string' ? body : JSON.stringify(body))
const read = async (target = 'a') => (await api.http.get(`/task/${target}`)).body.tasks[0]
const own = async (triggerAt = HOUR) => (await api.store.get({ name: 'a', triggerAt }, { own: true }))?.definition
const handler = (definition: HandlerDefinition) => api.store.putHandler('a', definition, { now: 0, force: true })

describe('PATCH /task/<key>', () => {
  it('changes some fields of a waiting entry, by its key or its name', async () => {
    await put({ retry: 2, headers: { 'X-A': '1', Authorization: 'abc' }, error_callback: 'http://alarm.test/', spread: 30 })
    const answer = await patch({ retry: 5, callback_method: 'post', error_callback: null, headers: { 'x-a': '2', 'X-B': '3' }, spread: 0 })
    expect(answer.status).toBe(200)
    expect(Object.keys(answer.body)).toEqual(['message', 'task'])
    expect(expectTask(answer.body.task)).toMatchObject({
      key: KEY,
      retry: 5,
      callback_method: 'POST',
      error_callback: null,
      task_state: 'pending',
    })
    expect(answer.headers['location']).toBe(`/task/${KEY}`)
    expect(answer.body.task.next_attempt).toBe(new Date(HOUR * 1000).toISOString())
    const headers = { Authorization: 'abc', 'x-a': '2', 'X-B': '3' }
    expect(await own()).toEqual({ callback: CALLBACK, callback_method: 'POST', retry: 5, headers, spread: 0 })
    await patch({ headers: { 'X-A': null, Authorization: null }, retry: null }, KEY).expect(200)
    expect(await own()).toEqual({ callback: CALLBACK, callback_method: 'POST', headers: { 'X-B': '3' }, spread: 0 })
    expect(api.wakes).toHaveLength(3)
  })

  it('merges a payload, and keeps the bytes that it leaves alone', async () => {
    await api.http
      .put('/task/a')
      .send(`{"trigger_at":${HOUR},"callback":"${CALLBACK}","payload":{"id" : 1541815603606036480,"b":{"c":1,"d":2}}}`)
    const answer = await patch('{"payload":{"b":{"c":1.50,"d":null},"e":[{"f":null}]}}')
    expect(answer.text).toContain('"payload":{"id" :1541815603606036480,"b":{"c":1.50},"e":[{"f":null}]}')
    expect((await patch({ payload: 'text' })).body.task.payload).toBe('text')
    expect((await patch({ payload: { a: 1 } })).body.task.payload).toEqual({ a: 1 })
    expect((await patch({ payload: null })).body.task.payload).toBe('')
    expect(await own()).toEqual({ callback: CALLBACK })
  })

  it('moves an entry with trigger_at, in every form, and tells where it came from', async () => {
    await put({ max_delay: 5 })
    const moved = (await patch({ trigger_at: '2027-01-15 10:30', timezone: 'Europe/Berlin' }).expect(200)).body.task
    expect(moved).toMatchObject({ trigger_time: '2027-01-15T09:30:00.000Z', rescheduled_from: KEY, timezone: 'Europe/Berlin', attempts: 0 })
    expect((await api.http.get(`/task/${KEY}`)).status).toBe(404)
    const atOnce = (await patch({ trigger_at: 'now' })).body.task
    expect(atOnce).toMatchObject({ trigger_at: String(MINUTE - 60), next_attempt: new Date(api.clock.now()).toISOString() })
    expect(api.wakes.at(-1)).toBe(api.clock.now())
    expectProblem(await patch({ trigger_at: null }), 400, '/trigger_at')
    const { errors } = (await patch({ retry: 'x', url: 'y', cron: 'z' })).body as unknown as { errors: { pointer: string }[] }
    expect(errors.map(({ pointer }) => pointer)).toEqual(['/url', '/cron', '/retry'])
    // The first time of the series, where the entry gets one.
    expect((await patch({ trigger_at: null, repeat: '0 12 * * *', timezone: null })).body.task.trigger_time).toBe(
      '2027-01-15T12:00:00.000Z',
    )
  })

  it('changes nothing where all is so already: what was read can be sent back', async () => {
    await handler({ max_delay: 30, headers: { 'X-Api-Key': 'handlers' } })
    await api.http
      .put('/task/a')
      .send(`{"trigger_at":${HOUR},"payload":{"id":1541815603606036480},"callback":"${CALLBACK}","headers":{"Authorization":"abc"}}`)
    const before = await api.store.get({ name: 'a', triggerAt: HOUR })
    const text = (await api.http.get(`/task/${KEY}`)).text.trim()
    const sent = text.slice('{"tasks":['.length, -2)
    const answer = await patch(sent)
    expect([answer.status, answer.body.message]).toEqual([200, 'the task is so already'])
    expect(await api.store.get({ name: 'a', triggerAt: HOUR })).toEqual(before)
    expect(api.wakes).toHaveLength(1)
    const changed = await patch({ ...(JSON.parse(sent) as object), payload: 'x', trigger_at: String(HOUR + 60) })
    expect(changed.body.task).toMatchObject({ payload: 'x', headers: { Authorization: 'redacted', 'X-Api-Key': 'redacted' } })
    expect(await own(HOUR + 60)).toEqual({ callback: CALLBACK, payload: 'x', headers: { Authorization: 'abc' } })
  })

  it('with run=true changes an entry that has failed, and runs it again; the old definition stays in its history', async () => {
    const failed = await api.called('a', 404)
    expect(expectProblem(await patch({ retry: 3 }), 409)).toBe(
      `the entry "a@${MINUTE}" has ended, and is failed; add run=true to run it again with the change`,
    )
    const headers = { 'X-Token': 'new' }
    const answer = await patch({ payload: { a: 1 }, callback_method: 'POST', headers, callback: 'http://new.test/' }, 'a?run=true')
    expect(answer.status).toBe(202)
    expect(answer.body.task).toMatchObject({ task_state: 'pending', callback: 'http://new.test/', attempts: 0, trigger_at: String(MINUTE) })
    expect(answer.body.task.run_id).not.toBe(failed.runId)
    const history = [{ run_id: failed.runId, status: 404, definition: { callback: CALLBACK } }]
    expect((await read(`a@${MINUTE}`)).history).toMatchObject(history)
    expectProblem(await patch({ trigger_at: '+1h' }, 'a?run=true'), 400, '/trigger_at')
    const [again] = await api.claimAll()
    expect(again?.definition).toMatchObject({ callback: 'http://new.test/', payload: { a: 1 }, headers })
    expect(expectProblem(await patch({ retry: 3 }), 409)).toContain(
      `"a@${MINUTE}" is running and cannot be changed; wait until it has ended`,
    )
  })

  it('shows old definitions as it shows tasks', async () => {
    await api.http
      .put('/task/a')
      .send(`{"trigger_at":"+0m","payload":{"id":1541815603606036480},"callback":"${CALLBACK}","headers":{"Authorization":"abc"}}`)
    api.clock.jump(-30_000)
    const [task] = await api.claimAll()
    if (task === undefined) throw new Error('nothing was claimed')
    await api.store.acknowledge({ key: task, attempt: 1, status: 'failed', retryable: false, detail: null, now: MINUTE * 1000, random: 0 })
    await api.store.rescue({ now: MINUTE * 1000 + 3_600_000, limit: 9 })
    await api.store.expire({ now: MINUTE * 1000 + 3_600_000, limit: 9 })
    await patch({ payload: null, headers: null }, `${task.name}@${task.triggerAt}?run`).expect(202)
    const { text } = await api.http.get(`/task/a@${task.triggerAt}`)
    expect(text).toContain('"payload":{"id":1541815603606036480}')
    expect(text).toContain('"headers":{"Authorization":"redacted"}')
    expect(text).not.toContain('payload_is_json')
  })

  it('takes the one entry of a name that waits, and lists the keys of several', async () => {
    await api.called('a', 404)
    await put({})
    expect((await patch({ retry: 3 })).body.task.key).toBe(KEY)
    expect(expectProblem(await patch({ retry: 3 }, 'a?run'), 409)).toContain(`needs the key of one: ${KEY} (pending), a@${MINUTE} (failed)`)
    expectProblem(await patch({ retry: 3 }, 'none'), 404)
    expectProblem(await patch({ retry: 3 }, `none@${HOUR}`), 404)
  })

  it('never takes the place of another entry', async () => {
    await put({ repeat: '@hourly' })
    await put({ trigger_at: HOUR + 60 })
    expect(expectProblem(await patch({ trigger_at: HOUR + 60 }, KEY), 409)).toContain(`"a@${HOUR + 60}" has this minute`)
    expect(expectProblem(await patch({ repeat: '@daily' }, `a@${HOUR + 60}`), 409)).toContain(`"${KEY}" waits in the series of the name`)
    expect((await patch({ repeat: '@daily' }, KEY).expect(200)).body.task).toMatchObject({ key: KEY, repeat: '@daily' })
  })

  it.each([
    [{ calback: 'x' }, '/calback', 'did you mean "callback"'],
    [{ calback: null }, '/calback', 'did you mean "callback"'],
    [{ retry: 'many' }, '/retry', 'an integer'],
    [{ callback: null }, '/callback', 'callback is required'],
    [{ task_name: 'b' }, '/task_name', 'equal to the name'],
    [{ unique: 'ever' }, '/unique', 'must be absent'],
    [{ repeat: 'sometimes' }, '/repeat', 'cron'],
    [{ trigger_at: 'soon' }, '/trigger_at', 'must be'],
    [{ task_state: 'failed' }, '/task_state', 'it must be absent or equal to what is stored, "pending"; got "failed"'],
    [{ updated: '2020-01-01T00:00:00.000Z' }, '/updated', 'cannot be set'],
    [{ headers: { 'X-Token': 'redacted' } }, '/headers/X-Token', 'send the real value'],
    [{ headers: [] }, '/headers', 'an object'],
    ['[]', '', 'a JSON object with the fields that change'],
    ['null', '', 'a JSON object with the fields that change'],
    ['{"__proto__":1}', '/__proto__', 'unknown field'],
    ['{"headers":{"__proto__":"1"}}', '/headers/__proto__', 'JavaScript keeps that name'],
    [`{"payload":${'['.repeat(101)}${']'.repeat(101)}}`, '/payload', 'nested'],
  ])('refuses %j, and changes nothing', async (body, pointer, text) => {
    await put({})
    expect(expectProblem(await patch(body), 400, pointer)).toContain(text)
    expect(await own()).toEqual({ callback: CALLBACK })
  })

  it('keeps a payload within its bound', async () => {
    await put({ payload: { a: 'x'.repeat(700_000) } })
    expect(expectProblem(await patch({ payload: { b: 'x'.repeat(700_000) } }), 400, '/payload')).toContain('at most 1 MiB')
  })
})

describe('what was read', () => {
  it('can be stored again with PUT and POST /tasks: the entry stays, with its secrets', async () => {
    await handler({ headers: { 'X-Api-Key': 'handlers' } })
    await put({ headers: { Authorization: 'abc' }, payload: 'text' })
    const sent = await read(KEY)
    expect((await api.http.put('/task/a').send(sent)).status).toBe(200)
    expect((await own())?.headers).toEqual({ Authorization: 'abc' })
    const { run_id: _runId, updated: _updated, ...known } = await read()
    expect((await api.http.post('/tasks').send([known])).body).toEqual({ results: [{ status: 200, key: KEY }] })
    expect(await own()).toMatchObject({ payload: 'text', headers: { Authorization: 'abc' } })
    const [one, other] = (await api.http.post('/tasks').send([sent, { ...known, task_name: 'b' }])).body.results
    expect([one.errors[0].pointer, other.errors[0].pointer]).toEqual(['/run_id', '/key'])
    expect(other.error).toContain('nothing is stored here')
  })

  it('can be stored again although its minute has come, while it waits', async () => {
    await put({ trigger_at: MINUTE })
    api.clock.jump(90_000)
    const { body } = await api.http
      .put('/task/a')
      .send(await read(`a@${MINUTE}`))
      .expect(200)
    expect(body.task).toMatchObject({ key: `a@${MINUTE}`, next_attempt: new Date(api.clock.now()).toISOString() })
  })

  it('holds for a handler', async () => {
    const definition = { callback: CALLBACK, headers: { Authorization: 'abc' } }
    await api.http.put('/handler/a').send(definition).expect(201)
    const [sent] = (await api.http.get('/handler/a')).body.handlers
    await api.http
      .put('/handler/a')
      .send({ ...sent, retry: null })
      .expect(200)
    expect((await api.store.getHandler('a'))?.definition).toEqual(definition)
    expectProblem(await api.http.put('/handler/b').send({ callback: CALLBACK, created: sent.created }), 400, '/created')
  })

  it('may hold null wherever a member may be absent', async () => {
    const nulls = { retry: null, headers: null, error_callback: null, repeat: null, error: null, unique: null }
    expect((await put(nulls)).status).toBe(201)
    expect(await own()).toEqual({ callback: CALLBACK })
  })
})
