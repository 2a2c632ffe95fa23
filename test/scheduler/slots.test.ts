/** Slots are given back, whatever becomes of the calls. */
import fc from '../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import type { CallResult } from '../../src/domain/attempt/verdict.ts'
import { HostLimits } from '../../src/scheduler/host-limits.ts'
import { aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'
import type { HarnessOptions } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000

function tasksOf(host: string, count: number) {
  return Array.from({ length: count }, (_, n) =>
    aTask({ name: `task-${n}-of-${host}`, definition: { callback: `http://${host}/`, retry: 0 } }),
  )
}

function perHost(maxInflightPerHost: number | undefined): HarnessOptions {
  return maxInflightPerHost === undefined ? {} : { maxInflightPerHost }
}

describe('slots', () => {
  const HOSTS = ['a.test', 'b.test', 'c.test']
  const settings = fc.record({
    maxInflight: fc.integer({ min: 1, max: 40 }),
    maxInflightPerHost: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
  })
  const results = ['answered', 'unanswered', 'lost', 'not_called'] as const

  function resultOf(kind: (typeof results)[number]): CallResult {
    const times = { startedAt: 0, endedAt: 1 }
    if (kind === 'answered') return { kind, ...times, status: 200, body: '' }
    return kind === 'not_called' ? { kind, reason: 'stopping' } : { kind, ...times, error: 'gone' }
  }

  it('are always given back, and never more are given out than there are, whatever becomes of the calls', () => {
    const step = fc.record({ host: fc.constantFrom(...HOSTS), kind: fc.constantFrom(...results), isEnter: fc.boolean() })
    fc.assert(
      fc.property(settings, fc.array(step, { maxLength: 300 }), (options, steps) => {
        const hosts = new HostLimits(options)
        const fresh = hosts.limits()
        const held = new Map(HOSTS.map((host) => [host, 0]))
        const end = (host: string, kind: (typeof results)[number]): void => {
          hosts.leave(host, resultOf(kind), 0)
          held.set(host, (held.get(host) ?? 0) - 1)
        }
        for (const { host, kind, isEnter } of steps) {
          const limits = hosts.limits()
          const known = limits.hosts.get(host) ?? { free: limits.capacityOfNewHost, isProven: false }
          const isAllowed = limits.limit > 0 && known.free > 0 && (known.isProven || limits.unprovenLimit > 0)
          if (isEnter && isAllowed) {
            hosts.enter(host)
            held.set(host, (held.get(host) ?? 0) + 1)
          } else if (!isEnter && (held.get(host) ?? 0) > 0) end(host, kind)
          expect(hosts.inflight).toBe([...held.values()].reduce((sum, n) => sum + n))
          expect(hosts.inflight).toBeLessThanOrEqual(options.maxInflight)
          for (const n of held.values()) expect(n).toBeLessThanOrEqual(options.maxInflightPerHost ?? options.maxInflight)
        }
        for (const [host, n] of held) for (let left = n; left > 0; left -= 1) end(host, 'lost')
        expect(hosts.inflight).toBe(0)
        expect(hosts.limits()).toMatchObject({
          limit: fresh.limit,
          unprovenLimit: fresh.unprovenLimit,
          capacityOfNewHost: fresh.capacityOfNewHost,
        })
        for (const host of held.keys()) expect(hosts.limits().hosts.get(host)?.free ?? 1).toBeGreaterThan(0)
        hosts.forgetIdle(24 * 60 * MINUTES)
        expect(hosts.known).toBe(0)
      }),
      { numRuns: 300 },
    )
  })

  it('are all free once every task has ended, whatever became of the calls', async () => {
    const ends = fc.constantFrom('answered', 'refused', 'unanswered', 'lost', 'late')
    await fc.assert(
      fc.asyncProperty(settings, fc.array(ends, { minLength: 1, maxLength: 40 }), async (options, script) => {
        const harness = new SchedulerHarness({
          startAt: MINUTE_MS,
          maxInflight: options.maxInflight,
          ...perHost(options.maxInflightPerHost),
        })
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
        await harness.put(...HOSTS.flatMap((host) => tasksOf(host, 15)))
        await harness.start()
        await harness.clock.advance(2 * SECOND)
        expect(await harness.store.counts()).toMatchObject({ pending: 0, running: 0, retrying: 0 })
        expect(harness.hosts.inflight).toBe(0)
        expect(harness.dispatcher.claims()).toEqual([])
        await harness.stop()
        await harness.store.close()
      }),
      { numRuns: 25 },
    )
  })
})
