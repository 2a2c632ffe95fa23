import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MINUTE } from '../support/a-task.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem } from '../support/wire.ts'

const CALLBACK = 'http://handler.test/run'

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

const put = (name: string, body: object, query = '') => api.http.put(`/handler/${name}${query}`).send(body)
const remove = (name: string, query = '') => api.http.delete(`/handler/${name}${query}`)
const putTask = (name: string, body: object = {}) => api.http.put(`/task/${name}`).send({ trigger_at: MINUTE, ...body })
const readTask = async (name: string) => (await api.http.get(`/task/${name}@${MINUTE}`).expect(200)).body.tasks[0]

describe('PUT /handler/<beginning>*', () => {
  it.each([
    ['mail.*', 'mail.*', '/handler/mail.*'],
    ['mail.%2A', 'mail.*', '/handler/mail.*'],
    ['*', '*', '/handler/*'],
    ['%C3%A4%F0%9F%98%80*', 'ä😀*', '/handler/%C3%A4%F0%9F%98%80*'],
    [`${'x'.repeat(199)}*`, `${'x'.repeat(199)}*`, `/handler/${'x'.repeat(199)}*`],
  ])('stores %s, which reads back by its own name', async (path, name, location) => {
    const answer = await put(path, { callback: CALLBACK, concurrency: 2 }).expect(201)
    expect(answer.headers['location']).toBe(location)
    expect(answer.body.handler).toMatchObject({ name, callback: CALLBACK, concurrency: 2 })
    expect((await api.http.get(`/handler/${path}`).expect(200)).body.handlers).toEqual([answer.body.handler])
    expect((await api.http.get('/handler/').expect(200)).body.handlers).toEqual([answer.body.handler])
    await put(path, { callback: CALLBACK }).expect(200)
    expect((await remove(path).expect(200)).body).toEqual({ deleted: 1 })
    expectProblem(await remove(path), 404)
  })

  it.each(['a@*', 'a%2Fb*', '%20*', `${'x'.repeat(200)}*`])('refuses %s', async (path) => {
    expectProblem(await put(path, { callback: CALLBACK }), 400, '/name')
    expect((await api.store.listHandlers({ limit: 9 })).handlers).toEqual([])
  })

  it('is read by its own name alone', async () => {
    await put('mail.*', { callback: CALLBACK })
    for (const name of ['mail.a', 'mail.', 'mail', '*', 'mail.**']) {
      expectProblem(await api.http.get(`/handler/${name}`), 404)
      expectProblem(await remove(name), 404)
    }
  })

  it('gives tasks of matching names what they lack, each from the one handler that applies', async () => {
    await put('*', { callback: 'http://all.test/', retry: 9 })
    await put('mail.*', { callback: CALLBACK, timeout: 7 })
    await put('mail.vip', { callback: 'http://vip.test/' })
    for (const name of ['mail.a', 'mail.vip', 'post']) await putTask(name).expect(201)
    expect(await readTask('mail.a')).toMatchObject({ callback: CALLBACK, timeout: 7, retry: 1 })
    expect(await readTask('mail.vip')).toMatchObject({ callback: 'http://vip.test/', timeout: 15, retry: 1 })
    expect(await readTask('post')).toMatchObject({ callback: 'http://all.test/', timeout: 15, retry: 9 })
    await put('mail.*', { callback: 'http://new.test/' }).expect(200)
    expect(await readTask('mail.a')).toMatchObject({ callback: 'http://new.test/', timeout: 15 })
    await remove('mail.vip').expect(200)
    expect(await readTask('mail.vip')).toMatchObject({ callback: 'http://new.test/' })
  })

  it('refuses a task without a callback whose name it does not match', async () => {
    await put('mail.*', { callback: CALLBACK })
    for (const name of ['mail', 'mailx', 'Mail.a']) expectProblem(await putTask(name), 400, '/callback')
    await putTask('mail.').expect(201)
  })

  it('is refused to go, or to be narrowed, while tasks need it, and says how it is done all the same', async () => {
    await put('mail.*', { callback: CALLBACK })
    await putTask('mail.a').expect(201)
    for (const answer of [
      await remove('mail.*'),
      await put('mail.*', { retry: 2 }),
      await put('mail.a', { paused: true }),
      await put('mail.a*', {}),
    ]) {
      expect(expectProblem(answer, 409)).toContain('force=true')
    }
    expect((await api.store.listHandlers({ limit: 9 })).handlers.map(({ name }) => name)).toEqual(['mail.*'])
    await put('mail.b', { paused: true }).expect(201)
    await put('*', { callback: 'http://all.test/' }).expect(201)
    await remove('mail.*').expect(200)
    expect(await readTask('mail.a')).toMatchObject({ callback: 'http://all.test/' })
    await remove('*', '?force=true').expect(200)
    expect(await readTask('mail.a')).toMatchObject({ task_state: 'pending', callback: null })
  })

  it('that has gone by force wakes the scheduler, and logs its name', async () => {
    await put('mail.*', { callback: CALLBACK })
    await remove('mail.*', '?force=true').expect(200)
    expect(api.wakes).toEqual([api.clock.now(), api.clock.now()])
    expect(api.logged.map(({ event, fields }) => [event, fields])).toEqual([
      ['handler.stored', { handler: 'mail.*' }],
      ['handler.removed', { handler: 'mail.*' }],
    ])
  })
})

describe('POST /claim/<beginning>*', () => {
  const claim = async (path: string) => {
    const { body } = await api.http.post(`/claim/${path}`).expect(200)
    return body.tasks.map((task: { task_name: string }) => task.task_name)
  }

  it('hands out tasks of all its names, and those of a longer handler under that one alone', async () => {
    await put('mail.*', { pull: true })
    await put('mail.vip.*', { pull: true })
    for (const name of ['mail.b', 'mail.a', 'mail.vip.x']) await putTask(name).expect(201)
    await api.clock.advance(30_000)
    expect(await claim('mail.%2A?limit=1')).toEqual(['mail.b'])
    expect(await claim('mail.*')).toEqual(['mail.a'])
    expect(await claim('mail.*')).toEqual([])
    expect(await claim('mail.vip.*')).toEqual(['mail.vip.x'])
    const { body } = await api.http.post(`/ack/mail.a@${MINUTE}`).send({ attempt: 1, status: 'successful' }).expect(200)
    expect(body.task).toMatchObject({ task_state: 'successful' })
  })

  it('is by the name of the handler: that of a task finds nothing, and the answer says how', async () => {
    await put('mail.*', { pull: true })
    await putTask('mail.a').expect(201)
    await api.clock.advance(30_000)
    expect(expectProblem(await api.http.post('/claim/mail.a'), 404)).toContain('"mail.*"')
    await put('post.*', { callback: CALLBACK })
    expectProblem(await api.http.post('/claim/post.*'), 409)
    expect(await claim('mail.*')).toEqual(['mail.a'])
  })

  it('waits for a task of any of its names', async () => {
    await put('mail.*', { pull: true })
    await api.clock.advance(30_000)
    const waiting = api.http.post('/claim/mail.*?wait=20').then(({ body }) => body.tasks)
    await putTask('mail.new', { trigger_at: '+0m' }).expect(201)
    expect(await waiting).toMatchObject([{ task_name: 'mail.new', task_state: 'running' }])
  })
})
