import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MINUTE } from '../support/a-task.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { storePending, storedEntries } from '../support/stored-entries.ts'
import { expectProblem } from '../support/wire.ts'

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

/** Of `a` and `b` one entry that was successful, one that failed, one that is retried, and two that wait; `c` is running. */
async function mixed(): Promise<void> {
  for (const name of ['a', 'b']) {
    for (const [suffix, status] of Object.entries({ good: 200, bad: 404, again: 503 })) await api.called(`${name}-${suffix}`, status)
  }
  await api.claimed('c')
  await storePending(api, 'a', [1, 3])
  await storePending(api, 'b', [2])
}

describe('DELETE /task/ with filters', () => {
  const at = (minutes: number) => MINUTE + minutes * 60
  const ALL = ['a-again@0', 'a-bad@0', 'a-good@0', 'b-again@0', 'b-bad@0', 'b-good@0', 'c@0', 'a@1', 'b@2', 'a@3']

  it.each<[string, string[]]>([
    ['state=successful', ['a-good@0', 'b-good@0']],
    ['state=failed,skipped', ['a-bad@0', 'b-bad@0']],
    ['state=pending', ['a@1', 'b@2', 'a@3']],
    ['state=retrying', ['a-again@0', 'b-again@0']],
    ['state=pending&all=true', ['a@1', 'b@2', 'a@3']],
    [`to=${at(2)}`, ['a-again@0', 'b-again@0', 'a@1']],
    [`to=${at(2)}&all=true`, ['a-again@0', 'a-bad@0', 'a-good@0', 'b-again@0', 'b-bad@0', 'b-good@0', 'a@1']],
    [`to=${at(2)}&all=false`, ['a-again@0', 'b-again@0', 'a@1']],
    [`from=${at(2)}`, ['b@2', 'a@3']],
    [`from=${new Date(at(2) * 1000).toISOString()}&to=${at(3)}`, ['b@2']],
    [`state=failed&from=${at(1)}`, []],
    ['future_only', ['a-again@0', 'b-again@0', 'a@1', 'b@2', 'a@3']],
    ['state=pending,retrying,successful,failed,skipped', ALL.filter((key) => key !== 'c@0')],
  ])('?%s removes what matches, and never what is running', async (query, removed) => {
    await mixed()
    expect(await storedEntries(api)).toEqual(ALL)
    const answer = await api.http.delete(`/task/?${query}`)
    expect([answer.status, answer.body]).toEqual([200, { deleted: removed.length }])
    expect(await storedEntries(api)).toEqual(ALL.filter((key) => !removed.includes(key)))
  })

  it('removes those of one name alone where there is one, though another entry of it is running', async () => {
    await storePending(api, 'a', [1, 2])
    await storePending(api, 'b', [1])
    await api.claimed('a')
    expect((await api.http.delete(`/task/a?to=${at(2)}`)).body).toEqual({ deleted: 1 })
    expect((await api.http.delete('/task/a?state=pending')).body).toEqual({ deleted: 1 })
    expect(await storedEntries(api)).toEqual(['a@0', 'b@1'])
  })

  it('removes the history with the entries', async () => {
    const { name, triggerAt } = await api.called('a', 200)
    await api.http.delete('/task/?state=successful')
    expect(await api.store.history({ name, triggerAt })).toEqual([])
  })

  it('removes many in batches, between which other requests are answered', async () => {
    await storePending(
      api,
      'a',
      Array.from({ length: 3500 }, (_, n) => n),
    )
    const removals: number[] = []
    const remove = api.store.remove.bind(api.store)
    let between: Promise<{ left: number; after: number }> | undefined
    api.store.remove = async (...args) => {
      const removed = await remove(...args)
      removals.push(removed)
      if (removals.length === 2)
        between = api.http.get('/task/a?limit=1').then(({ body }) => ({ left: body.tasks.length, after: removals.length }))
      return removed
    }
    expect((await api.http.delete(`/task/?to=${at(3400)}`)).body).toEqual({ deleted: 3400 })
    expect(removals).toEqual([...Array.from({ length: 17 }, () => 200), 0])
    const { left, after } = (await between) ?? {}
    expect(left).toBe(1)
    expect(after).toBeLessThan(10)
  })

  it('ends the series whose waiting entry it removes', async () => {
    await storePending(api, 'hourly', [60], { repeat: '0 * * * *' })
    expect((await api.http.delete('/task/?state=pending')).body).toEqual({ deleted: 1 })
    expect(await storedEntries(api)).toEqual([])
  })

  it.each(['', '?all=true', '?future_only=false', '?pretty'])(
    'refuses %j, which would remove everything, and says what to give',
    async (query) => {
      await mixed()
      for (const path of ['/task', '/task/']) {
        const sentence = expectProblem(await api.http.delete(`${path}${query}`), 400, '?')
        expect(sentence).toContain('by a name or a key in the path, or by a filter such as state=successful')
      }
      expect(await storedEntries(api)).toEqual(ALL)
    },
  )

  it('refuses state=running and says why', async () => {
    await mixed()
    const sentence = expectProblem(await api.http.delete('/task/?state=failed,running'), 400, '?state')
    expect(sentence).toBe('state must not hold running: an entry is deleted before or after its call; got "failed,running"')
    expect(await storedEntries(api)).toEqual(ALL)
  })
})
