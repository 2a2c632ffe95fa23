import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem } from '../support/wire.ts'

let api: Api
beforeEach(async () => {
  api = await openApi()
  setClock('2027-01-15T08:00:30Z')
})
afterEach(() => api.close())

function setClock(time: string): void {
  api.clock.jump(Date.parse(time) - api.clock.now())
}

async function localTimes(query: string): Promise<string[]> {
  const answer = await api.http.get(`/preview?${query}`)
  expect(answer.status, answer.text).toBe(200)
  return (answer.body.occurrences as { local_time: string }[]).map(({ local_time }) => local_time)
}

describe('GET /preview', () => {
  it('answers what comes from now on, in Unix time, in UTC and as clocks in the zone show it', async () => {
    const answer = await api.http.get('/preview').query({ repeat: '0 9 * * MON-FRI', timezone: 'America/New_York', count: 2 })
    expect(answer.status, answer.text).toBe(200)
    expect(answer.body).toEqual({
      repeat: '0 9 * * MON-FRI',
      timezone: 'America/New_York',
      occurrences: [
        { trigger_at: '1800021600', trigger_time: '2027-01-15T14:00:00.000Z', local_time: '2027-01-15T09:00:00-05:00' },
        { trigger_at: '1800280800', trigger_time: '2027-01-18T14:00:00.000Z', local_time: '2027-01-18T09:00:00-05:00' },
      ],
    })
  })

  it('takes ten in UTC unless told otherwise', async () => {
    const answer = await api.http.get('/preview?repeat=@daily')
    expect(answer.body).toMatchObject({ repeat: '@daily', timezone: 'UTC' })
    expect(answer.body.occurrences).toHaveLength(10)
    expect(answer.body.occurrences[9].local_time).toBe('2027-01-25T00:00:00+00:00')
  })

  it.each([1, 9, 10, 99, 100])('answers as many as count says: %i', async (count) => {
    expect(await localTimes(`repeat=@hourly&count=${count}`)).toHaveLength(count)
  })

  it('starts with the first one after the current second, never with the present one', async () => {
    expect(await localTimes('repeat=*+*+*+*+*&count=1')).toEqual(['2027-01-15T08:01:00+00:00'])
    setClock('2027-01-15T08:01:00Z')
    expect(await localTimes('repeat=*+*+*+*+*&count=1')).toEqual(['2027-01-15T08:02:00+00:00'])
    setClock('2027-01-15T08:01:59.999Z')
    expect(await localTimes('repeat=*+*+*+*+*&count=1')).toEqual(['2027-01-15T08:02:00+00:00'])
  })

  it.each(['0+9+*+*+*', '0%209%20*%20*%20*', '0%2B9%20*+*+*', '0%099%09%2A%09%2A%09%2A'])(
    'reads repeat=%s with a space between its fields',
    async (repeat) => {
      expect(await localTimes(`repeat=${repeat}&count=1`)).toEqual(['2027-01-15T09:00:00+00:00'])
    },
  )

  it('keeps the + of a time zone', async () => {
    expect(await localTimes('repeat=0+9+*+*+*&timezone=Etc/GMT+2&count=1')).toEqual(['2027-01-15T09:00:00-02:00'])
  })

  it('shows what a change of the clocks does', async () => {
    setClock('2025-03-07T12:00:00Z')
    expect(await localTimes('repeat=30+2+*+*+*&timezone=America/New_York&count=3')).toEqual([
      '2025-03-08T02:30:00-05:00',
      '2025-03-09T03:00:00-04:00',
      '2025-03-10T02:30:00-04:00',
    ])
    expect(await localTimes('repeat=@daily&timezone=Asia/Kolkata&count=1')).toEqual(['2025-03-08T00:00:00+05:30'])
    expect(await localTimes('repeat=@daily&timezone=America/St_Johns&count=1')).toEqual(['2025-03-08T00:00:00-03:30'])
  })

  it('indents with pretty', async () => {
    const { text } = await api.http.get('/preview?repeat=@daily&count=1&pretty')
    expect(text).toContain('\n    "repeat": "@daily"')
  })

  it.each([
    ['', 'repeat', /^repeat is required: it must be a cron expression of 5 fields/],
    ['timezone=UTC', 'repeat', /^repeat is required/],
    ['repeat=', 'repeat', /^repeat must be a cron expression of 5 fields .*; got ""$/],
    ['repeat=0+24+*+*+*', 'repeat', /^repeat must have as hour .*; got "24" in "0 24 \* \* \*"$/],
    ['repeat=0+0+30+2+*', 'repeat', /^repeat must come true at some time/],
    ['repeat=@daily&timezone=Mars/Olympus', 'timezone', /^timezone must be the name of an IANA time zone .*; got "Mars\/Olympus"$/],
    ['repeat=@daily&timezone=+02:00', 'timezone', /got "\+02:00"$/],
    ['repeat=@daily&timezone=', 'timezone', /got ""$/],
    ['repeat=@daily&count=0', 'count', /^count must be an integer from 1 to 100; got "0"$/],
    ['repeat=@daily&count=101', 'count', /got "101"$/],
    ['repeat=@daily&count=', 'count', /got ""$/],
    ['repeat=@daily&count=+1', 'count', /got "\+1"$/],
    ['repeat=@daily&repeat=@hourly', 'repeat', /^repeat must be given once; got it 2 times$/],
    ['repeat=@daily&limit=5', 'limit', /^unknown query parameter "limit"; .* Known are repeat, timezone, count, pretty$/],
    ['repaet=@daily', 'repaet', /did you mean "repeat"\?/],
    ['repeat=@daily&pretty=maybe', 'pretty', /^pretty must be/],
  ])('refuses ?%s', async (query, parameter, sentence) => {
    expect(expectProblem(await api.http.get(`/preview?${query}`), 400, `?${parameter}`)).toMatch(sentence)
  })

  it('answers only GET and HEAD', async () => {
    expect((await api.http.head('/preview?repeat=@daily')).status).toBe(200)
    const answer = await api.http.post('/preview?repeat=@daily')
    expect([answer.status, answer.headers['allow']]).toEqual([405, 'GET, HEAD, OPTIONS'])
  })
})
