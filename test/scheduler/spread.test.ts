/** Crowded minutes: with a spread each call starts at a second of its own. */
import { describe, expect, it } from 'vitest'
import { firstDueAt } from '../../src/domain/task/task.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000

function crowd(spread: number, count = 120) {
  return Array.from({ length: count }, (_, n) => aTask({ name: `task-${n}`, definition: { spread } }))
}

describe('the calls of a minute with a spread', () => {
  it('start at the second that follows from the key, not before and not after', async () => {
    const harness = new SchedulerHarness()
    harness.caller.script = (call) => {
      call.answer()
    }
    await harness.put(...crowd(59))
    await harness.start()
    await harness.clock.advance(10 * SECOND + MINUTES)
    const starts = harness.caller.calls.map(({ key, startedAt }) => [key.split('@')[0], startedAt])
    expect(starts).toHaveLength(120)
    for (const [name, startedAt] of starts) {
      expect([name, startedAt]).toEqual([name, firstDueAt({ name: String(name), triggerAt: MINUTE }, { spread: 59 })])
    }
    expect(new Set(starts.map(([, startedAt]) => startedAt)).size).toBeGreaterThan(30)
  })

  it('are over within the spread', async () => {
    const harness = new SchedulerHarness()
    await harness.put(...crowd(5, 8))
    await harness.start()
    await harness.clock.advance(10 * SECOND + 5 * SECOND)
    expect(harness.caller.calls).toHaveLength(8)
  })

  it('have a window that counts from the minute', async () => {
    const harness = new SchedulerHarness()
    await harness.put(aTask({ definition: { spread: 59, max_delay: 1 } }))
    await harness.start()
    await harness.clock.advance(10 * SECOND + MINUTES)
    expect(harness.caller.only.request.deadline).toBe(MINUTE_MS + MINUTES)
    expect(harness.caller.only.startedAt).toBeGreaterThan(MINUTE_MS)
  })
})

describe('a task with a spread', () => {
  it('is called at once, not at its second, when it is run by hand', async () => {
    const harness = new SchedulerHarness()
    await harness.put(aTask({ definition: { spread: 59 } }))
    await harness.start()
    await harness.run()
    expect(harness.caller.only.startedAt).toBe(MINUTE_MS - 10 * SECOND)
  })

  it('has its retries after the backoff, not at a second of theirs', async () => {
    const harness = new SchedulerHarness({ random: () => 0 })
    await harness.put(aTask({ definition: { spread: 59 } }))
    await harness.start()
    await harness.clock.advance(10 * SECOND + MINUTES)
    harness.caller.only.answer(503)
    await harness.clock.advance(500)
    expect(harness.caller.only.startedAt).toBe(harness.clock.now())
  })
})
