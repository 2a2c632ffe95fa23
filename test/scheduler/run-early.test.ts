/** Tasks that a person has run before their minute, to keep them or to have them removed once they have succeeded. */
import { describe, expect, it } from 'vitest'
import type { TaskDefinition } from '../../src/domain/task/task.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000
const HOUR = 60 * MINUTES
const LATER = MINUTE + 7200

/** A node at `MINUTE` that has been told to run a task that is due two hours later. */
async function early(removeAfter: boolean, definition: Partial<TaskDefinition> = {}): Promise<SchedulerHarness> {
  const harness = new SchedulerHarness({ startAt: MINUTE_MS })
  await harness.put(aTask({ triggerAt: LATER, definition }))
  await harness.start()
  expect(harness.caller.calls).toEqual([])
  await harness.run({ triggerAt: LATER, removeAfter })
  return harness
}

const kinds = async ({ store }: SchedulerHarness) => (await store.changes({ after: 0, limit: 100 })).changes.map(({ kind }) => kind)

describe('an early run', () => {
  it.each([false, true])('is a call that says so, made at once (removed afterwards: %s)', async (removeAfter) => {
    const harness = await early(removeAfter)
    expect(harness.caller.only).toMatchObject({ key: `a-task@${LATER}`, startedAt: MINUTE_MS })
    expect(harness.caller.only.request).toMatchObject({
      deadline: MINUTE_MS + 10 * MINUTES,
      headers: { 'callme-in-advance': 'true', 'callme-attempt': '1', 'callme-trigger-at': String(LATER) },
    })
  })

  it('is the one run of the task: its minute brings no other', async () => {
    const harness = await early(false)
    harness.caller.only.answer()
    await harness.clock.advance(3 * HOUR)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task('a-task', LATER)).toMatchObject({ state: 'successful', inAdvance: true })
  })

  it('of a task of a series leaves the series as it was', async () => {
    const harness = await early(true, { repeat: '0 * * * *' })
    harness.caller.only.answer()
    harness.caller.script = (call) => {
      call.answer()
    }
    await harness.clock.advance(4 * HOUR)
    expect(harness.caller.calls.slice(1).map(({ startedAt }) => startedAt)).toEqual([MINUTE_MS + 3 * HOUR, MINUTE_MS + 4 * HOUR])
    expect(harness.caller.calls[1]?.request.headers).not.toHaveProperty('callme-in-advance')
  })
})

describe('a task that is run to be removed', () => {
  it('is gone once its call was answered as expected, with its history', async () => {
    const harness = await early(true)
    expect(await harness.task('a-task', LATER)).toMatchObject({ state: 'running', removeAfter: true })
    harness.caller.only.answer()
    await harness.clock.advance(0)
    expect(await harness.store.get({ name: 'a-task', triggerAt: LATER })).toBeUndefined()
    expect(await harness.history('a-task', LATER)).toEqual([])
    expect(harness.events('task.successful')).toMatchObject([{ task: `a-task@${LATER}` }])
    expect((await kinds(harness)).slice(-2)).toEqual(['completed', 'deleted'])
    expect([harness.hosts.open, harness.dispatcher.claims()]).toEqual([0, []])
    await harness.clock.advance(3 * HOUR)
    expect(harness.caller.calls).toHaveLength(1)
  })

  it('stays while attempts are left, and is gone once one of them succeeds', async () => {
    const harness = await early(true)
    harness.caller.only.answer(503)
    await harness.clock.advance(0)
    expect(await harness.task('a-task', LATER)).toMatchObject({ state: 'retrying', attempts: 1 })
    await harness.clock.advance(SECOND)
    expect(harness.caller.only.request.headers).toMatchObject({ 'callme-attempt': '2', 'callme-in-advance': 'true' })
    harness.caller.only.answer()
    await harness.clock.advance(0)
    expect(await harness.store.get({ name: 'a-task', triggerAt: LATER })).toBeUndefined()
  })

  it('stays as it is, with its attempts, when it fails', async () => {
    const harness = await early(true, { retry: 0, payload: 'kept' })
    harness.caller.only.answer(503, { body: 'busy' })
    await harness.clock.advance(3 * HOUR)
    expect(await harness.task('a-task', LATER)).toMatchObject({
      state: 'failed',
      attempts: 1,
      responseBody: 'busy',
      error: 'answered 503, expected 200',
      definition: { payload: 'kept' },
    })
    expect(await harness.history('a-task', LATER)).toMatchObject([{ number: 1, status: 503 }])
    expect(harness.caller.calls).toHaveLength(1)
  })

  it('that failed stays when a person runs it again and that succeeds', async () => {
    const harness = await early(true, { retry: 0 })
    harness.caller.only.answer(404)
    await harness.clock.advance(0)
    await harness.run({ triggerAt: LATER })
    harness.caller.only.answer()
    await harness.clock.advance(0)
    expect(await harness.task('a-task', LATER)).toMatchObject({ state: 'successful', removeAfter: false })
  })

  it('is gone only with its acknowledgement where that is awaited', async () => {
    const harness = await early(true, { ack_timeout: 5 })
    harness.caller.only.answer()
    await harness.clock.advance(MINUTES)
    expect(await harness.task('a-task', LATER)).toMatchObject({ state: 'running', awaiting: 'ack' })
    await harness.acknowledge({ key: { name: 'a-task', triggerAt: LATER } })
    expect(await harness.store.get({ name: 'a-task', triggerAt: LATER })).toBeUndefined()
  })

  it('is called again after a crash, and removed then', async () => {
    const first = await early(true)
    await first.crash()
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    expect(second.caller.only.request.headers).toMatchObject({ 'callme-attempt': '2', 'callme-in-advance': 'true' })
    second.caller.only.answer()
    await second.clock.advance(0)
    expect(await second.store.get({ name: 'a-task', triggerAt: LATER })).toBeUndefined()
  })
})
