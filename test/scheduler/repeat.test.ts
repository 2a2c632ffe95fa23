/** Series: each task is followed by the next one, whatever happens to the process, the call, or the clock. */
import { describe, expect, it } from 'vitest'
import type { Task, TaskDefinition } from '../../src/domain/task/task.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'
import type { ScriptedCall } from '../support/scripted-caller.ts'

const SECOND = 1000
const MINUTES = 60_000
const HOUR = 60 * MINUTES
const DAY = 24 * HOUR

function answer(call: ScriptedCall): void {
  call.answer()
}

/** A node ten seconds before `MINUTE`, at which a series begins. */
async function series(definition: Partial<TaskDefinition>, maxInflight?: number): Promise<SchedulerHarness> {
  const harness = new SchedulerHarness(maxInflight === undefined ? {} : { maxInflight })
  await harness.put(aTask({ definition: { repeat: '*/10 * * * *', ...definition } }))
  await harness.start()
  return harness
}

async function tasks({ store }: SchedulerHarness): Promise<Task[]> {
  return (await store.list({ name: 'a-task' }, { limit: 1000 })).tasks
}

/** Minutes after `MINUTE`. */
async function minutesOf(harness: SchedulerHarness, ...states: Task['state'][]): Promise<number[]> {
  const all = await tasks(harness)
  return all.filter(({ state }) => states.length === 0 || states.includes(state)).map(({ triggerAt }) => (triggerAt - MINUTE) / 60)
}

const tens = (count: number) => Array.from({ length: count }, (_, n) => n * 10)
const startsOf = ({ caller }: SchedulerHarness) => caller.calls.map(({ startedAt }) => ((startedAt ?? 0) - MINUTE_MS) / MINUTES)

describe('a series', () => {
  it('has every one of its times called once, on its minute, over three hours', async () => {
    const harness = await series({})
    harness.caller.script = answer
    await harness.clock.advance(3 * HOUR)
    expect(startsOf(harness)).toEqual(tens(18))
    expect(await minutesOf(harness, 'successful')).toEqual(tens(18))
    expect(await minutesOf(harness, 'pending')).toEqual([180])
  })

  it('is stored one task ahead, each task naming the one that follows it', async () => {
    const harness = await series({})
    expect(await minutesOf(harness)).toEqual([0])
    await harness.clock.advance(10 * SECOND)
    expect(await minutesOf(harness)).toEqual([0, 10])
    const [first, second] = await tasks(harness)
    expect(first).toMatchObject({ state: 'running', repeatedTo: MINUTE + 600 })
    expect(second).toMatchObject({ state: 'pending', repeatedTo: null, attempts: 0 })
    expect(second?.definition).toEqual(first?.definition)
    expect(second?.runId).not.toBe(first?.runId)
  })

  it('goes on while a call takes longer than its interval, and after one that failed', async () => {
    const harness = await series({ timeout: 1800, retry: 0 })
    await harness.clock.advance(25 * MINUTES)
    expect(harness.caller.open).toHaveLength(3)
    for (const call of harness.caller.open) call.answer(404)
    harness.caller.script = answer
    await harness.clock.advance(10 * MINUTES)
    expect(await minutesOf(harness, 'failed')).toEqual([0, 10, 20])
    expect(await minutesOf(harness, 'successful')).toEqual([30])
  })

  it('is not doubled by retries', async () => {
    const harness = await series({ retry: 2 })
    harness.caller.script = (call) => {
      call.answer(503)
    }
    await harness.clock.advance(25 * MINUTES)
    expect(harness.caller.calls).toHaveLength(9)
    expect(await minutesOf(harness)).toEqual([0, 10, 20, 30])
  })

  it('keeps to the clock of its zone when that changes', async () => {
    // In New York clocks go forward on 14 March 2027, at 07:00 UTC.
    const start = Date.UTC(2027, 2, 12, 13) / 1000
    const harness = new SchedulerHarness({ startAt: start * 1000 - 10 * SECOND })
    await harness.put(aTask({ triggerAt: start, definition: { repeat: '0 8 * * *', timezone: 'America/New_York' } }))
    harness.caller.script = answer
    await harness.start()
    await harness.clock.advance(10 * SECOND)
    for (let days = 1; days <= 3; days += 1) {
      harness.clock.block(22 * HOUR + 55 * MINUTES)
      while (harness.caller.calls.length <= days) await harness.clock.advance(MINUTES)
    }
    expect(harness.caller.calls.map(({ startedAt }) => new Date(startedAt ?? 0).toISOString())).toEqual([
      '2027-03-12T13:00:00.000Z',
      '2027-03-13T13:00:00.000Z',
      '2027-03-14T12:00:00.000Z',
      '2027-03-15T12:00:00.000Z',
    ])
  })

  it('ends when the task that waits is removed with its name, and passes over one that is removed by its key', async () => {
    const harness = await series({})
    harness.caller.script = answer
    await harness.clock.advance(5 * MINUTES)
    const ten = { name: 'a-task', from: MINUTE + 600, to: MINUTE + 660 }
    await harness.store.remove(ten, { now: harness.clock.now(), limit: 1, continueSeries: true })
    await harness.clock.advance(20 * MINUTES)
    expect(startsOf(harness)).toEqual([0, 20])
    await harness.store.remove({ name: 'a-task', states: ['pending'] }, { now: harness.clock.now(), limit: 100 })
    await harness.clock.advance(HOUR)
    expect(startsOf(harness)).toEqual([0, 20])
  })
})

describe('a retry of a task that was followed', () => {
  it('does not bring a series back that was ended meanwhile', async () => {
    const harness = await series({})
    await harness.clock.advance(10 * SECOND)
    await harness.store.remove({ name: 'a-task', states: ['pending'] }, { now: harness.clock.now(), limit: 100 })
    harness.caller.only.answer(503)
    harness.caller.script = answer
    await harness.clock.advance(HOUR)
    expect(harness.caller.calls).toHaveLength(2)
    expect(await minutesOf(harness)).toEqual([0])
  })

  it('adds no other one while that one still waits', async () => {
    const harness = await series({ max_delay: 60 })
    await harness.clock.advance(10 * SECOND)
    await harness.putHandler('a-task', { concurrency: 1 })
    harness.caller.only.answer(503, { retryAfter: '700' })
    await harness.clock.advance(24 * MINUTES)
    expect(harness.caller.only.key).toBe(`a-task@${MINUTE + 600}`)
    harness.caller.only.answer()
    await harness.clock.advance(0)
    expect(harness.caller.only.request.headers).toMatchObject({ 'callme-task': `a-task@${MINUTE}`, 'callme-attempt': '2' })
    expect(await minutesOf(harness)).toEqual([0, 10, 20])
  })
})

describe('a crash in the middle of a series', () => {
  it('neither loses nor doubles a time of it', async () => {
    const first = await series({})
    first.caller.script = answer
    await first.clock.advance(65 * MINUTES)
    first.caller.script = undefined
    await first.clock.advance(5 * MINUTES + 10 * SECOND)
    expect(first.caller.only.key).toBe(`a-task@${MINUTE + 70 * 60}`)
    await first.crash()

    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    second.caller.script = answer
    await second.start()
    await second.clock.advance(109 * MINUTES)
    expect(await minutesOf(second)).toEqual(tens(19))
    expect(await minutesOf(second, 'successful')).toEqual(tens(18))
    expect(startsOf(second).slice(1)).toEqual(tens(18).slice(8))
    expect(second.caller.calls[0]).toMatchObject({ key: first.caller.only.key })
    expect(await second.task('a-task', MINUTE + 70 * 60)).toMatchObject({ attempts: 2, lost: 1 })
  })

  it('does not have the next task stored again when the lost call is made again', async () => {
    const first = await series({ max_delay: 60 })
    await first.clock.advance(10 * SECOND)
    await first.crash()
    first.clock.block(25 * MINUTES)
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    second.caller.script = answer
    await second.start()
    await second.clock.advance(SECOND)
    expect(second.caller.calls.map(({ key }) => key).toSorted()).toEqual([`a-task@${MINUTE}`, `a-task@${MINUTE + 600}`])
    expect(await minutesOf(second)).toEqual([0, 10, 30])
  })
})

describe('a series after a day during which nobody looked', () => {
  it('has one late run where that is still in its window, and then the first time to come', async () => {
    const harness = await series({ repeat: '0 * * * *', max_delay: 1440 })
    harness.caller.script = answer
    await harness.clock.advance(30 * MINUTES)
    harness.clock.block(DAY)
    const back = harness.clock.now()
    await harness.clock.advance(SECOND)
    expect(startsOf(harness)).toEqual([0, (back - MINUTE_MS) / MINUTES])
    expect(harness.caller.calls[1]?.key).toBe(`a-task@${MINUTE + 3600}`)
    expect(await minutesOf(harness, 'pending')).toEqual([25 * 60])
    await harness.clock.advance(HOUR)
    expect(startsOf(harness).slice(2)).toEqual([25 * 60])
  })

  it('has the time that it missed skipped, with the reason, where that is out of its window', async () => {
    const harness = await series({ repeat: '0 * * * *' })
    harness.caller.script = answer
    await harness.clock.advance(30 * MINUTES)
    harness.clock.block(DAY)
    await harness.clock.advance(SECOND)
    expect(startsOf(harness)).toEqual([0])
    expect(await harness.task('a-task', MINUTE + 3600)).toMatchObject({
      state: 'skipped',
      repeatedTo: MINUTE + 25 * 3600,
      error: expect.stringMatching(/^out of time/) as string,
    })
    await harness.clock.advance(HOUR)
    expect(startsOf(harness)).toEqual([0, 25 * 60])
  })

  it('goes on in the same way in a later process', async () => {
    const first = await series({ repeat: '0 * * * *' })
    first.caller.script = answer
    await first.clock.advance(30 * MINUTES)
    await first.stop()
    first.clock.block(DAY)
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    second.caller.script = answer
    await second.start()
    await second.clock.advance(HOUR)
    expect(startsOf(second)).toEqual([25 * 60])
    expect(await minutesOf(second)).toEqual([0, 60, 25 * 60, 26 * 60])
  })
})

describe('a series with a spread', () => {
  it('has each of its times called at a second of that minute', async () => {
    const harness = await series({ spread: 59 })
    harness.caller.script = answer
    await harness.clock.advance(HOUR)
    const starts = startsOf(harness)
    expect(starts.map(Math.floor)).toEqual(tens(6))
    expect(new Set(starts.map((minutes) => minutes % 1)).size).toBeGreaterThan(1)
  })
})
