import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CallmeError } from '../../src/domain/errors.ts'
import type { HandlerDefinition } from '../../src/domain/task/handler.ts'
import type { Store } from '../../src/store/store.ts'
import { MINUTE, aTask, aTaskWithoutCallback } from '../support/a-task.ts'
import { settle } from '../support/fake-clock.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { startClaim, until } from '../support/waiting-worker.ts'
import type { WaitingWorker } from '../support/waiting-worker.ts'

const DUE = MINUTE * 1000

let api: Api
/** how often the store was asked for tasks */
let looks: number
/** how many of these were under way at once, at the most */
let mostAtOnce: number
/** what happens between what the store has done and its answer */
let afterPull: () => Promise<unknown>
let pull: Store['pull']
beforeEach(async () => {
  looks = 0
  mostAtOnce = 0
  let underWay = 0
  afterPull = () => Promise.resolve()
  api = await openApi((store) => {
    pull = store.pull.bind(store)
    return {
      pull: async (...args) => {
        looks += 1
        underWay += 1
        mostAtOnce = Math.max(mostAtOnce, underWay)
        try {
          const result = await pull(...args)
          await afterPull()
          return result
        } finally {
          underWay -= 1
        }
      },
    }
  })
  await handler('work')
})
afterEach(() => api.close())

async function handler(name: string, definition: HandlerDefinition = {}): Promise<void> {
  await api.store.putHandler(name, { pull: true, ...definition }, { now: api.clock.now(), force: true })
}

/** Workers that wait: the store has had nothing for them. */
async function waiting(count: number, target = 'work?wait=60'): Promise<WaitingWorker[]> {
  const before = looks
  const workers = Array.from({ length: count }, () => startClaim(api.port, target))
  await until(() => looks === before + count)
  await settle()
  return workers
}

async function put(...tasks: { name?: string; triggerAt?: number }[]): Promise<void> {
  await api.store.put(
    tasks.map((fields) => aTaskWithoutCallback({ name: 'work', definition: { max_delay: 1000 }, ...fields })),
    { now: api.clock.now() },
  )
}

/** Those that are due, the n-th of them first. */
function due(count: number): { triggerAt: number }[] {
  return Array.from({ length: count }, (_, n) => ({ triggerAt: MINUTE - 60 * (count - n) }))
}

describe('POST /claim/<name>?wait=<seconds>', () => {
  it('is answered by a task that is stored meanwhile', async () => {
    const [worker] = await waiting(1)
    const stored = await api.http.put('/task/work').send({ trigger_at: '+0m' })
    expect(stored.status, stored.text).toBe(201)
    expect(await worker?.answer).toMatchObject({ status: 200, names: ['work'], body: { tasks: [{ attempts: 1, task_state: 'running' }] } })
  })

  it('is answered by a task that becomes due, at its minute', async () => {
    await put({ triggerAt: MINUTE })
    const [worker] = await waiting(1)
    await api.clock.advance(29_999)
    expect((await api.store.counts()).running).toBe(0)
    await api.clock.advance(1)
    const { names, body } = (await worker?.answer) ?? {}
    expect(names).toEqual(['work'])
    expect(body?.lease_until).toBe(new Date(DUE + 60_000).toISOString())
  })

  it('is answered when the clock jumps past the minute', async () => {
    await put({ triggerAt: MINUTE })
    const [worker] = await waiting(1)
    api.clock.jump(30_000)
    await api.clock.advance(1000)
    expect((await worker?.answer)?.names).toEqual(['work'])
  })

  it('is answered when the name is no longer paused', async () => {
    await handler('work', { paused: true })
    await put(...due(1))
    const [worker] = await waiting(1)
    await api.clock.advance(5000)
    expect((await api.store.counts()).running).toBe(0)
    await handler('work')
    await api.clock.advance(1000)
    expect((await worker?.answer)?.names).toEqual(['work'])
  })

  it('is answered when an acknowledgement makes room', async () => {
    await handler('work', { concurrency: 1 })
    await put(...due(2))
    const first = (await startClaim(api.port, 'work').answer).body.tasks?.[0]
    const [worker] = await waiting(1)
    await api.http
      .post(`/ack/work@${String(first?.['trigger_at'])}`)
      .send({ attempt: 1, status: 'successful' })
      .expect(200)
    expect((await worker?.answer)?.names).toEqual(['work'])
  })

  it('is answered when the rate allows another one', async () => {
    await handler('work', { rate: 1 })
    await put(...due(2))
    await startClaim(api.port, 'work').answer
    await api.clock.advance(30_000)
    const [worker] = await waiting(1)
    await api.clock.advance(29_000)
    expect((await api.store.counts()).running).toBe(1)
    await api.clock.advance(2000)
    expect((await worker?.answer)?.names).toEqual(['work'])
  })

  it('answers an empty list when the time is over', async () => {
    const [worker] = await waiting(1, 'work?wait=7')
    await api.clock.advance(6999)
    expect(api.clock.timers).toBeGreaterThan(0)
    await api.clock.advance(1)
    expect(await worker?.answer).toMatchObject({ status: 200, body: { tasks: [], lease_until: null } })
    expect(api.clock.timers).toBe(0)
  })

  it('answers an empty list when the server stops, and at once from then on', async () => {
    const workers = await waiting(3)
    api.stopping.abort()
    const answers = await Promise.all(workers.map(({ answer }) => answer))
    expect(answers).toMatchObject([1, 2, 3].map(() => ({ status: 200, names: [], connection: 'close' })))
    expect(await startClaim(api.port, 'work?wait=60').answer).toMatchObject({ status: 200, names: [] })
    expect(api.clock.timers).toBe(0)
  })

  it('claims nothing for one that has left', async () => {
    const [worker] = await waiting(1)
    worker?.leave()
    await until(() => api.clock.timers === 0)
    const before = looks
    await put(...due(1))
    await api.clock.advance(2000)
    expect(looks).toBe(before)
    expect((await startClaim(api.port, 'work').answer).body.tasks).toMatchObject([{ attempts: 1 }])
  })

  it('goes on to the next one where the first has left', async () => {
    const [first, second] = await waiting(2)
    const timers = api.clock.timers
    first?.leave()
    await until(() => api.clock.timers < timers)
    await put(...due(1))
    expect((await second?.answer)?.names).toEqual(['work'])
  })

  it('misses nothing that is stored while the first look is under way', async () => {
    afterPull = async () => {
      afterPull = () => Promise.resolve()
      await put(...due(1))
    }
    expect((await startClaim(api.port, 'work?wait=60').answer).names).toEqual(['work'])
  })

  it('answers what a look has found although the time was over meanwhile', async () => {
    const [worker] = await waiting(1, 'work?wait=7')
    const { promise, resolve } = Promise.withResolvers<undefined>()
    afterPull = () => promise
    const before = looks
    await put(...due(1))
    await until(() => looks > before)
    await api.clock.advance(8000)
    resolve(undefined)
    expect((await worker?.answer)?.names).toEqual(['work'])
  })

  it('serves many that wait for many tasks, each with its own, and more and more of them in one commit', async () => {
    const workers = await waiting(100, 'work?wait=60&limit=1')
    const before = looks
    mostAtOnce = 0
    await put(...due(100))
    const answers = await Promise.all(workers.map(({ answer }) => answer))
    const keys = answers.flatMap(({ body }) => (body.tasks ?? []).map((task) => task['trigger_at']))
    expect([keys.length, new Set(keys).size]).toEqual([100, 100])
    expect(looks - before).toBe(100)
    // 1, 2, 4, 8, 16, 32, and the rest.
    expect(mostAtOnce).toBe(37)
  })

  it('serves the one that has waited longest first', async () => {
    const workers = [...(await waiting(1)), ...(await waiting(1)), ...(await waiting(1))]
    await put(...due(1))
    expect((await workers[0]?.answer)?.names).toEqual(['work'])
    await put(...due(2).slice(0, 1))
    await api.clock.advance(100)
    expect((await workers[1]?.answer)?.names).toEqual(['work'])
    await api.clock.advance(60_000)
    expect((await workers[2]?.answer)?.names).toEqual([])
  })

  it('looks ten times a second for all that wait for a name, however much is stored of others', async () => {
    await waiting(50)
    const before = looks
    for (let n = 1; n <= 100; n += 1) {
      await api.store.put([aTask({ name: 'other', triggerAt: MINUTE + n * 60 })], { now: api.clock.now() })
      await api.clock.advance(10)
    }
    expect(looks - before).toBeGreaterThan(5)
    expect(looks - before).toBeLessThanOrEqual(11)
  })

  it('looks once a second for all that wait for a name while nothing happens', async () => {
    await waiting(50)
    const before = looks
    await api.clock.advance(10_000)
    expect(looks - before).toBe(10)
  })

  it('keeps names apart', async () => {
    await handler('other')
    const [one] = await waiting(1)
    const [other] = await waiting(1, 'other?wait=60')
    await put({ name: 'other', triggerAt: MINUTE - 60 })
    expect((await other?.answer)?.names).toEqual(['other'])
    await put(...due(1))
    await api.clock.advance(100)
    expect((await one?.answer)?.names).toEqual(['work'])
  })

  it('is refused when its name is no longer for workers', async () => {
    const workers = await waiting(2)
    await api.store.removeHandler('work', { force: true })
    await api.clock.advance(1000)
    expect((await Promise.all(workers.map(({ answer }) => answer))).map(({ status }) => status)).toEqual([404, 404])
  })

  it('tells that the store does not answer, and waits no longer', async () => {
    const workers = await waiting(2)
    pull = () => Promise.reject(new CallmeError('store_unavailable', 'the disk is full'))
    await api.clock.advance(1000)
    const answers = await Promise.all(workers.map(({ answer }) => answer))
    expect(answers).toMatchObject([503, 503].map((status) => ({ status, body: { error: 'the disk is full' } })))
  })
})
