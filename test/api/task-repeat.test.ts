import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MINUTE } from '../support/a-task.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem } from '../support/wire.ts'

const CALLBACK = 'http://receiver.test/run'
const GOOD = { trigger_at: '+6h', callback: CALLBACK }

let api: Api
beforeAll(async () => {
  api = await openApi()
})
afterAll(() => api.close())

const put = (body: object) => api.http.put('/task/series').send(body)

describe('a task that repeats', () => {
  it('is refused for a timezone that is none, also without a repeat', async () => {
    expect(expectProblem(await put({ ...GOOD, timezone: 'Berlin' }), 400, '/timezone')).toMatch(/^timezone must be .*; got "Berlin"$/)
    for (const timezone of ['', 'Berlin', 'Europe/Atlantis', '+02:00', 5, 'x'.repeat(65)]) {
      const sentence = expectProblem(await put({ ...GOOD, repeat: '@daily', timezone }), 400, '/timezone')
      expect(sentence, JSON.stringify(timezone)).toMatch(/^timezone must be .*IANA time zone such as "Europe\/Berlin"/)
    }
  })

  it('is refused for a repeat that is none with one sentence, of whatever type it is', async () => {
    const expected =
      'repeat must be a cron expression of 5 fields (minute, hour, day of month, month, day of week) such as "0 9 * * MON-FRI", ' +
      'or one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly; got '
    for (const repeat of [5, ['@daily'], true, '', 'daily', '* * * *', '@reboot']) {
      expect(expectProblem(await put({ ...GOOD, repeat }), 400, '/repeat')).toBe(expected + JSON.stringify(repeat))
    }
    const long = Array.from({ length: 60 }, (_, minute) => minute).join()
    expect(expectProblem(await put({ ...GOOD, repeat: `${long} ${long} * * *` }), 400, '/repeat')).toContain('at most 200 characters')
  })

  it.each([
    ['0 * * * *', undefined, '2027-01-15T08:00:00.000Z'],
    ['@hourly', undefined, '2027-01-15T08:00:00.000Z'],
    ['0 9 * * 1-5', undefined, '2027-01-15T09:00:00.000Z'],
    ['0 9 * * 1-5', 'Europe/Berlin', '2027-01-15T08:00:00.000Z'],
    ['0 9 * * 1-5', 'America/New_York', '2027-01-15T14:00:00.000Z'],
    ['30 8 29 2 *', undefined, '2028-02-29T08:30:00.000Z'],
  ])('without trigger_at is due at the first time of %s in %s', async (repeat, timezone, first) => {
    const answer = await put({ callback: CALLBACK, repeat, ...(timezone !== undefined && { timezone }) })
    expect(answer.body.task).toMatchObject({ trigger_time: first, repeat, timezone: timezone ?? 'UTC', repeated_to: null })
  })

  it('and one that does not has its local time beside the other, where its zone is known', async () => {
    for (const [body, local] of [
      [{ trigger_at: '2027-03-28 09:00', timezone: 'Europe/Berlin' }, '2027-03-28T09:00:00+02:00'],
      [{ trigger_at: '+1h30m', timezone: 'Asia/Kolkata' }, '2027-01-15T14:59:00+05:30'],
      [{ trigger_at: '2027-03-28', repeat: '@daily' }, '2027-03-28T00:00:00+00:00'],
      [{ trigger_at: '2027-03-28' }, null],
    ] as const) {
      expect((await put({ callback: CALLBACK, ...body })).body.task.local_time, JSON.stringify(body)).toBe(local)
    }
    expect(expectProblem(await put({ ...GOOD, trigger_at: '2027-03-28 09:00' }), 400, '/trigger_at')).toContain(
      'where no timezone is given',
    )
  })

  it('keeps its trigger_at where there is one, also where the repeat does not name it', async () => {
    const answer = await put({ ...GOOD, trigger_at: MINUTE + 60, repeat: '0 * * * *' })
    expect(answer.body.task.trigger_at).toBe(String(MINUTE + 60))
  })
})

describe('a second PUT of a name', () => {
  const nightly = { callback: CALLBACK, repeat: '0 2 * * *' }

  it('with another repeat takes the place of the task that waits in its series', async () => {
    const first = await api.http.put('/task/nightly').send(nightly).expect(201)
    const second = await api.http
      .put('/task/nightly')
      .send({ ...nightly, repeat: '30 3 * * *' })
      .expect(200)
    expect(second.body).toMatchObject({ replaces: first.body.task.key, task: { repeat: '30 3 * * *' } })
    const many = await api.http.post('/tasks').send([{ ...nightly, task_name: 'nightly' }])
    expect(many.body).toEqual({ results: [{ status: 200, key: first.body.task.key, replaces: second.body.task.key }] })
    expect((await api.http.get('/task/nightly')).body.tasks).toMatchObject([{ repeat: '0 2 * * *' }])
    const refused = await api.http
      .put('/task/nightly')
      .set('If-None-Match', '*')
      .send({ ...nightly, trigger_at: '+5h' })
    expect(expectProblem(refused, 412)).toContain(`the entry "${String(first.body.task.key)}" exists`)
  })

  it.each(['waiting', 'ever'])('with unique %s answers with the one that is there, and stores nothing', async (unique) => {
    const path = `/task/once-${unique}`
    const { task } = (
      await api.http
        .put(path)
        .send({ ...GOOD, unique })
        .expect(201)
    ).body
    const { length } = api.wakes
    const again = await api.http.put(path).send({ ...GOOD, trigger_at: '+1h', unique })
    expect(again.status).toBe(200)
    expect(again.body).toEqual({ message: 'nothing was stored, because this entry of the name is there', stored: false, task })
    expect(again.headers['location']).toBe(`/task/${String(task.key)}`)
    const many = await api.http.post('/tasks').send([{ ...GOOD, task_name: `once-${unique}`, unique }])
    expect([many.status, many.body]).toEqual([200, { results: [{ status: 200, key: task.key, stored: false }] }])
    expect(api.wakes).toHaveLength(length)
    expect(expectProblem(await api.http.put(path).send({ ...GOOD, unique: 'yes' }), 400, '/unique')).toContain('"waiting" or "ever"')
  })
})
