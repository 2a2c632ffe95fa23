import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MINUTE, aTask } from '../support/a-task.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { storePending, storedEntries } from '../support/stored-entries.ts'
import { expectProblem } from '../support/wire.ts'

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

describe('DELETE /task/<key>', () => {
  it('removes one entry, whether it waits or has ended', async () => {
    await storePending(api, 'a', [1, 2])
    await api.called('a', 200)
    for (const minutes of [0, 1]) {
      const answer = await api.http.delete(`/task/a@${MINUTE + minutes * 60}`)
      expect([answer.status, answer.body]).toEqual([200, { deleted: 1 }])
    }
    expect(await storedEntries(api)).toEqual(['a@2'])
  })

  it('refuses a condition, which it would not keep', async () => {
    await storePending(api, 'a', [1])
    for (const name of ['If-Match', 'If-None-Match', 'If-Unmodified-Since']) {
      expect(expectProblem(await api.http.delete(`/task/a@${MINUTE + 60}`).set(name, '"x"'), 400)).toContain(`leave out ${name}`)
    }
    expect(await storedEntries(api)).toEqual(['a@1'])
  })

  it('answers 404 for an entry that is not there, and the second time', async () => {
    await storePending(api, 'a', [1])
    expectProblem(await api.http.delete(`/task/a@${MINUTE}`), 404)
    await api.http.delete(`/task/a@${MINUTE + 60}`)
    expect(expectProblem(await api.http.delete(`/task/a@${MINUTE + 60}`), 404)).toContain(`no entry "a@${MINUTE + 60}"`)
  })

  it('refuses an entry that is running', async () => {
    await api.claimed('busy')
    expect(expectProblem(await api.http.delete(`/task/busy@${MINUTE}?all=true`), 409)).toContain('is running')
    expect(await storedEntries(api)).toEqual(['busy@0'])
  })

  it('skips one time of a series, which goes on with the next', async () => {
    await storePending(api, 'hourly', [60], { repeat: '0 * * * *' })
    expect((await api.http.delete(`/task/hourly@${MINUTE + 3600}`)).body).toEqual({ deleted: 1 })
    expect(await storedEntries(api)).toEqual(['hourly@120'])
  })
})

describe('DELETE /task/<name>', () => {
  it('removes what has not ended and keeps the record of what has', async () => {
    await storePending(api, 'a', [1, 2])
    await storePending(api, 'b', [1])
    await api.called('a', 404)
    expect((await api.http.delete('/task/a')).body).toEqual({ deleted: 2 })
    expect(await storedEntries(api)).toEqual(['a@0', 'b@1'])
    expect((await api.http.delete('/task/a')).body).toEqual({ deleted: 0 })
  })

  it('removes a retrying entry', async () => {
    await api.called('a', 503)
    expect((await api.http.delete('/task/a')).body).toEqual({ deleted: 1 })
  })

  it('removes every entry of the name with all=true', async () => {
    await storePending(api, 'a', [1])
    await storePending(api, 'b', [1])
    await api.called('a', 404)
    expect((await api.http.delete('/task/a?all=true')).body).toEqual({ deleted: 2 })
    expect(await storedEntries(api)).toEqual(['b@1'])
  })

  it('removes nothing while one of them is running', async () => {
    await storePending(api, 'a', [1, 2])
    await api.claimed('a')
    const sentence =
      'the task "a" is running and nothing was deleted; wait until it has ended, or delete with state=pending,retrying what waits'
    expect(expectProblem(await api.http.delete('/task/a?all=true'), 409)).toBe(sentence)
    expect(await storedEntries(api)).toEqual(['a@0', 'a@1', 'a@2'])
    expect((await api.http.delete('/task/a?state=pending,retrying')).body).toEqual({ deleted: 2 })
  })

  it('removes more entries than one batch holds', async () => {
    await storePending(
      api,
      'a',
      Array.from({ length: 2001 }, (_, n) => n),
    )
    expect((await api.http.delete('/task/a')).body).toEqual({ deleted: 2001 })
    expect(await storedEntries(api)).toEqual([])
  })

  it('answers 404 for a name that nothing has', async () => {
    await storePending(api, 'a', [1])
    expect(expectProblem(await api.http.delete('/task/b'), 404)).toContain('no task "b"')
    expectProblem(await api.http.delete('/task/b?state=failed'), 404)
  })

  it('ends a series: nothing follows the entry that waited', async () => {
    await storePending(api, 'hourly', [60], { repeat: '0 * * * *' })
    expect((await api.http.delete('/task/hourly')).body).toEqual({ deleted: 1 })
    expect(await storedEntries(api)).toEqual([])
  })

  it.each([
    ['run=maybe', '?run'],
    ['all=maybe', '?all'],
    ['all&all', '?all'],
    ['state=done', '?state'],
    ['state=', '?state'],
    ['state=failed,running', '?state'],
    ['from=yesterday', '?from'],
    ['future_only=no', '?future_only'],
    ['limit=5', '?limit'],
    ['dry_run=true', '?dry_run'],
    ['states=failed', '?states'],
    ['run=true&all=true', '?all'],
  ])('refuses ?%s and removes nothing, because ignoring it would do something else', async (query, pointer) => {
    await storePending(api, 'a', [1])
    expectProblem(await api.http.delete(`/task/a?${query}`), 400, pointer)
    expectProblem(await api.http.delete(`/task/a@${MINUTE + 60}?${query}`), 400, pointer)
    expect(await storedEntries(api)).toEqual(['a@1'])
  })

  it.each(['state=failed', `from=${MINUTE}`, `to=${MINUTE}`, 'future_only', 'future_only=false'])(
    'refuses ?%s beside a key, which says already which entry is meant',
    async (query) => {
      await storePending(api, 'a', [1])
      const name = query.split('=')[0] ?? ''
      const sentence = expectProblem(await api.http.delete(`/task/a@${MINUTE + 60}?${query}`), 400, `?${name}`)
      expect(sentence).toContain(`${name} must be absent where a key says which entry is meant`)
      expect(await storedEntries(api)).toEqual(['a@1'])
    },
  )
})

describe('DELETE with a body', () => {
  it('is refused, and deletes nothing', async () => {
    await api.store.put([aTask({ name: 'kept' })], { now: api.clock.now() })
    const answer = await api.http.delete('/task/kept').send('{"all":true}')
    expect(expectProblem(answer, 400, '')).toBe('this request takes no body; parameters go into the query')
    expect((await api.http.get('/task/kept')).body.tasks).toHaveLength(1)
  })
})
