/** A payload is kept and sent as the bytes that came, on each way in and out. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { errorCallbackOf } from '../../src/domain/task/error-callback.ts'
import { pendingTask } from '../../src/domain/task/task.ts'
import { callRequestOf } from '../../src/scheduler/call-request.ts'
import { formatBlock } from '../../src/api/events/event-block.ts'
import { MINUTE } from '../support/a-task.ts'
import { openApi, VERSION, type Api } from '../support/open-api.ts'
import { expectProblem } from '../support/wire.ts'

const DEFAULTS = { version: VERSION, timeoutMs: 15_000, expectedStatus: 200 }
const SERVER = { timeout: 15, expectedStatus: 200 }
const TEXTS = [
  '{"id":1541815603606036480}',
  '[9007199254740993,1e400,-1e-400,1.0,1E5,-0,0.1000000000000000055511151231257827]',
  '1.50',
  '{"2":1,"1":2,"2":3,"__proto__":{"payload":[]}}',
  String.raw`{"a\u0062":"\u00e9\ud800\/\"}],","c":"\\"}`,
  '{ "a" : [ 1 ,\n\t 2 ]\r\n}',
  'null',
  'true',
  '{"plain":["é",1,{}]}',
]

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

/** A name in escapes is the same member, and the last of two counts. */
const bodyOf = (payload: string, more = '') =>
  `{"retry":1${more},"trigger_at":${MINUTE},"pay\\u006coad":"first","callback":"http://a.test/","payload": ${payload} ,"callback_method":"POST"}`

/** What the receiver of the one waiting task gets. */
async function sent(): Promise<[string | undefined, string | undefined]> {
  const [task] = await api.claimAll()
  const request = task && callRequestOf(task, DEFAULTS)
  await api.store.rescue({ now: MINUTE * 1000 + 60_000, limit: 1 })
  return [request?.body, request?.headers['content-type']]
}

it.each(TEXTS)('%s is sent and shown as it came', async (text) => {
  const put = await api.http.put('/task/a').send(bodyOf(text))
  expect(put.status).toBe(201)
  const reads = [put, await api.http.get('/task/a'), await api.http.get('/task/a?pretty')]
  for (const read of reads) expect(read.text).toMatch(/^\{.*\}\n?$/s)
  const isPlain = text === TEXTS.at(-1)
  for (const read of reads.slice(0, isPlain ? 2 : 3)) expect(read.text.replace(/\s/g, '')).toContain(`"payload":${text.replace(/\s/g, '')}`)
  expect(await sent()).toEqual([text, 'application/json'])
})

it('each payload of a bulk is kept as it came, in an array as on lines', async () => {
  const texts = TEXTS.map((text) => text.replace(/[\r\n]/g, ' '))
  const bodies = texts.map((text, n) => bodyOf(text, `,"task_name":"t${n}"`))
  for (const body of [`[${bodies.join(' ,\n')}]`, bodies.join('\n')]) {
    expect((await api.http.post('/tasks').send(body)).status).toBe(200)
    const { tasks } = await api.store.list({}, { limit: 99 })
    expect(tasks.map((task) => callRequestOf(task, DEFAULTS)?.body)).toEqual(texts)
  }
})

it('an error callback and an event carry the payload as it came, the event on one line', async () => {
  const text = TEXTS[5] ?? ''
  await api.http.put('/task/a').send(bodyOf(text, ',"error_callback":"http://alarm.test/"'))
  const [task] = (await api.store.list({}, { limit: 1 })).tasks
  const callback = task && errorCallbackOf({ ...task, state: 'failed' }, [], 0)
  const request = callback && callRequestOf(pendingTask(callback, { created: 0, now: 0 }), DEFAULTS)
  expect(request?.body).toContain(`"payload":${text}}`)
  expect(request?.headers['content-type']).toBe('application/json')
  const { changes } = await api.store.changes({ after: 0, limit: 1 })
  const lines = formatBlock(0, changes, SERVER).bytes.toString().split('\n')
  expect(lines).toHaveLength(5)
  expect(lines[2]).toContain('"payload":{ "a" : [ 1 , 2 ] }')
})

it('the detail of an acknowledgement is kept as it came', async () => {
  await api.store.putHandler('a', { ack_timeout: 5 }, { now: MINUTE * 1000, force: false })
  await api.called('a', 200)
  const text = '{ "id": 1541815603606036480,\n"2":1.0,"1":1e400}'
  const answer = await api.http.post(`/ack/a@${MINUTE}`).send(`{"attempt":1,"status":"successful","detail":${text}}`)
  expect(answer.body.task.response_body).toBe(text)
})

it.each(['payload', 'detail'])('a %s with half of a surrogate pair is refused, because no bytes are it', async (field) => {
  const more = field === 'payload' ? '"trigger_at":"+1h","callback":"http://a.test/"' : '"attempt":1,"status":"failed"'
  const path = field === 'payload' ? api.http.put('/task/a') : api.http.post(`/ack/a@${MINUTE}`)
  const sentence = expectProblem(await path.send(`{${more},"${field}":"a\\ud800"}`), 400, `/${field}`)
  expect(sentence).toBe(`${field} must be whole Unicode characters; it holds half of a surrogate pair, which UTF-8 cannot`)
})
