import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { reportOf } from '../../src/domain/attempt/attempt-report.ts'
import type { Task } from '../../src/domain/task/task.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { NODE, openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem } from '../support/wire.ts'

const DUE = MINUTE * 1000

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

/** Has a task of that minute called so many ms late. */
async function called(name: string, ms: number, triggerAt = MINUTE): Promise<void> {
  await api.store.put([aTask({ name, triggerAt })], { now: DUE - 9 })
  const now = triggerAt * 1000
  const limits = { limit: 9, hosts: new Map(), capacityOfNewHost: 9, unprovenLimit: 9, silentLimit: 9 }
  const { tasks } = await api.store.claimDue({ now, node: NODE, leaseUntil: now + 60_000, ...limits })
  const result = { kind: 'answered', startedAt: now + ms, endedAt: now + ms + 5, status: 200, body: '' } as const
  await api.store.record([reportOf(tasks[0] as Task, result, NODE, now + ms + 5, 0)])
}

describe('GET /lateness', () => {
  it('tells how late the attempts of the last day were, from when they were due to their start', async () => {
    for (const [index, ms] of [3, 900, 1, 12].entries()) await called(`task-${index}`, ms)
    await called('of-the-day-before', 5000, MINUTE - 86_400)
    api.clock.jump(60_000)
    const { status, body } = await api.http.get('/lateness')
    expect(status).toBe(200)
    const range = { from: '2027-01-14T08:00:30.000Z', to: '2027-01-15T08:00:30.000Z' }
    expect(body).toEqual({ ...range, name: null, attempts: 4, p50: 3, p99: 900, max: 900, over_1s: 0, over_10s: 0, over_60s: 0 })
  })

  it('takes a range of minutes and the names of a pattern', async () => {
    await called('mail.1', 3)
    await called('mail.2', 700, MINUTE + 60)
    await called('report', 50, MINUTE + 60)
    const read = async (query: string) => {
      const { body } = await api.http.get(`/lateness?${query}`)
      return body as Record<string, unknown>
    }
    const all = `from=${MINUTE}&to=${MINUTE + 3600}`
    expect(await read(all)).toMatchObject({ attempts: 3, p50: 50, max: 700 })
    expect(await read(`${all}&name=mail.*`)).toMatchObject({ name: 'mail.*', attempts: 2, p50: 3, max: 700 })
    expect(await read(`${all}&name=report`)).toMatchObject({ attempts: 1, p50: 50 })
    expect(await read(`from=2027-01-15T08:00:00Z&to=${MINUTE + 60}`)).toMatchObject({ attempts: 1, max: 3 })
    expect(await read(`from=2027-01-15T09:01&to=+1h&timezone=Europe/Berlin`)).toMatchObject({ attempts: 2 })
    expect(await read(`${all}&name=nobody`)).toMatchObject({ attempts: 0, p50: null, p99: null, max: null })
  })

  it('goes through more entries than it reads at once', async () => {
    const tasks = Array.from({ length: 450 }, (_, n) => aTask({ name: `n${n}`, dueAt: DUE - n }))
    await api.store.put(tasks, { now: DUE - 9 })
    const claimed = await api.claimAll()
    const result = { kind: 'answered', startedAt: DUE, endedAt: DUE, status: 200, body: '' } as const
    await api.store.record(claimed.map((task) => reportOf(task, result, NODE, DUE, 0)))
    const { body } = await api.http.get(`/lateness?from=${MINUTE}&to=${MINUTE + 60}`)
    expect(body).toMatchObject({ attempts: 450, p50: 224, p99: 445, max: 449 })
  })

  it('refuses what it does not understand', async () => {
    expectProblem(await api.http.get('/lateness?from=monday'), 400, '?from')
    expectProblem(await api.http.get('/lateness?to='), 400, '?to')
    expectProblem(await api.http.get(`/lateness?from=${MINUTE}&to=${MINUTE}`), 400, '?from')
    expectProblem(await api.http.get('/lateness?name=a@b'), 400, '?name')
    expectProblem(await api.http.get('/lateness?state=failed'), 400, '?state')
  })
})
