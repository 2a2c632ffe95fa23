import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MINUTE, aTask } from '../support/a-task.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem, expectTask } from '../support/wire.ts'

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

describe('POST /run/<key>', () => {
  it('makes a waiting entry due now, under its own key', async () => {
    await api.store.put([aTask({ name: 'early', triggerAt: MINUTE + 3600 })], { now: api.clock.now() })
    const answer = await api.http.post(`/run/early@${MINUTE + 3600}`)
    expect(answer.status).toBe(202)
    expect(Object.keys(answer.body)).toEqual(['message', 'task'])
    expect(expectTask(answer.body.task)).toMatchObject({
      trigger_at: String(MINUTE + 3600),
      task_state: 'pending',
      next_attempt: new Date(api.clock.now()).toISOString(),
    })
    expect(api.wakes).toEqual([api.clock.now()])
    expect(api.logged).toEqual([{ level: 'debug', event: 'task.stored', fields: { task: `early@${MINUTE + 3600}` } }])
  })

  it('starts a new run of an entry that has ended and keeps the history of the old one', async () => {
    const failed = await api.called('again', 404)
    const { task } = (await api.http.post(`/run/again@${MINUTE}`)).body
    expect(task).toMatchObject({ task_state: 'pending', attempts: 0, error: null })
    expect(task.run_id).not.toBe(failed.runId)
    const [read] = (await api.http.get(`/task/again@${MINUTE}`)).body.tasks
    expect(read.history).toMatchObject([{ run_id: failed.runId, status: 404 }])
  })

  it('refuses an entry that is running', async () => {
    await api.claimed('busy')
    expect(expectProblem(await api.http.post(`/run/busy@${MINUTE}`), 409)).toContain('is running')
    expect(api.wakes).toEqual([])
  })

  it('refuses a body and does not run', async () => {
    await api.store.put([aTask({ name: 'early', triggerAt: MINUTE })], { now: api.clock.now() })
    const run = () => api.http.post(`/run/early@${MINUTE}`)
    const sentence = 'this request takes no body; parameters go into the query'
    expect(expectProblem(await run().send('{}'), 400, '')).toBe(sentence)
    const body = new Blob(['{}']).stream()
    const chunked = await fetch(`http://127.0.0.1:${api.port}/run/early@${MINUTE}`, { method: 'POST', body, duplex: 'half' })
    expect([chunked.status, await chunked.json()]).toEqual([400, expect.objectContaining({ error: sentence })])
    expect(api.wakes).toEqual([])
    await run().set('Content-Length', '0').expect(202)
  })

  it('answers 404 for a key that nothing has', async () => {
    expect(expectProblem(await api.http.post(`/run/none@${MINUTE}`), 404)).toContain(`no entry "none@${MINUTE}"`)
  })

  it('takes a name that exactly one entry fits, and lists the keys where several do', async () => {
    const at = (name: string, minutes: number) => aTask({ name, triggerAt: MINUTE + minutes * 60 })
    await api.claimed('one')
    await api.store.put([at('one', 60), at('two', 60), at('two', 61)], { now: api.clock.now() })
    expect((await api.http.post('/run/one').expect(202)).body.task.key).toBe(`one@${MINUTE + 3600}`)
    expect(expectProblem(await api.http.post('/run/two'), 409)).toBe(
      `several entries are named "two", so the request needs the key of one: two@${MINUTE + 3600} (pending), two@${MINUTE + 3660} (pending)`,
    )
    expect(expectProblem(await api.http.post('/ack/two').send({ attempt: 1, status: 'successful' }), 409)).toContain('several entries')
    const { body } = await api.http.post('/ack/one').send({ attempt: 1, status: 'running' })
    expect(body.error).toContain(`entry "one@${MINUTE}" ends with the answer of its call`)
    expect(expectProblem(await api.http.post('/run/none'), 404)).toContain('no task "none"')
    expect(expectProblem(await api.http.delete('/task/two?run'), 409)).toContain('several entries')
    await api.http.delete('/task/one?run').expect(202)
    await api.claimed('only')
    expect(expectProblem(await api.http.post('/run/only'), 409)).toContain(`entry "only@${MINUTE}" is running`)
  })

  it.each([
    ['a@b', '/task_key'],
    ['%zz', 'path'],
    [`a%0A@${MINUTE}`, '/task_name'],
    [`a@${MINUTE}?when=now`, '?when'],
  ])('refuses %s', async (path, pointer) => {
    expectProblem(await api.http.post(`/run/${path}`), 400, pointer)
  })
})
