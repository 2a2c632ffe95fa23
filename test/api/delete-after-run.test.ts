import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MINUTE } from '../support/a-task.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { storePending } from '../support/stored-entries.ts'
import { expectProblem, expectTask } from '../support/wire.ts'

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

describe('DELETE /task/<key>?run=true', () => {
  const LATER = MINUTE + 3600
  const runAndDelete = (query = '?run=true') => api.http.delete(`/task/a@${LATER}${query}`)

  it.each(['?run=true', '?run', '?run=1', '?run&all=false'])(
    'with %s makes a waiting entry due now, to be removed once it succeeded',
    async (query) => {
      await storePending(api, 'a', [60])
      const answer = await runAndDelete(query)
      expect(answer.status).toBe(202)
      expect(Object.keys(answer.body)).toEqual(['message', 'task'])
      expect(answer.body.message).toBe('task runs now and is deleted once it has succeeded')
      expect(expectTask(answer.body.task)).toMatchObject({
        task_name: 'a',
        trigger_at: String(LATER),
        task_state: 'pending',
        next_attempt: new Date(api.clock.now()).toISOString(),
      })
      expect(api.wakes).toEqual([api.clock.now()])
      expect(api.logged).toEqual([{ level: 'debug', event: 'task.stored', fields: { task: `a@${LATER}` } }])
      expect(await api.store.get({ name: 'a', triggerAt: LATER })).toMatchObject({ removeAfter: true, inAdvance: true })
    },
  )

  it('takes one that is retried', async () => {
    await api.called('a', 503)
    await api.http.delete(`/task/a@${MINUTE}?run=true`).expect(202)
    expect(await api.store.get({ name: 'a', triggerAt: MINUTE })).toMatchObject({ state: 'retrying', removeAfter: true })
  })

  it('with run=false deletes at once', async () => {
    await storePending(api, 'a', [60])
    expect((await runAndDelete('?run=false')).body).toEqual({ deleted: 1 })
    expect(api.wakes).toEqual([])
  })

  it('refuses an entry that is running', async () => {
    await api.claimed('a')
    expect(expectProblem(await api.http.delete(`/task/a@${MINUTE}?run=true`), 409)).toContain('is running')
    expect(api.wakes).toEqual([])
  })

  it.each([200, 404])('refuses an entry that has ended with %i, and leaves it as it is', async (status) => {
    const ended = await api.called('a', status)
    const sentence = expectProblem(await api.http.delete(`/task/a@${MINUTE}?run=true`), 409)
    expect(sentence).toBe(`the entry "a@${MINUTE}" has ended already; delete it without run`)
    expect(await api.store.get(ended)).toEqual(ended)
    expect(api.wakes).toEqual([])
  })

  it('answers 404 for a key that nothing has', async () => {
    expect(expectProblem(await runAndDelete(), 404)).toContain(`no entry "a@${LATER}"`)
  })

  it.each(['/task/?run=true', '/task/?run&state=pending', '/task?run=1&to=2030-01-01T00:00:00Z'])(
    'is refused as %s: it takes one entry',
    async (path) => {
      await storePending(api, 'a', [60])
      expect(expectProblem(await api.http.delete(path), 400, '?run')).toContain(
        'run takes one entry, by its key or its name, as in DELETE /task/<task_name>?run=true',
      )
      expect(await api.store.get({ name: 'a', triggerAt: LATER })).toMatchObject({ removeAfter: false, inAdvance: false })
    },
  )

  it('is refused with all=true', async () => {
    await storePending(api, 'a', [60])
    expect(expectProblem(await runAndDelete('?run&all'), 400, '?all')).toContain('all must be absent with run')
  })
})
