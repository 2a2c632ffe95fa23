import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MINUTE, aTask } from '../support/a-task.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem } from '../support/wire.ts'

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

const NAMES = ['mail', 'mail.*', 'mail.a', 'mail.a+b', 'mail.b', 'mail.ä', 'post']

const storePending = (names: readonly string[], minute = 0) =>
  api.store.put(
    names.map((name) => aTask({ name, triggerAt: MINUTE + minute * 60 })),
    { now: api.clock.now() },
  )

async function names(path: string): Promise<string[]> {
  const { body } = await api.http.get(path).expect(200)
  return body.tasks.map((task: { task_name: string }) => task.task_name)
}

describe('?name of a list', () => {
  it.each<[string, string[]]>([
    ['mail.*', ['mail.*', 'mail.a', 'mail.a+b', 'mail.b', 'mail.ä']],
    ['mail.%2A', ['mail.*', 'mail.a', 'mail.a+b', 'mail.b', 'mail.ä']],
    ['mail*', ['mail', 'mail.*', 'mail.a', 'mail.a+b', 'mail.b', 'mail.ä']],
    ['*', NAMES],
    ['mail.a', ['mail.a']],
    ['mail.a+b', ['mail.a+b']],
    ['mail.a%2Bb', ['mail.a+b']],
    ['mail.%C3%A4', ['mail.ä']],
    ['mail.%C3%A4*', ['mail.ä']],
    ['mail.a%CC%88*', []],
    ['mail.**', ['mail.*']],
    ['*mail', []],
    ['m*l', []],
    ['MAIL*', []],
  ])('%s lists %j', async (filter, expected) => {
    await storePending(NAMES)
    for (const path of ['/task/', '/task', '/status/', '/status']) expect(await names(`${path}?name=${filter}`)).toEqual(expected)
  })

  it('holds beside the name of the path and every other filter', async () => {
    await storePending(['mail.a', 'mail.b'])
    await storePending(['mail.a', 'mail.b'], 5)
    await api.called('mail.c', 404)
    expect(await names('/task/mail.a?name=mail.*')).toEqual(['mail.a', 'mail.a'])
    expect(await names('/task/mail.a?name=mail.b')).toEqual([])
    expect(await names(`/task/?name=mail.*&from=${MINUTE + 60}`)).toEqual(['mail.a', 'mail.b'])
    expect(await names('/task/?name=mail.*&state=failed,skipped')).toEqual(['mail.c'])
    expectProblem(await api.http.get('/task/unknown?name=mail.*'), 404)
  })

  it('goes on from page to page, by next and by the link', async () => {
    await storePending(NAMES)
    const found: string[] = []
    let path = '/task/?name=mail.*&limit=2'
    while (path !== '') {
      const { body, links } = await api.http.get(path).expect(200)
      found.push(...body.tasks.map((task: { task_name: string }) => task.task_name))
      path = (links as { next?: string }).next ?? ''
      expect(path !== '').toBe('next' in body)
    }
    expect(found).toEqual(['mail.*', 'mail.a', 'mail.a+b', 'mail.b', 'mail.ä'])
  })

  it('is a name like any other in the path, where an asterisk is a character', async () => {
    await storePending(NAMES)
    expect(await names('/task/mail.*')).toEqual(['mail.*'])
    expectProblem(await api.http.get('/task/post*'), 404)
    expect((await api.http.delete('/task/mail.*')).body).toEqual({ deleted: 1 })
    expect(await names('/task/')).toEqual(NAMES.filter((name) => name !== 'mail.*'))
  })
})

const BAD = ['', 'a@b', 'a/b', 'a%20b', '%20', 'a%0Ab', '*@*', 'a%40b*', 'x'.repeat(201), `${'x'.repeat(200)}*`]

describe.each<[string, (filter: string) => Promise<Awaited<ReturnType<Api['http']['get']>>>]>([
  ['GET /task/', (filter) => api.http.get(`/task/?name=${filter}`)],
  ['GET /task/<name>', (filter) => api.http.get(`/task/mail.a?name=${filter}`)],
  ['POST /reschedule/', (filter) => api.http.post(`/reschedule/?name=${filter}`)],
  ['DELETE /task/', (filter) => api.http.delete(`/task/?name=${filter}`)],
  ['GET /events', (filter) => api.http.get(`/events?name=${filter}`)],
])('%s', (_, ask) => {
  it.each(BAD)('refuses name=%s, says what is wrong, and changes nothing', async (filter) => {
    await storePending(NAMES)
    const sentence = expectProblem(await ask(filter), 400, '?name')
    expect(sentence).toContain('asterisk')
    expect(await names('/task/')).toEqual(NAMES)
  })

  it('refuses a name that is given twice', async () => {
    await storePending(NAMES)
    expect(expectProblem(await ask('mail.a&name=mail.b'), 400, '?name')).toContain('once')
    expect(await names('/task/')).toEqual(NAMES)
  })
})

describe('?name of a key', () => {
  it.each<[string, () => Promise<Awaited<ReturnType<Api['http']['get']>>>]>([
    ['GET', () => api.http.get(`/task/mail.a@${MINUTE}?name=mail.a`)],
    ['DELETE', () => api.http.delete(`/task/mail.a@${MINUTE}?name=mail.a`)],
  ])('is refused by %s: the key says which entry is meant', async (_, ask) => {
    await storePending(['mail.a'])
    expectProblem(await ask(), 400, '?name')
    expect(await names('/task/')).toEqual(['mail.a'])
  })
})

describe('?name of POST /reschedule/', () => {
  it('gives the entries of matching names a new time', async () => {
    for (const name of ['mail.a', 'mail.b', 'post', 'mail']) await api.called(name, 404)
    const to = MINUTE + 3600
    const keys = async (path: string) => {
      const { body } = await api.http.post(path).send({ trigger_at: to }).expect(200)
      return [body.rescheduled, body.tasks.map((task: { task_name: string; trigger_at: string }) => `${task.task_name}@${task.trigger_at}`)]
    }
    expect(await keys('/reschedule/?name=mail.*&dry_run')).toEqual([2, [`mail.a@${to}`, `mail.b@${to}`]])
    expect(await keys('/reschedule/?name=mail.*')).toEqual([2, [`mail.a@${to}`, `mail.b@${to}`]])
    expect(await keys('/reschedule/?name=mail.*')).toEqual([0, []])
    expect(await keys('/reschedule/?name=none*')).toEqual([0, []])
    expect(await keys('/reschedule/post?name=mail*')).toEqual([0, []])
    expect(await names('/task/?state=pending')).toEqual(['mail.a', 'mail.b'])
  })
})

describe('?name of DELETE /task/', () => {
  it('deletes what waits of matching names, though one of them is running, and with all what has ended too', async () => {
    await api.called('mail.good', 200)
    await api.claimed('mail.busy')
    await api.called('post.good', 200)
    await storePending(NAMES, 5)
    expect((await api.http.delete('/task/?name=mail.*')).body).toEqual({ deleted: 5 })
    expect(await names('/task/')).toEqual(['mail.busy', 'mail.good', 'post.good', 'mail', 'post'])
    expect((await api.http.delete('/task/?name=mail.*&all=true')).body).toEqual({ deleted: 1 })
    expect((await api.http.delete('/task/?name=mail.*&all=true')).body).toEqual({ deleted: 0 })
    expect((await api.http.delete('/task/post?name=mail*')).body).toEqual({ deleted: 0 })
    expect((await api.http.delete('/task/?name=*&all=true')).body).toEqual({ deleted: 3 })
    expect(await names('/task/')).toEqual(['mail.busy'])
  })
})
