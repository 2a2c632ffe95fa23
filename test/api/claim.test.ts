import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { HandlerDefinition } from '../../src/domain/task/handler.ts'
import { CallmeError } from '../../src/domain/errors.ts'
import type { NewTask } from '../../src/domain/task/task.ts'
import { MINUTE, aTaskWithoutCallback } from '../support/a-task.ts'
import { NODE, openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { startClaim } from '../support/waiting-worker.ts'
import { expectProblem, expectTask } from '../support/wire.ts'

const DUE = MINUTE * 1000

let api: Api
beforeEach(async () => {
  api = await openApi()
  await prepare(api)
})
afterEach(() => api.close())

/** At the minute, with a handler whose tasks are pulled. */
async function prepare(opened: Api, definition: HandlerDefinition = {}): Promise<void> {
  await opened.clock.advance(DUE - opened.clock.now())
  await opened.store.putHandler('work', { pull: true, ...definition }, { now: DUE, force: false })
}

/** The n-th of many tasks of one name, each of its own minute, the first ones long due. */
function nth(n: number, fields: Partial<NewTask> = {}): NewTask {
  return aTaskWithoutCallback({ name: 'work', triggerAt: MINUTE - n * 60, definition: { max_delay: 10_000 }, ...fields })
}

async function store(...tasks: NewTask[]): Promise<void> {
  await api.store.put(tasks, { now: DUE })
}

function claim(query = '') {
  return api.http.post(`/claim/work${query}`)
}

describe('POST /claim/<name>', () => {
  it('hands out what is due, oldest first, each with the attempt to acknowledge', async () => {
    await store(nth(0), nth(2), nth(1), nth(-1))
    const answer = await claim()
    expect(answer.status, answer.text).toBe(200)
    expect(Object.keys(answer.body)).toEqual(['tasks', 'lease_until'])
    expect(answer.body.lease_until).toBe(new Date(DUE + 60_000).toISOString())
    const tasks = answer.body.tasks.map(expectTask)
    expect(tasks).toMatchObject([2, 1, 0].map((n) => ({ trigger_at: String(MINUTE - n * 60), task_state: 'running', attempts: 1 })))
    expect(api.logged).toHaveLength(3)
    const fields = { task: `work@${MINUTE - 120}`, run_id: tasks[0].run_id, attempt: 1, node: NODE }
    expect(api.logged[0]).toEqual({ level: 'debug', event: 'task.claimed', fields })
    await api.http.post(`/ack/work@${MINUTE}`).send({ attempt: tasks[2].attempts, status: 'successful' }).expect(200)
  })

  it('answers an empty list where nothing is due', async () => {
    await store(nth(-1))
    expect((await claim()).body).toEqual({ tasks: [], lease_until: null })
  })

  it('hands out ten at the most, unless limit says otherwise', async () => {
    await store(...Array.from({ length: 13 }, (_, n) => nth(n)))
    expect((await claim('?limit=2')).body.tasks).toHaveLength(2)
    expect((await claim()).body.tasks).toHaveLength(10)
    expect((await claim()).body.tasks).toHaveLength(1)
  })

  it('hands out up to a thousand', async () => {
    await store(...Array.from({ length: 1001 }, (_, n) => nth(n)))
    const { tasks } = (await claim('?limit=1000&pretty')).body
    expect(new Set(tasks.map((task: { trigger_at: string }) => task.trigger_at)).size).toBe(1000)
    expect((await claim()).body.tasks).toHaveLength(1)
  })

  it('ends an answer of large payloads early, and leaves the rest in the queue', async () => {
    const payload = 'x'.repeat(200 * 1024)
    await store(...Array.from({ length: 110 }, (_, n) => nth(n, { definition: { payload, max_delay: 10_000 } })))
    expect((await claim('?limit=1000')).body.tasks).toHaveLength(82)
    expect((await claim('?limit=1000')).body.tasks).toHaveLength(28)
  })

  it('answers what it has claimed already when the store fails on the way', async () => {
    let pulls = 0
    const failing = await openApi((real) => ({
      pull: (...args) => {
        pulls += 1
        return pulls === 1 ? real.pull(...args) : Promise.reject(new CallmeError('store_unavailable', 'the disk is full'))
      },
    }))
    await prepare(failing)
    await failing.store.put(
      Array.from({ length: 101 }, (_, n) => nth(n)),
      { now: DUE },
    )
    expect((await failing.http.post('/claim/work?limit=101')).body.tasks).toHaveLength(100)
    expect(expectProblem(await failing.http.post('/claim/work'), 503)).toBe('the disk is full')
    await failing.close()
  })

  it('indents with pretty', async () => {
    expect((await claim('?pretty')).text).toBe('{\n    "tasks": [],\n    "lease_until": null\n}\n')
    await store(nth(0))
    const { text, body } = await claim('?pretty')
    expect(text).toBe(`${JSON.stringify(body, null, 4)}\n`)
  })

  it('gives each task to one of fifty workers that claim at once', async () => {
    await store(...Array.from({ length: 500 }, (_, n) => nth(n)))
    const taken: string[] = []
    const work = async (): Promise<void> => {
      for (;;) {
        const { body } = await startClaim(api.port, 'work?limit=3').answer
        if (body.tasks?.length === 0) return
        for (const { trigger_at, attempts } of body.tasks ?? []) {
          taken.push(String(trigger_at))
          await api.http
            .post(`/ack/work@${String(trigger_at)}`)
            .send({ attempt: attempts, status: 'successful' })
            .expect(200)
        }
      }
    }
    await Promise.all(Array.from({ length: 50 }, work))
    expect(taken).toHaveLength(500)
    expect(new Set(taken).size).toBe(500)
    expect(await api.store.counts()).toMatchObject({ pending: 0, running: 0, successful: 500 })
  })

  it('hands a task out again once its lease is over, and takes no answer of the attempt before', async () => {
    await store(nth(0))
    await claim('?lease=5').expect(200)
    await api.clock.advance(4999)
    expect(await api.store.rescue({ now: api.clock.now(), limit: 10 })).toEqual([])
    await api.clock.advance(1)
    expect(await api.store.rescue({ now: api.clock.now(), limit: 10 })).toHaveLength(1)
    const [task] = (await claim()).body.tasks
    expect(task).toMatchObject({ trigger_at: String(MINUTE), attempts: 2, lost: 1 })
    const ack = (attempt: number) => api.http.post(`/ack/work@${MINUTE}`).send({ attempt, status: 'successful' })
    expect(expectProblem(await ack(1), 409)).toContain('acknowledge attempt 2')
    await ack(2).expect(200)
  })

  it('never has more in the hands of workers than concurrency allows', async () => {
    await prepare(api, { concurrency: 3 })
    await store(...Array.from({ length: 5 }, (_, n) => nth(n)))
    const answers = await Promise.all(Array.from({ length: 10 }, () => claim('?limit=2')))
    const tasks = answers.flatMap(({ body }) => body.tasks)
    expect(tasks).toHaveLength(3)
    await api.http.post(`/ack/work@${tasks[0].trigger_at}`).send({ attempt: 1, status: 'successful' }).expect(200)
    expect((await claim()).body.tasks).toHaveLength(1)
  })

  it('hands out no more in a minute than rate allows', async () => {
    await prepare(api, { rate: 2 })
    await store(...Array.from({ length: 5 }, (_, n) => nth(n)))
    const answers = await Promise.all(Array.from({ length: 10 }, () => claim('?limit=1')))
    expect(answers.flatMap(({ body }) => body.tasks)).toHaveLength(2)
    await api.clock.advance(61_000)
    expect((await claim()).body.tasks).toHaveLength(2)
  })

  it('hands out nothing of a name that is paused', async () => {
    await prepare(api, { paused: true })
    await store(nth(0))
    expect((await claim()).body.tasks).toEqual([])
  })

  it('answers 404 for a name without a handler, and says how to make one', async () => {
    expect(expectProblem(await api.http.post('/claim/none?wait=60'), 404)).toBe(
      'there is no handler "none"; a claim goes by a handler\'s own name, such as "mail.*", and PUT /handler/<name> {"pull": true} makes one',
    )
  })

  it('answers 409 for a name whose tasks are called', async () => {
    await api.store.putHandler('called', { callback: 'http://receiver.test/' }, { now: DUE, force: false })
    expect(expectProblem(await api.http.post('/claim/called'), 409)).toContain('its handler must say "pull": true')
  })

  it('refuses a body and hands out nothing', async () => {
    await store(nth(0))
    expect(expectProblem(await claim().send('{"limit":5}'), 400, '')).toBe('this request takes no body; parameters go into the query')
    expect((await claim()).body.tasks).toHaveLength(1)
  })

  it.each([
    ['work?limit=0', '?limit', 'limit must be an integer from 1 to 1000; got "0"'],
    ['work?limit=1001', '?limit', 'got "1001"'],
    ['work?limit=ten', '?limit', 'got "ten"'],
    ['work?limit=', '?limit', 'got ""'],
    ['work?lease=0', '?lease', 'lease must be an integer of seconds from 1 to 86400; got "0"'],
    ['work?lease=86401', '?lease', 'got "86401"'],
    ['work?lease=90000', '?lease', 'got "90000"'],
    ['work?lease=1m', '?lease', 'got "1m"'],
    ['work?wait=61', '?wait', 'wait must be an integer of seconds from 0 to 60; got "61"'],
    ['work?wait=-1', '?wait', 'got "-1"'],
    ['work?limit=1&limit=2', '?limit', 'limit must be given once'],
    ['work?max=5', '?max', 'unknown query parameter "max"'],
    [`work@${MINUTE}`, '/name', 'the handler\'s name must be 1 to 200 characters without "@"'],
  ])('refuses %s', async (target, pointer, part) => {
    await store(nth(0))
    expect(expectProblem(await api.http.post(`/claim/${target}`), 400, pointer)).toContain(part)
    expect((await claim('?limit=1000&lease=86400&wait=60')).body.tasks).toHaveLength(1)
  })
})
