/** The examples of the original callme's documentation, as they stand there. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MINUTE } from '../support/a-task.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectTask } from '../support/wire.ts'

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

const put = (name: string, body: string) => api.http.put(`/task/${name}`).set('Content-Type', 'application/json').send(body)
const keysOf = (answer: { body: { tasks: unknown[] } }) =>
  answer.body.tasks.map(expectTask).map((task) => `${task.task_name}@${task.trigger_at}`)

describe('the original documentation', () => {
  it('schedules a task 6 hours from now as a simple GET that expects 200, and reads its state', async () => {
    const answer = await put('simpletask', '{"trigger_at":"+6h", "callback":"http://example.com/that-thing/run-it"}')
    expect(answer.status).toBe(201)
    const read = await api.http.get('/task/simpletask?pretty')
    expect(read.text).toContain('\n    "tasks": [\n        {\n            "task_name": "simpletask",\n')
    expect(expectTask(read.body.tasks[0])).toMatchObject({
      ...{ trigger_at: String(MINUTE - 60 + 6 * 3600), callback: 'http://example.com/that-thing/run-it', task_state: 'pending' },
      ...{ callback_method: 'GET', payload: '', expected_http_status: 200, retry: 1, max_delay: 10 },
    })
  })

  it('schedules two entries of one name and reads both, one, and all', async () => {
    const midnight = '{"trigger_at":"1858809600", "callback":"http://example.com/far-far-away", "expected_http_status":204}'
    const later = '{"trigger_at":"1858816800", "callback":"http://example.com/far-far-away", "expected_http_status":204}'
    expect([(await put('faraway', midnight)).status, (await put('faraway', later)).status]).toEqual([201, 201])
    await put('simpletask', '{"trigger_at":"+6h", "callback":"http://example.com/that-thing/run-it"}')
    expect(keysOf(await api.http.get('/task/faraway?pretty'))).toEqual(['faraway@1858809600', 'faraway@1858816800'])
    const one = await api.http.get('/task/faraway@1858809600?pretty')
    expect(keysOf(one)).toEqual(['faraway@1858809600'])
    expect(one.body.tasks[0]).toMatchObject({ trigger_time: '2028-11-26T00:00:00.000Z', expected_http_status: 204 })
    expect(keysOf(await api.http.get('/task/?pretty'))).toEqual([
      `simpletask@${MINUTE - 60 + 6 * 3600}`,
      'faraway@1858809600',
      'faraway@1858816800',
    ])
  })

  it('takes every parameter of a task definition, task_name included', async () => {
    const definition = {
      ...{ task_name: 'every', trigger_at: '+2d', callback: 'http://example.com/', callback_method: 'POST', payload: 'a=1&b=2' },
      ...{ expected_http_status: 202, retry: 3, max_delay: 30 },
    }
    const answer = await put('every', JSON.stringify(definition))
    expect(answer.body.task).toMatchObject({ ...definition, trigger_at: String(MINUTE - 60 + 2 * 86_400) })
  })

  it('reschedules one failed entry, all failed ones of a name, and with all=true those that did not fail', async () => {
    await api.called('gone', 404)
    await api.called('fine', 200)
    const one = await api.http.post(`/reschedule/gone@${MINUTE}`).send('{"trigger_at":"+1h"}')
    expect(keysOf(one)).toEqual([`gone@${MINUTE - 60 + 3600}`])
    await api.called('other', 404)
    // The next minute is the one that the failed entry itself has, so its copy gets the one after.
    expect(keysOf(await api.http.post('/reschedule/other'))).toEqual([`other@${MINUTE + 60}`])
    expect((await api.http.post('/reschedule/fine')).body.rescheduled).toBe(0)
    expect(keysOf(await api.http.post('/reschedule/fine?all=true').send('{"trigger_at":"+3h"}'))).toEqual([
      `fine@${MINUTE - 60 + 3 * 3600}`,
    ])
  })

  it('pages /status/<name> and /status/ with start_from and next, and leaves out the past with future_only', async () => {
    for (const hours of [1, 2, 3]) await put('paged', `{"trigger_at":"+${hours}h","callback":"http://example.com/"}`)
    api.clock.jump(90 * 60_000)
    for (const path of ['/status/paged', '/status/']) {
      const first = await api.http.get(`${path}?limit=2`)
      const second = await api.http.get(`${path}?limit=2&start_from=${first.body.next}`)
      expect([...keysOf(first), ...keysOf(second)]).toEqual([1, 2, 3].map((hours) => `paged@${MINUTE - 60 + hours * 3600}`))
      expect(second.body).not.toHaveProperty('next')
      expect(keysOf(await api.http.get(`${path}?future_only`))).toEqual([2, 3].map((hours) => `paged@${MINUTE - 60 + hours * 3600}`))
    }
  })

  it('answers pretty on any endpoint', async () => {
    const body = '{"trigger_at":"+6h", "callback":"http://example.com/"}'
    const answers = [
      await put('p?pretty', body),
      await api.http.get('/status/p?pretty=true'),
      await api.http.post('/reschedule/p?all=true&pretty'),
      await api.http.post('/tasks?pretty').send(`[${body}]`),
      await api.http.delete('/task/p?pretty'),
      await api.http.get('/health?pretty'),
    ]
    for (const answer of answers) expect(answer.text).toBe(`${JSON.stringify(answer.body, null, 4)}\n`)
  })
})
