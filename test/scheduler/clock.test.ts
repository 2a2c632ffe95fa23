/** What the clock may do to tasks: run backwards, leap, stand still while the process is away. */
import { describe, expect, it } from 'vitest'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'
import type { ScriptedCall } from '../support/scripted-caller.ts'

const MINUTES = 60_000
const HOUR = 60 * MINUTES
const DAY = 24 * HOUR

function answer(call: ScriptedCall): void {
  call.answer()
}

describe('the minute', () => {
  it('brings the call with it, and not before', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS - 500 })
    await harness.store.put([aTask()], { now: harness.clock.now() })
    await harness.start()
    harness.clock.jump(-5)
    await harness.clock.advance(504)
    expect(harness.caller.calls).toEqual([])
    await harness.clock.advance(1)
    expect(harness.caller.only.startedAt).toBe(MINUTE_MS)
  })

  it('brings a call for a task that is put for the current minute at once', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS + 12_345 })
    await harness.start()
    await harness.put(aTask())
    expect(harness.caller.only.startedAt).toBe(MINUTE_MS + 12_345)
  })
})

describe('a clock that is set back by an hour', () => {
  it('has nothing called twice', async () => {
    const harness = new SchedulerHarness()
    await harness.put(aTask())
    await harness.start()
    harness.caller.script = answer
    await harness.clock.advance(15_000)
    harness.clock.jump(-HOUR)
    await harness.clock.advance(3 * HOUR)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task()).toMatchObject({ state: 'successful', attempts: 1 })
    expect(harness.ticker.readiness().ready).toBe(true)
    expect(harness.events('clock.jumped')).toMatchObject([{ level: 'warn', by_ms: -HOUR }])
  })

  it('leaves a call that is under way its result, and its duration is not negative', async () => {
    const harness = new SchedulerHarness()
    await harness.put(aTask())
    await harness.start()
    await harness.clock.advance(15_000)
    harness.clock.jump(-HOUR)
    await harness.clock.advance(5000)
    harness.caller.only.answer()
    await harness.clock.advance(HOUR)
    expect(await harness.task()).toMatchObject({ state: 'successful', attempts: 1 })
    expect(await harness.history()).toMatchObject([{ durationMs: 0 }])
    expect(harness.caller.calls).toHaveLength(1)
  })

  it('has a task that waits called on its minute of the new time', async () => {
    const harness = new SchedulerHarness()
    await harness.put(aTask())
    await harness.start()
    harness.clock.jump(-HOUR)
    await harness.clock.advance(HOUR + 9999)
    expect(harness.caller.calls).toEqual([])
    await harness.clock.advance(1)
    expect(harness.caller.only.startedAt).toBe(MINUTE_MS)
  })
})

const ABSENCES: [string, number, (harness: SchedulerHarness, ms: number) => void][] = [
  [
    'a clock that is set forward by an hour',
    HOUR,
    (harness, ms) => {
      harness.clock.jump(ms)
    },
  ],
  [
    'a clock that is set forward by 400 days',
    400 * DAY,
    (harness, ms) => {
      harness.clock.jump(ms)
    },
  ],
  [
    'a machine that is suspended for 90 minutes',
    90 * MINUTES,
    (harness, ms) => {
      harness.clock.jump(ms)
    },
  ],
  [
    'a process that is blocked for 90 minutes',
    90 * MINUTES,
    (harness, ms) => {
      harness.clock.block(ms)
    },
  ],
]

describe.each(ABSENCES)('%s', (_, ms, leave) => {
  /** What falls due while nobody looks, told by how long before the return, and how many minutes late it may be called. */
  async function away(): Promise<SchedulerHarness> {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    const back = MINUTE + ms / 1000
    await harness.put(
      aTask({ name: 'long-over', triggerAt: back - 30 * 60 }),
      aTask({ name: 'just-over', triggerAt: back - 10 * 60 }),
      aTask({ name: 'inside', triggerAt: back - 9 * 60 }),
      aTask({ name: 'patient', triggerAt: back - 30 * 60, definition: { max_delay: 60 } }),
      aTask({ name: 'on-return', triggerAt: back }),
      aTask({ name: 'later', triggerAt: back + 60 }),
    )
    harness.caller.script = answer
    await harness.start()
    leave(harness, ms)
    await harness.clock.advance(1000)
    return harness
  }

  it('has everything called once that is still inside its window', async () => {
    const harness = await away()
    const names = harness.caller.calls.map(({ key }) => key.split('@')[0])
    expect(names.toSorted()).toEqual(['inside', 'on-return', 'patient'])
    await harness.clock.advance(59_000)
    expect(harness.caller.calls.slice(3)).toMatchObject([{ key: `later@${MINUTE + ms / 1000 + 60}`, startedAt: MINUTE_MS + ms + 60_000 }])
    await harness.clock.advance(20 * MINUTES)
    expect(harness.caller.calls).toHaveLength(4)
  })

  it('has everything skipped, with the reason, that is not', async () => {
    const harness = await away()
    const back = MINUTE + ms / 1000
    for (const [name, minutesAgo] of [
      ['long-over', 30],
      ['just-over', 10],
    ] as const) {
      const closed = new Date((back - (minutesAgo - 10) * 60) * 1000).toISOString()
      const reason = `out of time: no call may start at or after ${closed}`
      expect(await harness.task(name, back - minutesAgo * 60)).toMatchObject({ state: 'skipped', attempts: 0, error: reason })
      expect(harness.events('task.skipped')).toContainEqual(
        expect.objectContaining({ level: 'warn', task: `${name}@${back - minutesAgo * 60}`, error: reason }),
      )
    }
    expect(await harness.store.counts()).toMatchObject({ skipped: 2, successful: 3, pending: 1 })
  })
})

describe('a start', () => {
  it('calls at once what is still inside its window and skips the rest', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS + 15 * MINUTES + 1 })
    await harness.store.put(
      [
        aTask({ name: 'over' }),
        aTask({ name: 'inside', triggerAt: MINUTE + 6 * 60 }),
        aTask({ name: 'later', triggerAt: MINUTE + 16 * 60 }),
      ],
      { now: MINUTE_MS - HOUR },
    )
    await harness.start()
    expect(harness.caller.only.key).toBe(`inside@${MINUTE + 360}`)
    expect(await harness.task('over')).toMatchObject({
      state: 'skipped',
      attempts: 0,
      error: expect.stringContaining('out of time') as string,
    })
    expect(await harness.task('later', MINUTE + 16 * 60)).toMatchObject({ state: 'pending', error: null })
  })

  it('skips more than one batch of what is over, without waiting for another tick', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS + DAY })
    await harness.store.put(
      Array.from({ length: 1700 }, (_, n) => aTask({ name: `over-${n}` })),
      { now: MINUTE_MS - HOUR },
    )
    await harness.start()
    await harness.until(() => harness.events('task.skipped').length === 1700)
    expect(await harness.store.counts()).toMatchObject({ pending: 0, skipped: 1700 })
    expect(harness.caller.calls).toEqual([])
  })

  it('ends what is over in batches, and calls what is not over in between', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS + DAY, maxInflight: 4 })
    const inside = ['one', 'two', 'three'].map((name) =>
      aTask({ name, triggerAt: MINUTE + DAY / 1000, definition: { callback: 'http://other.test/' } }),
    )
    const over = Array.from({ length: 5000 }, (_, n) => aTask({ name: `over-${n}` }))
    await harness.store.put([...over, ...inside], { now: MINUTE_MS - HOUR })
    let batches = 0
    const batchesBeforeCall: number[] = []
    harness.before.expire = () => (batches += 1)
    harness.caller.script = (call) => {
      batchesBeforeCall.push(batches)
      call.answer()
    }
    await harness.start()
    await harness.until(() => batchesBeforeCall.length === 3)
    expect(batchesBeforeCall[0]).toBe(1)
    expect(batchesBeforeCall[2]).toBeLessThan(4)
    await harness.until(() => harness.events('task.skipped').length === 5000)
    expect(await harness.store.counts()).toMatchObject({ pending: 0, skipped: 5000, successful: 3 })
  })

  it('does not forget the retry of a host of which more tasks are over than one batch holds', async () => {
    const first = new SchedulerHarness({ startAt: MINUTE_MS })
    await first.store.put([aTask({ name: 'retried', definition: { max_delay: 1440 } })], { now: MINUTE_MS - HOUR })
    await first.start()
    await first.clock.advance(11 * MINUTES)
    first.caller.only.answer(503, { retryAfter: '10' })
    await first.stop()
    await first.store.put(
      Array.from({ length: 600 }, (_, n) => aTask({ name: `over-${n}` })),
      { now: MINUTE_MS - HOUR },
    )

    const second = new SchedulerHarness({ successorOf: first })
    await second.start()
    await second.clock.advance(10_000)
    expect(second.caller.only.startedAt).toBe(MINUTE_MS + 11 * MINUTES + 10_000)
  })
})

describe('over hours with a process that is held up again and again', () => {
  it('each minute of each task is called once and never before its time', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS - 30_000 })
    const tasks = Array.from({ length: 180 }, (_, n) => aTask({ triggerAt: MINUTE + n * 60 }))
    await harness.put(...tasks)
    harness.caller.script = answer
    await harness.start()
    let heldUp = 0
    while (harness.clock.now() < MINUTE_MS + 3 * HOUR) {
      heldUp = (heldUp * 31 + 7919) % 97_001
      harness.clock.block(heldUp)
      await harness.clock.advance(1500)
    }
    expect(harness.caller.calls.map(({ key }) => key)).toEqual(tasks.map(({ name, triggerAt }) => `${name}@${triggerAt}`))
    for (const { request, startedAt } of harness.caller.calls)
      expect(startedAt).toBeGreaterThanOrEqual(Number(request.headers['callme-trigger-at']) * 1000)
  })
})
