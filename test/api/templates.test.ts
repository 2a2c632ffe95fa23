/** Templates and error payloads as clients send them and get them back, and what workers get. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { callRequestOf } from '../../src/scheduler/call-request.ts'
import { MINUTE } from '../support/a-task.ts'
import { VERSION, openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem } from '../support/wire.ts'

const CALLBACK = 'http://handler.test/run'
const LARGE = 'x'.repeat(16 * 1024)

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

const put = (path: string, body: object | string) => api.http.put(path).send(body)

it.each([
  [
    'callback',
    'http://{name}.test/',
    'callback must not hold a placeholder in its host; its path and its query may hold them; got "http://{name}.test/"',
  ],
  ['callback', `${CALLBACK}/{task}`, 'known are {name}, {id}, {minute}, {run_id}, {attempt}'],
  [
    'callback',
    `${CALLBACK}/{id}`,
    'callback must not hold {id}, which is what * of a handler stands for; the name "a" has none: use {name}',
  ],
  ['payload', { a: ['{id}'] }, 'payload must not hold {id}'],
  ['error_payload', '{id}', 'error_payload must not hold {id}'],
  ['error_callback', `${CALLBACK}/{name}`, 'error_callback must not hold placeholders, but error_payload may'],
  ['payload', `${LARGE}x`, 'payload of a handler must be at most 16384 bytes; got 16385'],
  ['error_payload', [LARGE], 'error_payload of a handler must be at most 4096 bytes; got 16388'],
  ['error_payload', 7, 'error_payload must be a string, an object or an array, at most 4 KiB; got 7'],
])('a handler is refused for its %s %j', async (field, value, words) => {
  expect(expectProblem(await put('/handler/a', { callback: CALLBACK, [field]: value }), 400, `/${field}`)).toContain(words)
})

it('a task is refused for an error payload that is too large, or holds {id}', async () => {
  for (const value of [{ a: LARGE }, 'a {id}']) {
    const body = { trigger_at: MINUTE, callback: CALLBACK, error_payload: value }
    expect(expectProblem(await put('/task/a', body), 400, '/error_payload')).toContain('error_payload must ')
  }
})

it('payloads of handler and task are kept as they came, and are filled in for the call', async () => {
  const payload = '{ "id":"{id}", "n":1541815603606036480, "2":1.0,"1":"\\u007bid}" }'
  const handler = `{"callback":"${CALLBACK}/{id}?n={attempt}","callback_method":"POST","payload":${payload},"error_payload":{"n":1.0,"t":"{error}"}}`
  const answers = [await put('/handler/mail.*', handler), await api.http.get('/handler/mail.*')]
  for (const { text } of answers) expect(text).toContain(`"payload":${payload},"error_payload":{"n":1.0,"t":"{error}"}`)
  const own = `{"trigger_at":${MINUTE},"error_payload":{"m":2.0}}`
  const read = (await put('/task/mail.a"b', own).expect(201)).text
  expect(read).toContain(`"payload":${payload},`)
  expect(read).toContain('"error_payload":{"m":2.0}')
  expect(read).toContain(`"callback":"${CALLBACK}/{id}?n={attempt}"`)
  const [task] = await api.claimAll()
  const request = task && callRequestOf(task, { version: VERSION, timeoutMs: 15_000, expectedStatus: 200 })
  expect(request).toMatchObject({
    url: `${CALLBACK}/a%22b?n=1`,
    body: payload.replace('"{id}"', '"a\\"b"'),
    headers: { 'content-type': 'application/json' },
  })
})

it('a worker gets the payload filled in', async () => {
  await put('/handler/mail.*', { pull: true, payload: { to: '{id}' } }).expect(201)
  await put('/task/mail.ann', { trigger_at: MINUTE }).expect(201)
  await api.clock.advance(30_000)
  const { tasks } = (await api.http.post('/claim/mail.*').expect(200)).body
  expect(tasks).toMatchObject([{ task_name: 'mail.ann', payload: { to: 'ann' } }])
})
