/** The delivery of bad news when a process dies on the way, and when there is bad news again. */
import { describe, expect, it } from 'vitest'
import { MINUTE, aTask } from '../support/a-task.ts'
import { ALARM, bodyOf, callsToAlarm, refused } from '../support/refused-task.ts'
import { MINUTE_MS, SchedulerHarness, refuseWrites } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000
const KEY = `a-task@${MINUTE}`

describe('a crash', () => {
  it('before the delivery has begun loses nothing: it is made by the next process, once', async () => {
    const first = new SchedulerHarness({ startAt: MINUTE_MS, node: 'node-1' })
    await first.put(aTask({ definition: { error_callback: ALARM } }))
    await first.start()
    first.before.claimDue = refuseWrites
    first.caller.only.answer(404)
    await first.clock.advance(0)
    expect(await first.task()).toMatchObject({ state: 'failed', errorCallback: { state: 'pending', attempts: 0 } })
    await first.crash()

    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    expect(second.caller.only.request).toMatchObject({ url: ALARM, headers: { 'callme-task': KEY, 'callme-attempt': '1' } })
    second.caller.only.answer()
    await second.clock.advance(10 * MINUTES)
    expect(second.caller.calls).toHaveLength(1)
    expect((await second.task()).errorCallback).toMatchObject({ state: 'successful', attempts: 1 })
  })

  it('during the delivery has the next process make it again, as another attempt of the same one', async () => {
    const first = await refused({}, { node: 'node-1' })
    const [lost] = callsToAlarm(first)
    await first.crash()
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    expect(second.caller.only.request).toMatchObject({
      url: ALARM,
      body: lost?.request.body,
      headers: { 'callme-attempt': '2', 'callme-run-id': lost?.request.headers['callme-run-id'] },
    })
    second.caller.only.answer()
    await second.clock.advance(10 * MINUTES)
    expect(second.caller.calls).toHaveLength(1)
    expect((await second.task()).errorCallback).toMatchObject({ state: 'successful', attempts: 2 })
  })

  it('between the answer and its record leaves the task to fail later, and one delivery to follow', async () => {
    const first = new SchedulerHarness({ startAt: MINUTE_MS, node: 'node-1' })
    await first.put(aTask({ definition: { error_callback: ALARM } }))
    await first.start()
    first.before.record = refuseWrites
    first.caller.only.answer(404)
    await first.crash()
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    second.caller.script = (call) => {
      call.answer(call.host === 'alarm.test' ? 200 : 404)
    }
    await second.start()
    await second.clock.advance(10 * MINUTES)
    expect(second.caller.calls.map(({ host }) => host)).toEqual(['receiver.test', 'alarm.test'])
    expect(bodyOf(callsToAlarm(second)[0])['attempts']).toMatchObject([
      { number: 1, status: null },
      { number: 2, status: 404 },
    ])
  })
})

describe('another run', () => {
  it('that ends badly too is told of as well, by a delivery of its own', async () => {
    const harness = await refused()
    harness.caller.script = (call) => {
      call.answer(call.host === 'alarm.test' ? 200 : 404)
    }
    harness.caller.only.answer()
    await harness.clock.advance(SECOND)
    await harness.run()
    await harness.clock.advance(0)
    const runs = callsToAlarm(harness).map((call) => (bodyOf(call)['task'] as { run_id: string }).run_id)
    expect(runs).toHaveLength(2)
    expect(runs[1]).toBe((await harness.task()).runId)
    expect(bodyOf(callsToAlarm(harness)[1])['attempts']).toMatchObject([{ run_id: runs[1], number: 1 }])
    expect((await harness.task()).errorCallback).toMatchObject({ state: 'successful', attempts: 1 })
  })
})
