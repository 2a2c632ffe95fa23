/** The limits of a name: paused, so many at a time, so many in a minute; over all nodes and restarts, and to no other name's cost. */
import fc from '../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import type { HandlerDefinition } from '../../src/domain/task/handler.ts'
import type { NewTask } from '../../src/domain/task/task.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000

/** Due at `MINUTE` or before, with an hour left at least. */
function many(count: number, name = 'a-task'): NewTask[] {
  return Array.from({ length: count }, (_, n) => aTask({ name, triggerAt: MINUTE - n * 60, definition: { max_delay: 1440 } }))
}

/** A node at `MINUTE` at which `count` tasks of the name `a-task` are due. */
async function limited(handler: HandlerDefinition, count: number): Promise<SchedulerHarness> {
  const harness = new SchedulerHarness({ startAt: MINUTE_MS })
  await harness.putHandler('a-task', handler)
  await harness.put(...many(count))
  return harness
}

/** The most calls that began within 60 seconds. */
function mostInAMinute(starts: readonly number[]): number {
  return Math.max(...starts.map((from) => starts.filter((at) => at >= from && at < from + MINUTES).length))
}

const startsOf = (...nodes: SchedulerHarness[]): number[] =>
  nodes.flatMap(({ caller }) => caller.calls.map(({ startedAt }) => startedAt ?? 0)).toSorted((a, b) => a - b)

describe('a paused name', () => {
  it('has nothing called, while other names are', async () => {
    const harness = await limited({ paused: true }, 5)
    await harness.put(aTask({ name: 'other' }))
    await harness.start()
    await harness.clock.advance(5 * MINUTES)
    expect(harness.caller.calls.map(({ key }) => key)).toEqual([`other@${MINUTE}`])
    expect(await harness.store.counts()).toMatchObject({ pending: 5 })
  })

  it('has called at once, when it goes on, what is still in its window', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.putHandler('a-task', { paused: true })
    await harness.put(aTask(), aTask({ triggerAt: MINUTE + 60 }), aTask({ triggerAt: MINUTE + 3600 }))
    await harness.start()
    await harness.clock.advance(10 * MINUTES + 5 * SECOND)
    await harness.putHandler('a-task', { paused: false })
    expect(harness.caller.only).toMatchObject({ key: `a-task@${MINUTE + 60}`, startedAt: MINUTE_MS + 10 * MINUTES + 5 * SECOND })
    expect(await harness.task('a-task', MINUTE + 3600)).toMatchObject({ state: 'pending' })
  })

  it('has skipped what runs out of time meanwhile, as soon as it does', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.putHandler('a-task', { paused: true })
    await harness.put(aTask())
    await harness.start()
    await harness.clock.advance(10 * MINUTES - 1)
    expect(await harness.task()).toMatchObject({ state: 'pending' })
    await harness.clock.advance(1)
    expect(await harness.task()).toMatchObject({ state: 'skipped', error: expect.stringMatching(/^out of time/) as string })
    expect(harness.caller.calls).toEqual([])
  })

  it('lets a call under way end, and holds back its retry', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.put(aTask())
    await harness.start()
    await harness.putHandler('a-task', { paused: true })
    harness.caller.only.answer(503)
    await harness.clock.advance(5 * MINUTES)
    expect(harness.caller.calls).toHaveLength(1)
    expect(await harness.task()).toMatchObject({ state: 'retrying' })
    await harness.putHandler('a-task', {})
    expect(harness.caller.only.request.headers['callme-attempt']).toBe('2')
  })

  it('stays paused for a later process', async () => {
    const first = await limited({ paused: true }, 3)
    await first.start()
    await first.crash()
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    await second.clock.advance(2 * MINUTES)
    expect([first.caller.calls, second.caller.calls]).toEqual([[], []])
    await second.putHandler('a-task', {})
    expect(second.caller.open).toHaveLength(3)
  })
})

describe('concurrency', () => {
  const ends = fc.record({ ms: fc.nat(5000), how: fc.constantFrom('good', 'good', 'busy', 'refused', 'silent', 'lost') })

  it('is never exceeded over twenty tasks, however their calls end, and all of them come to an end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(ends, { minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 6 }), async (script, concurrency) => {
        const harness = await limited({ concurrency, retry: 1 }, 20)
        let [n, most] = [0, 0]
        harness.caller.script = (call) => {
          most = Math.max(most, harness.caller.open.length)
          const { ms, how } = script[n++ % script.length] ?? { ms: 0, how: 'good' }
          harness.clock.setTimer(ms, () => {
            if (how === 'lost') call.lose()
            else if (how === 'silent') call.fail('timed out')
            else call.answer({ good: 200, busy: 503, refused: 404 }[how])
          })
        }
        await harness.start()
        await harness.clock.advance(30 * MINUTES)
        expect(most).toBe(concurrency)
        expect(await harness.store.counts()).toMatchObject({ pending: 0, running: 0, retrying: 0 })
        expect(harness.hosts.open).toBe(0)
        await harness.stop()
        await harness.store.close()
      }),
      { numRuns: 8 },
    )
  })

  it('of one has the tasks called one after the other, each as soon as the one before has ended', async () => {
    const harness = await limited({ concurrency: 1 }, 4)
    await harness.start()
    for (let n = 0; n < 4; n += 1) {
      await harness.clock.advance(7 * SECOND)
      harness.caller.only.answer()
      await harness.clock.advance(0)
    }
    expect(startsOf(harness)).toEqual([0, 7, 14, 21].map((seconds) => MINUTE_MS + seconds * SECOND))
    expect(await harness.store.counts()).toMatchObject({ successful: 4 })
  })

  it('holds over two nodes together', async () => {
    const first = await limited({ concurrency: 3 }, 20)
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    let most = 0
    for (const { caller, clock } of [first, second]) {
      caller.script = (call) => {
        most = Math.max(most, first.caller.open.length + second.caller.open.length)
        clock.setTimer(2 * SECOND, () => {
          call.answer()
        })
      }
    }
    first.ticker.start()
    second.ticker.start()
    // A node learns with its next pass that a call of the other node has ended.
    await first.clock.advance(60 * MINUTES)
    expect(most).toBe(3)
    expect(await first.store.counts()).toMatchObject({ successful: 20 })
  })

  it('holds for a later process too: what the first one had under way is rescued, and nothing more is called', async () => {
    const first = await limited({ concurrency: 2 }, 6)
    await first.start()
    expect(first.caller.open).toHaveLength(2)
    await first.crash()
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    await second.start()
    expect(second.caller.open).toHaveLength(2)
    expect(await second.store.counts()).toMatchObject({ running: 2 })
  })

  it('that is raised lets more begin at once, and lowered lets those under way end', async () => {
    const harness = await limited({ concurrency: 1 }, 10)
    await harness.start()
    await harness.putHandler('a-task', { concurrency: 4 })
    expect(harness.caller.open).toHaveLength(4)
    await harness.putHandler('a-task', { concurrency: 2 })
    expect(harness.caller.open).toHaveLength(4)
    harness.caller.open.slice(0, 2).forEach((call) => {
      call.answer()
    })
    await harness.clock.advance(0)
    expect(harness.caller.open).toHaveLength(2)
  })

  it('that is used up keeps no other name, and no other task of the host, out of the pass', async () => {
    const harness = await limited({ concurrency: 1 }, 800)
    await harness.put(aTask({ name: 'same-host' }), aTask({ name: 'other-host', definition: { callback: 'http://other.test/' } }))
    await harness.start()
    expect(harness.caller.open.map(({ key }) => key.split('@')[0]).toSorted()).toEqual(['a-task', 'other-host', 'same-host'])
    expect(startsOf(harness)).toEqual([MINUTE_MS, MINUTE_MS, MINUTE_MS])
  })
})

describe('rate', () => {
  it('is never exceeded in any minute, and is used up', async () => {
    const harness = await limited({ rate: 5 }, 20)
    harness.caller.script = (call) => {
      call.answer()
    }
    await harness.start()
    await harness.clock.advance(4 * MINUTES)
    const starts = startsOf(harness)
    expect(starts).toHaveLength(20)
    expect(mostInAMinute(starts)).toBe(5)
    for (const [n, at] of starts.slice(5).entries()) expect(at - (starts[n] ?? 0)).toBeLessThanOrEqual(61 * SECOND)
  })

  it('counts attempts: a retry waits as well', async () => {
    const harness = await limited({ rate: 2, retry: 3 }, 1)
    harness.caller.script = (call) => {
      call.answer(503)
    }
    await harness.start()
    await harness.clock.advance(3 * MINUTES)
    const starts = startsOf(harness)
    expect(starts).toHaveLength(4)
    expect(mostInAMinute(starts)).toBe(2)
  })

  it('is not begun anew by a restart', async () => {
    const first = await limited({ rate: 4 }, 12)
    first.caller.script = (call) => {
      call.answer()
    }
    await first.start()
    await first.clock.advance(20 * SECOND)
    await first.stop()
    const second = new SchedulerHarness({ successorOf: first, node: 'node-2' })
    second.caller.script = first.caller.script
    await second.start()
    await second.clock.advance(3 * MINUTES)
    const starts = startsOf(first, second)
    expect(starts).toHaveLength(12)
    expect(mostInAMinute(starts)).toBe(4)
  })

  it('that is used up keeps no other name waiting', async () => {
    const harness = await limited({ rate: 1 }, 800)
    await harness.put(aTask({ name: 'same-host' }))
    await harness.start()
    expect(harness.caller.open).toHaveLength(2)
    await harness.clock.advance(30 * SECOND)
    await harness.put(aTask({ name: 'later' }))
    expect(harness.caller.calls.at(-1)).toMatchObject({ key: `later@${MINUTE}`, startedAt: MINUTE_MS + 30 * SECOND })
  })
})
