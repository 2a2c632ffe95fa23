/** How many calls each host may have under way. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CallResult } from '../../src/domain/verdict.ts'
import { Lanes } from '../../src/scheduler/lanes.ts'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'
import type { HarnessOptions } from '../support/scheduler-harness.ts'
import type { ScriptedCall } from '../support/scripted-caller.ts'

const SECOND = 1000
const MINUTES = 60_000
const A_FEW = 8

/** A node at `MINUTE` with `count` tasks due to each host, none of which is tried again. */
async function due(hosts: readonly string[], count: number, options: HarnessOptions = {}): Promise<SchedulerHarness> {
  const harness = new SchedulerHarness({ startAt: MINUTE_MS, ...options })
  await putDue(harness, hosts, count)
  await harness.start()
  return harness
}

async function putDue(harness: SchedulerHarness, hosts: readonly string[], count: number, prefix = 'task'): Promise<void> {
  const definition = (host: string) => ({ callback: `http://${host}/`, retry: 0, max_delay: 1440 })
  const tasks = hosts.flatMap((host) => Array.from({ length: count }, (_, n) => aTask({ name: `${prefix}-${n}-of-${host}`, definition: definition(host) })))
  await harness.put(...tasks)
}

/** Has the calls under way end as `end` does it, and those that follow them start, `rounds` times. */
async function rounds(harness: SchedulerHarness, n: number, end: (call: ScriptedCall) => void): Promise<void> {
  for (let round = 0; round < n; round += 1) {
    for (const call of harness.caller.open) end(call)
    await harness.clock.advance(0)
  }
}

function answer(call: ScriptedCall): void {
  call.answer()
}

function timeOut(call: ScriptedCall): void {
  call.fail('timed out')
}

describe('a host that is alone', () => {
  it('starts with a few slots and, answering, soon has all of them', async () => {
    const harness = await due(['good.test'], 2000)
    expect(harness.caller.open).toHaveLength(A_FEW)
    await rounds(harness, 5, answer)
    expect(harness.caller.open).toHaveLength(128)
    await rounds(harness, 3, answer)
    expect(harness.caller.open).toHaveLength(128)
  })

  it('has all of them too where it answers with errors: it is there', async () => {
    const harness = await due(['busy.test'], 2000)
    await rounds(harness, 5, (call) => {
      call.answer(503)
    })
    expect(harness.caller.open).toHaveLength(128)
  })

  it('shrinks to a few when it falls silent, and has all of them again when it answers', async () => {
    const harness = await due(['fickle.test'], 5000)
    await rounds(harness, 6, answer)
    expect(harness.caller.open).toHaveLength(128)
    await rounds(harness, 1, timeOut)
    expect(harness.caller.open).toHaveLength(2)
    await rounds(harness, 3, timeOut)
    expect(harness.caller.open).toHaveLength(2)
    await rounds(harness, 8, answer)
    expect(harness.caller.open).toHaveLength(128)
  })

  it('keeps a slot or two at least, so that it can show that it is back', async () => {
    const harness = await due(['silent.test'], 50, { maxInflight: 1 })
    await rounds(harness, 10, timeOut)
    expect(harness.caller.open).toHaveLength(1)
    await rounds(harness, 39, timeOut)
    expect(await harness.store.counts()).toMatchObject({ pending: 0, failed: 49, running: 1 })
  })
})

describe('the cap per host', () => {
  it('holds for a host that answers and for one that does not', async () => {
    const harness = await due(['good.test', 'bad.test'], 300, { maxInflightPerHost: 5 })
    for (let n = 0; n < 40; n += 1) {
      await rounds(harness, 1, (call) => {
        if (call.host === 'good.test' || n % 3 > 0) call.answer()
        else timeOut(call)
      })
      for (const host of ['good.test', 'bad.test']) expect(harness.caller.open.filter((call) => call.host === host).length).toBeLessThanOrEqual(5)
    }
    expect(harness.caller.open.filter(({ host }) => host === 'good.test')).toHaveLength(5)
  })

  it('of one is one', async () => {
    const harness = await due(['good.test'], 10, { maxInflightPerHost: 1 })
    for (let n = 0; n < 10; n += 1) {
      expect(harness.caller.open).toHaveLength(1)
      await rounds(harness, 1, answer)
    }
    expect(await harness.store.counts()).toMatchObject({ successful: 10 })
  })

  it('is per host and port', async () => {
    const harness = await due(['good.test:81', 'good.test:82'], 10, { maxInflightPerHost: 1 })
    expect(harness.caller.open.map(({ host }) => host).toSorted()).toEqual(['good.test:81', 'good.test:82'])
  })
})

describe('all slots together', () => {
  it.each([1, 2, 3, 16, 128])('are never more than %i, and all of them are used while there is work', async (maxInflight) => {
    const harness = await due(Array.from({ length: 30 }, (_, n) => `host-${n}.test`), 60, { maxInflight })
    for (let n = 0; n < 10; n += 1) {
      expect(harness.caller.open.length).toBeLessThanOrEqual(maxInflight)
      await rounds(harness, 1, answer)
    }
    expect(harness.caller.open).toHaveLength(maxInflight)
  })
})

describe('what is known of a host', () => {
  it('is forgotten when it has not been called for ten minutes: one that was fast then may be dead now', async () => {
    const harness = await due(['good.test'], 500)
    harness.caller.script = answer
    await rounds(harness, 1, answer)
    await harness.until(() => harness.caller.calls.length === 500)
    harness.caller.script = undefined
    await harness.clock.advance(12 * MINUTES)
    await putDue(harness, ['good.test'], 500, 'again')
    expect(harness.caller.open).toHaveLength(A_FEW)
  })

  it('does not pile up over hosts that are called once', async () => {
    const harness = await due([], 0)
    harness.caller.script = answer
    for (let n = 0; n < 50; n += 1) {
      await putDue(harness, [`once-${n}.test`], 1)
      await harness.clock.advance(MINUTES)
    }
    expect(harness.caller.calls).toHaveLength(50)
    expect(harness.lanes.limits().lanes.size).toBeLessThanOrEqual(12)
  })

  it('is kept while a call is under way, however long', async () => {
    const harness = await due(['slow.test'], 20)
    await harness.clock.advance(60 * MINUTES)
    expect(harness.caller.open).toHaveLength(A_FEW)
    await rounds(harness, 1, answer)
    expect(harness.caller.open).toHaveLength(12)
  })
})

describe('slots', () => {
  const HOSTS = ['a.test', 'b.test', 'c.test']
  const settings = fc.record({ maxInflight: fc.integer({ min: 1, max: 40 }), maxInflightPerHost: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }) })
  const results: CallResult['kind'][] = ['answered', 'unanswered', 'lost', 'not_called']

  function resultOf(kind: CallResult['kind']): CallResult {
    const times = { startedAt: 0, endedAt: 1 }
    if (kind === 'answered') return { kind, ...times, status: 200, body: '' }
    return kind === 'not_called' ? { kind, reason: 'stopping' } : { kind, ...times, error: 'gone' }
  }

  it('are always given back, and never more are given out than there are, whatever becomes of the calls', () => {
    const step = fc.record({ host: fc.constantFrom(...HOSTS), kind: fc.constantFrom(...results), isEnter: fc.boolean() })
    fc.assert(
      fc.property(settings, fc.array(step, { maxLength: 300 }), (options, steps) => {
        const lanes = new Lanes(options)
        const fresh = lanes.limits()
        const held = new Map(HOSTS.map((host) => [host, 0]))
        const end = (host: string, kind: CallResult['kind']): void => {
          lanes.learn(host, resultOf(kind))
          lanes.leave(host, 0)
          held.set(host, (held.get(host) ?? 0) - 1)
        }
        for (const { host, kind, isEnter } of steps) {
          const limits = lanes.limits()
          const known = limits.lanes.get(host) ?? { room: limits.roomOfNewLane, isProven: false }
          const isAllowed = limits.limit > 0 && known.room > 0 && (known.isProven || limits.unprovenLimit > 0)
          if (isEnter && isAllowed) {
            lanes.enter(host)
            held.set(host, (held.get(host) ?? 0) + 1)
          } else if (!isEnter && (held.get(host) ?? 0) > 0) end(host, kind)
          expect(lanes.inflight).toBe([...held.values()].reduce((sum, n) => sum + n))
          expect(lanes.inflight).toBeLessThanOrEqual(options.maxInflight)
          for (const n of held.values()) expect(n).toBeLessThanOrEqual(options.maxInflightPerHost ?? options.maxInflight)
        }
        for (const [host, n] of held) for (let left = n; left > 0; left -= 1) end(host, 'lost')
        expect(lanes.inflight).toBe(0)
        expect(lanes.limits()).toMatchObject({ limit: fresh.limit, unprovenLimit: fresh.unprovenLimit, roomOfNewLane: fresh.roomOfNewLane })
        for (const { room } of lanes.limits().lanes.values()) expect(room).toBeGreaterThan(0)
        lanes.forgetIdle(24 * 60 * MINUTES)
        expect(lanes.limits()).toEqual(fresh)
      }),
      { numRuns: 300 },
    )
  })

  it('are all free once every task has ended, whatever became of the calls', async () => {
    const ends = fc.constantFrom('answered', 'refused', 'unanswered', 'lost', 'late')
    await fc.assert(
      fc.asyncProperty(settings, fc.array(ends, { minLength: 1, maxLength: 40 }), async (options, script) => {
        const harness = new SchedulerHarness({ startAt: MINUTE_MS, maxInflight: options.maxInflight, ...perHost(options.maxInflightPerHost) })
        let n = 0
        harness.caller.script = (call) => {
          expect(harness.caller.open.length).toBeLessThanOrEqual(options.maxInflight)
          const kind = script[n++ % script.length]
          harness.clock.setTimer(n % 7, () => {
            if (kind === 'answered') call.answer(n % 5 === 0 ? 500 : 200)
            else if (kind === 'refused') call.answer(404)
            else if (kind === 'unanswered') call.fail()
            else if (kind === 'lost') call.lose()
            else call.end({ kind: 'not_called', reason: 'late' })
          })
        }
        await putDue(harness, HOSTS, 15)
        await harness.start()
        await harness.clock.advance(2 * SECOND)
        expect(await harness.store.counts()).toMatchObject({ pending: 0, running: 0, retrying: 0 })
        expect(harness.lanes.inflight).toBe(0)
        expect(harness.dispatcher.claims()).toEqual([])
        await harness.stop()
        await harness.store.close()
      }),
      { numRuns: 25 },
    )
  })
})

function perHost(maxInflightPerHost: number | undefined): HarnessOptions {
  return maxInflightPerHost === undefined ? {} : { maxInflightPerHost }
}

describe('a name of a host in capital letters, or with the port that goes without saying', () => {
  it('is the same host', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, maxInflightPerHost: 1 })
    await harness.put(...['http://a.test/', 'http://A.TEST/', 'http://a.test:80/'].map((callback, n) => aTask({ name: `task-${n}`, triggerAt: MINUTE, definition: { callback } })))
    await harness.start()
    expect(harness.caller.open).toHaveLength(1)
  })
})
