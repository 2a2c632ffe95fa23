/** Slots are given back, whatever becomes of the calls. */
import fc from '../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import type { CallResult } from '../../src/domain/attempt/verdict.ts'
import { HostLimits } from '../../src/scheduler/host-limits.ts'
import type { OpenCall } from '../../src/scheduler/host-limits.ts'
import { aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'
import type { HarnessOptions } from '../support/scheduler-harness.ts'

const HUNG_MS = 200
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
  const settings = fc
    .record({
      maxInflight: fc.integer({ min: 1, max: 40 }),
      more: fc.constantFrom(0, 0, 1, 20, 200),
      maxInflightPerHost: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
    })
    .map(({ more, ...rest }) => ({ ...rest, maxOpenCalls: rest.maxInflight + more }))
  const results = ['answered', 'unanswered', 'lost', 'not_called'] as const

  function resultOf(kind: (typeof results)[number]): CallResult {
    const times = { startedAt: 0, endedAt: 1 }
    if (kind === 'answered') return { kind, ...times, status: 200, body: '' }
    return kind === 'not_called' ? { kind, reason: 'stopping' } : { kind, ...times, error: 'gone' }
  }

  it('are always given back, and never more are given out than there are, whatever becomes of the calls', () => {
    const step = fc.record({ host: fc.constantFrom(...HOSTS), kind: fc.constantFrom(...results), isEnter: fc.boolean(), ms: fc.nat(150) })
    fc.assert(
      fc.property(settings, fc.array(step, { maxLength: 300 }), (options, steps) => {
        const hosts = new HostLimits(options)
        const fresh = hosts.limits(0)
        const held = new Map(HOSTS.map((host): [string, OpenCall[]] => [host, []]))
        let now = 0
        const end = (host: string, kind: (typeof results)[number]): void => {
          const call = held.get(host)?.pop()
          if (call) hosts.leave(call, resultOf(kind), now)
        }
        for (const { host, kind, isEnter, ms } of steps) {
          now += ms
          const limits = hosts.limits(now)
          const known = limits.hosts.get(host) ?? { free: limits.capacityOfNewHost, state: 'new' }
          const ofState = { answers: Infinity, new: limits.unprovenLimit, silent: Math.min(limits.unprovenLimit, limits.silentLimit) }
          if (!isEnter) end(host, kind)
          else if (Math.min(limits.limit, known.free, ofState[known.state]) > 0) held.get(host)?.push(hosts.enter(host, now))
          const open = [...held.values()].flat()
          expect(hosts.open).toBe(open.length)
          expect(hosts.open).toBeLessThanOrEqual(options.maxOpenCalls)
          expect(hosts.inflight).toBeLessThanOrEqual(options.maxInflight)
          expect(hosts.inflight).toBeGreaterThanOrEqual(open.filter(({ startedAt }) => startedAt > now - HUNG_MS).length)
          for (const { length } of held.values()) expect(length).toBeLessThanOrEqual(options.maxInflightPerHost ?? options.maxOpenCalls)
        }
        for (const [host, { length }] of held) for (let left = length; left > 0; left -= 1) end(host, 'lost')
        expect([hosts.open, hosts.inflight]).toEqual([0, 0])
        const { limit, unprovenLimit, silentLimit, capacityOfNewHost } = hosts.limits(now)
        expect({ limit, unprovenLimit, silentLimit, capacityOfNewHost }).toEqual({
          ...{ limit: fresh.limit, unprovenLimit: fresh.unprovenLimit },
          ...{ silentLimit: fresh.silentLimit, capacityOfNewHost: fresh.capacityOfNewHost },
        })
        for (const host of HOSTS) expect(hosts.limits(now).hosts.get(host)?.free ?? 1).toBeGreaterThan(0)
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
          ...{ maxInflight: options.maxInflight, maxOpenCalls: options.maxOpenCalls },
          ...perHost(options.maxInflightPerHost),
        })
        let n = 0
        harness.caller.script = (call) => {
          expect(harness.caller.open.length).toBeLessThanOrEqual(options.maxOpenCalls)
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
        expect([harness.hosts.open, harness.hosts.inflight]).toEqual([0, 0])
        expect(harness.dispatcher.claims()).toEqual([])
        await harness.stop()
        await harness.store.close()
      }),
      { numRuns: 25 },
    )
  })
})
