import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { reportOf } from '../../src/domain/attempt/attempt-report.ts'
import type { HandlerDefinition } from '../../src/domain/task/handler.ts'
import type { Task } from '../../src/domain/task/task.ts'
import { MINUTE, aTask, aTaskWithoutCallback } from '../support/a-task.ts'
import { NODE, openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem, expectTask } from '../support/wire.ts'

const DUE = MINUTE * 1000
const LEASE_MS = 60_000
const ACK_TIMEOUT_MIN = 5

let api: Api
beforeEach(async () => {
  api = await openApi()
  await api.clock.advance(30_000)
})
afterEach(() => api.close())

async function handler(name: string, definition: HandlerDefinition): Promise<void> {
  await api.store.putHandler(name, definition, { now: DUE, force: false })
}

/** A task that a worker has pulled, for a minute. */
async function pulled(name: string, definition: Task['definition'] = {}): Promise<Task> {
  await handler(name, { pull: true })
  await api.store.put([aTaskWithoutCallback({ name, definition })], { now: DUE })
  const result = await api.store.pull(name, { now: api.clock.now(), node: NODE, leaseUntil: api.clock.now() + LEASE_MS, limit: 1 })
  const [task] = result === 'not_pulled' ? [] : result.tasks
  if (task === undefined) throw new Error(`${name} was not pulled`)
  return task
}

/** A task whose call was accepted, and that is to be acknowledged within five minutes. */
async function accepted(name: string): Promise<Task> {
  await handler(name, { ack_timeout: ACK_TIMEOUT_MIN })
  return api.called(name, 200)
}

function ack(name: string, body: object | string) {
  return api.http.post(`/ack/${name}@${MINUTE}`).send(body)
}

/** Ends what has run out of time, as the upkeep does. */
async function rescued(): Promise<string[]> {
  const tasks = await api.store.rescue({ now: api.clock.now(), limit: 10 })
  return tasks.map(({ name, state }) => `${name} ${state}`)
}

describe('POST /ack/<key>', () => {
  it('ends a pulled task and answers it as it is now', async () => {
    const task = await pulled('work')
    await api.clock.advance(2500)
    const answer = await ack('work', { attempt: 1, status: 'successful', detail: '12 rows' })
    expect(answer.status, answer.text).toBe(200)
    expect(Object.keys(answer.body)).toEqual(['message', 'task'])
    expect(answer.body.message).toBe('acknowledged')
    expect(expectTask(answer.body.task)).toMatchObject({ task_state: 'successful', attempts: 1, response_body: '12 rows', error: null })
    expect(api.wakes).toEqual([api.clock.now()])
    const fields = {
      task: `work@${MINUTE}`,
      run_id: task.runId,
      attempt: 1,
      status: 'successful',
      node: NODE,
      state: 'successful',
      error: null,
    }
    expect(api.logged).toEqual([{ level: 'debug', event: 'task.acknowledged', fields }])
    const [read] = (await api.http.get(`/task/work@${MINUTE}`)).body.tasks
    expect(expectTask(read).history).toMatchObject([{ number: 1, duration_ms: 2500, error: null }])
  })

  it('ends a task whose call was accepted, and keeps the answer of the call beside it', async () => {
    await accepted('slow')
    const { task } = (await ack('slow', { attempt: 1, status: 'successful' })).body
    expect(task).toMatchObject({ task_state: 'successful', response_status: 200, response_body: 'answer 200' })
  })

  it('has a failure tried again, after the wait that a failed call has', async () => {
    await accepted('flaky')
    const { task } = (await ack('flaky', { attempt: 1, status: 'failed', detail: 'no disk' })).body
    const due = new Date(api.clock.now() + 500).toISOString()
    expect(task).toMatchObject({ task_state: 'retrying', next_attempt: due, error: 'acknowledged as failed: no disk' })
    expect(api.wakes).toEqual([api.clock.now()])
    expect(api.logged).toMatchObject([{ level: 'debug', fields: { status: 'failed', state: 'retrying' } }])
  })

  it('ends a failure that is not retryable, whatever retry says, and warns', async () => {
    await pulled('broken', { retry: 9 })
    const { task } = (await ack('broken', { attempt: 1, status: 'failed', retryable: false, detail: { code: 7 } })).body
    expect(task).toMatchObject({ task_state: 'failed', error: 'acknowledged as failed: {"code":7}', response_body: '{"code":7}' })
    expect(api.logged).toMatchObject([{ level: 'warn', event: 'task.acknowledged', fields: { state: 'failed', error: task.error } }])
  })

  it('fails once the retries are used up', async () => {
    await pulled('once', { retry: 0 })
    const { task } = (await ack('once', { attempt: 1, status: 'failed' })).body
    expect(task).toMatchObject({ task_state: 'failed', error: 'acknowledged as failed' })
  })

  it('takes retryable with every status: client libraries send it always', async () => {
    await pulled('work')
    await ack('work', { attempt: 1, status: 'running', retryable: false }).expect(200)
    const { task } = (await ack('work', { attempt: 1, status: 'successful', retryable: false })).body
    expect(task.task_state).toBe('successful')
  })

  it.each([
    ['a pulled task by its lease', pulled, LEASE_MS],
    ['an accepted task by its ack_timeout', accepted, ACK_TIMEOUT_MIN * 60_000],
  ])('prolongs %s, and then silence is a failure again', async (_what, start, lengthMs) => {
    const { leaseUntil } = await start('long')
    await api.clock.advance(Number(leaseUntil) - api.clock.now() - 10_000)
    expect(api.clock.now()).toBe(Number(leaseUntil) - 10_000)
    const answer = await ack('long', { attempt: 1, status: 'running' })
    expect(expectTask(answer.body.task)).toMatchObject({ task_state: 'running', attempts: 1 })
    expect(api.wakes).toEqual([])
    await api.clock.advance(lengthMs - 1)
    expect(await rescued()).toEqual([])
    await api.clock.advance(1)
    expect(await rescued()).toEqual(['long retrying'])
  })

  it('may come before the answer of the call is recorded, which then changes nothing', async () => {
    await handler('quick', { ack_timeout: ACK_TIMEOUT_MIN })
    const claimed = await api.claimed('quick')
    const { task } = (await ack('quick', { attempt: 1, status: 'successful', detail: 'done' })).body
    expect(task).toMatchObject({ task_state: 'successful', response_status: null, response_body: 'done' })
    const late = { kind: 'answered', startedAt: DUE, endedAt: DUE + 50, status: 200, body: 'accepted' } as const
    expect(await api.store.record([reportOf(claimed, late, NODE, DUE + 50, 0)])).toEqual([false])
    const [read] = (await api.http.get(`/task/quick@${MINUTE}`)).body.tasks
    expect(read).toMatchObject({ task_state: 'successful', response_body: 'done', history: [{ number: 1 }] })
  })

  it('lets one of many that race win', async () => {
    await pulled('race')
    const statuses = ['successful', 'failed'] as const
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => ack('race', { attempt: 1, status: statuses[n % 2], detail: `from ${n}` })),
    )
    const [winner, ...others] = answers.filter(({ status }) => status === 200)
    expect(others).toEqual([])
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(19)
    const [read] = (await api.http.get(`/task/race@${MINUTE}`)).body.tasks
    expect(read).toMatchObject({ task_state: winner?.body.task.task_state, response_body: winner?.body.task.response_body })
    expect(read.history).toHaveLength(1)
  })

  it.each([
    ['text as it is', ' "a"\n', ' "a"\n'],
    ['another value as JSON', [1, { two: null }], '[1,{"two":null}]'],
    ['false as JSON', false, 'false'],
    ['nothing where it is null', null, null],
    ['NUL as U+FFFD', 'a\0b', 'a\uFFFDb'],
    ['the first 1024 bytes', 'x'.repeat(1025), 'x'.repeat(1024)],
    ['no half of a character', `${'x'.repeat(1022)}€uro`, 'x'.repeat(1022)],
    ['a character that ends at the last byte', `${'x'.repeat(1021)}€uro`, `${'x'.repeat(1021)}€`],
  ])('keeps of the detail %s', async (_what, detail, kept) => {
    await pulled('work')
    const { task } = (await ack('work', { attempt: 1, status: 'successful', detail })).body
    expect(task.response_body).toBe(kept)
  })

  it('takes the run that is meant, in whatever case, and no other one', async () => {
    const { runId } = await pulled('work')
    const other = '00000000-0000-4000-8000-000000000000'
    const sentence = expectProblem(await ack('work', { attempt: 1, status: 'successful', run_id: other }), 409)
    expect(sentence).toBe(
      `the entry "work@${MINUTE}" is not in the run "${other}"; its run is "${runId}", which is running with 1 attempts made`,
    )
    await ack('work', { attempt: 1, status: 'successful', run_id: runId.toUpperCase() }).expect(200)
  })

  it('refuses another attempt than the one that is running, and says which that is', async () => {
    await pulled('work')
    const sentence = expectProblem(await ack('work', { attempt: 2, status: 'successful' }), 409)
    expect(sentence).toBe(`attempt 2 of the entry "work@${MINUTE}" is not the one that is running; acknowledge attempt 1, if it is yours`)
    expect((await api.store.get({ name: 'work', triggerAt: MINUTE }))?.state).toBe('running')
    expect(api.wakes).toEqual([])
  })

  it('refuses what has ended', async () => {
    await pulled('work')
    await ack('work', { attempt: 1, status: 'successful' })
    const sentence = expectProblem(await ack('work', { attempt: 1, status: 'failed' }), 409)
    expect(sentence).toBe(`the entry "work@${MINUTE}" is successful and not running: there is nothing left to acknowledge`)
  })

  it('refuses what waits for its next attempt, and says which that is', async () => {
    await pulled('work')
    await ack('work', { attempt: 1, status: 'failed' })
    const sentence = expectProblem(await ack('work', { attempt: 1, status: 'successful' }), 409)
    const due = new Date(api.clock.now() + 500).toISOString()
    expect(sentence).toBe(
      `the entry "work@${MINUTE}" is retrying and not running: the next one to acknowledge is attempt 2, which starts at ${due} at the earliest`,
    )
  })

  it('refuses a task that ends with the answer of its call', async () => {
    await api.claimed('plain')
    const sentence = expectProblem(await ack('plain', { attempt: 1, status: 'successful' }), 409)
    expect(sentence).toContain(`attempt 1 of the entry "plain@${MINUTE}" ends with the answer of its call`)
    expect(sentence).toContain('give the task an ack_timeout, or its handler "pull": true')
  })

  it('answers 404 for a key that nothing has', async () => {
    expect(expectProblem(await ack('none', { attempt: 1, status: 'successful' }), 404)).toContain(`no entry "none@${MINUTE}"`)
  })

  it.each([
    [{ status: 'successful' }, '/attempt', 'attempt is required: it must be an integer of at least 1'],
    [{ attempt: 1 }, '/status', 'status is required: it must be "successful", "failed" or "running"'],
    [{ attempt: 0, status: 'failed' }, '/attempt', 'attempt must be an integer of at least 1'],
    [{ attempt: 1.5, status: 'failed' }, '/attempt', 'got 1.5'],
    [{ attempt: '1', status: 'failed' }, '/attempt', 'got "1"'],
    [{ attempt: 1, status: 'done' }, '/status', 'got "done"'],
    [{ attempt: 1, status: 'failed', retryable: 'no' }, '/retryable', 'retryable must be true or false; got "no"'],
    [{ attempt: 1, status: 'failed', run_id: 'x' }, '/run_id', 'run_id must be a UUID'],
    [{ attempt: 1, status: 'failed', details: 'x' }, '/details', 'did you mean "detail"?'],
    ['[]', '', 'the body must be a JSON object'],
    ['{"attempt":', '', 'the body must be JSON such as {"attempt":1,"status":"successful"}'],
    ['', '/attempt', 'attempt is required'],
  ])('refuses the body %j', async (body, pointer, part) => {
    await pulled('work')
    expect(expectProblem(await ack('work', body), 400, pointer)).toContain(part)
    expect((await api.store.get({ name: 'work', triggerAt: MINUTE }))?.state).toBe('running')
  })

  it.each([
    ['work@', '/task_key'],
    ['a@b', '/task_key'],
    [`a@${MINUTE}?attempt=1`, '?attempt'],
  ])('refuses %s', async (path, pointer) => {
    expectProblem(await api.http.post(`/ack/${path}`).send({ attempt: 1, status: 'successful' }), 400, pointer)
  })

  it('leaves a task that nobody has claimed alone', async () => {
    await api.store.put([aTask({ name: 'early', triggerAt: MINUTE })], { now: DUE })
    expect(expectProblem(await ack('early', { attempt: 1, status: 'successful' }), 409)).toContain('is pending and not running')
  })
})
