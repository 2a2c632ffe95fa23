import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CallmeError } from '../../src/domain/errors.ts'
import { MINUTE } from '../support/a-task.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem } from '../support/wire.ts'

const CALLBACK = 'http://receiver.test/run'
const HOUR = MINUTE - 60 + 3600

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

const entry = (task_name: string, fields: object = {}) => ({ task_name, trigger_at: '+1h', callback: CALLBACK, ...fields })
const lines = (...entries: object[]) => entries.map((one) => JSON.stringify(one)).join('\n')
const post = (body: string) => api.http.post('/tasks').set('Content-Type', 'application/octet-stream').send(body)
const names = async () => (await api.store.list({}, { limit: 1000 })).tasks.map(({ name }) => name)

describe('POST /tasks', () => {
  it('refuses a number that cannot be kept, of an array as a whole and of lines alone', async () => {
    const bad = `{"task_name":"bad","trigger_at":"+1h","callback":"${CALLBACK}","payload":1e999,"retry":9007199254740993}`
    const sentence = 'the body holds the number 9007199254740993, which JSON readers cannot keep exactly; send it as a string'
    expect(expectProblem(await post(`[${JSON.stringify(entry('a'))},${bad}]`), 400, '')).toBe(sentence)
    const { results } = (await post(`${JSON.stringify(entry('a'))}\n${bad}`)).body
    expect(results).toMatchObject([{ status: 201 }, { status: 400, error: expect.stringContaining(sentence) }])
    expect(await names()).toEqual(['a'])
  })

  it.each([
    ['If-Match', '*'],
    ['If-None-Match', '"a"'],
  ])('refuses the condition %s: %s, whatever the body holds', async (name, value) => {
    for (const body of [JSON.stringify(entry('a')), '{}']) {
      expect(expectProblem(await post(body).set(name, value), 400)).toContain('the only condition that is known is "If-None-Match: *"')
    }
    expect(await names()).toEqual([])
  })

  it.each([
    ['a JSON array', (entries: object[]) => JSON.stringify(entries)],
    ['an indented JSON array', (entries: object[]) => `\n ${JSON.stringify(entries, null, 2)}\n`],
    ['NDJSON', (entries: object[]) => lines(...entries)],
    ['NDJSON with blank lines and CRLF', (entries: object[]) => `\r\n${lines(...entries).replaceAll('\n', '\r\n\r\n')}\r\n`],
  ])('stores all tasks of %s and answers their keys in order', async (_form, write) => {
    const answer = await post(write([entry('b'), entry('a', { trigger_at: '+2h' }), entry('b')]))
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual({
      results: [
        { status: 201, key: `b@${HOUR}` },
        { status: 201, key: `a@${HOUR + 3600}` },
        { status: 200, key: `b@${HOUR}` },
      ],
    })
    expect(await names()).toEqual(['b', 'a'])
    expect(api.wakes).toEqual([HOUR * 1000])
  })

  it('stores large tasks in several commits, and says of each whether the store took it', async () => {
    await api.close()
    const sizes: number[] = []
    api = await openApi((store) => ({
      put: (tasks, options) => {
        sizes.push(tasks.length)
        return sizes.length < 3 ? store.put(tasks, options) : Promise.reject(new CallmeError('store_unavailable', 'the disk is full'))
      },
    }))
    const payload = 'x'.repeat(2 ** 17)
    const answer = await post(JSON.stringify(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => entry(name, { payload }))))
    expect(sizes).toEqual([2, 2, 2])
    expect(answer.status).toBe(207)
    const failed = { status: 503, error: 'the disk is full' }
    const { results } = answer.body as { results: object[] }
    expect(results).toMatchObject([...['a', 'b', 'c', 'd'].map((name) => ({ status: 201, key: `${name}@${HOUR}` })), failed, failed])
    expect(await api.store.counts()).toMatchObject({ pending: 4 })
  })

  it('stores what is right beside what is wrong and says of each what became of it', async () => {
    await api.claimed('busy')
    const deep = `{"task_name":"deep","trigger_at":"+1h","callback":"${CALLBACK}","payload":${'['.repeat(101)}${']'.repeat(101)}}`
    const body = [
      lines(entry('good'), entry('bad', { retry: -1 }), { trigger_at: '+1h', callback: CALLBACK }, entry('a@b')),
      '{"task_name":',
      'null',
      deep,
      lines(entry('busy', { trigger_at: MINUTE }), entry('typo', { payloud: 1 }), entry('last')),
    ].join('\n')
    const answer = await post(body)
    expect(answer.status).toBe(207)
    const results = answer.body.results as { status: number; key?: string; error?: string; errors?: { pointer: string }[] }[]
    expect(results.map(({ status }) => status)).toEqual([201, 400, 400, 400, 400, 400, 400, 409, 400, 201])
    expect(results.map(({ errors }) => errors?.[0]?.pointer)).toEqual([
      ...[undefined, '/retry', '/task_name', '/task_name', '', '', '/payload', undefined, '/payloud', undefined],
    ])
    expect(results[4]?.error).toContain('--data-binary')
    expect(results[7]?.error).toContain(`"busy@${MINUTE}" is running`)
    expect((await names()).sort()).toEqual(['busy', 'good', 'last'])
  })

  it('refuses each entry that is wrong in an array too, and stores the others', async () => {
    const deep = `{"task_name":"deep","trigger_at":"+1h","callback":"${CALLBACK}","payload":${'['.repeat(101)}${']'.repeat(101)}}`
    const answer = await post(`[${deep},5,[],${JSON.stringify(entry('good'))}]`)
    expect(answer.status).toBe(207)
    expect(answer.body.results.map(({ status }: { status: number }) => status)).toEqual([400, 400, 400, 201])
  })

  it('answers 207 and stores nothing when every entry is wrong', async () => {
    const answer = await post('[{}]')
    expect(answer.status).toBe(207)
    expect(answer.body.results).toHaveLength(1)
    expect(api.wakes).toEqual([])
  })

  it('takes a task without a callback where its handler does without one, and refuses it where not', async () => {
    await api.store.putHandler('handled', { callback: CALLBACK }, { now: api.clock.now(), force: false })
    const answer = await post(lines({ task_name: 'handled', trigger_at: '+1h' }, { task_name: 'orphan', trigger_at: '+1h' }, entry('last')))
    expect(answer.status).toBe(207)
    expect(answer.body.results).toMatchObject([
      { status: 201, key: `handled@${HOUR}` },
      { status: 400, error: expect.stringContaining('the name "orphan" has no handler'), errors: [{ pointer: '/callback' }] },
      { status: 201, key: `last@${HOUR}` },
    ])
    expect(await names()).toEqual(['handled', 'last'])
  })

  it('replaces nothing with If-None-Match: *', async () => {
    await post(lines(entry('there')))
    const answer = await post(lines(entry('there'), entry('new'))).set('If-None-Match', '*')
    expect(answer.body.results.map(({ status }: { status: number }) => status)).toEqual([412, 201])
  })

  it.each(['', ' \n\r\n ', '[]'])('refuses %j, which holds no task', async (body) => {
    expect(expectProblem(await post(body), 400, '')).toContain('at least one task')
  })

  it.each(['[', '[1,]', `[${JSON.stringify(entry('a'))}`])('refuses the broken array %s as a whole', async (body) => {
    expect(expectProblem(await post(body), 400, '')).toContain('the body must be JSON such as [{"task_name"')
    expect(await names()).toEqual([])
  })

  it('refuses 100 000 nested brackets', async () => {
    expect(expectProblem(await post('['.repeat(100_000)), 400, '')).toContain('nested')
    const answer = await post(`{"a":${'['.repeat(100_000)}`)
    expect(answer.body.results[0].error).toContain('nested')
  })

  it.each(['a JSON array', 'NDJSON'])('takes 1 000 tasks and refuses 1 001 in %s', async (form) => {
    const entries = Array.from({ length: 1001 }, (_, n) => entry(`n${n}`))
    const write = (some: object[]) => (form === 'NDJSON' ? lines(...some) : JSON.stringify(some))
    expect(expectProblem(await post(write(entries)), 413)).toContain('at most 1000 tasks; got 1001')
    expect(await names()).toEqual([])
    const answer = await post(write(entries.slice(0, 1000)))
    expect(answer.status).toBe(200)
    expect(answer.body.results).toHaveLength(1000)
    expect(await names()).toHaveLength(1000)
  })

  it('takes up to 16 MiB', async () => {
    const large = (size: number) => lines(...Array.from({ length: 16 }, (_, n) => entry(`n${n}`, { payload: 'x'.repeat(size) })))
    expect((await post(large(2 ** 20 - 200))).status).toBe(200)
    expect(expectProblem(await post(large(2 ** 20)), 413)).toContain('16 MiB')
  })

  it('makes the answer pretty', async () => {
    const answer = await api.http.post('/tasks?pretty').send(lines(entry('a')))
    expect(answer.text).toBe(`${JSON.stringify({ results: [{ status: 201, key: `a@${HOUR}` }] }, null, 4)}\n`)
  })
})
