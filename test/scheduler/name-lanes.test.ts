/** Names that have a handler wait in lanes of their own: what holds for hosts and for time holds for them as well. */
import { describe, expect, it } from 'vitest'
import type { HandlerDefinition } from '../../src/domain/task/handler.ts'
import type { NewTask, TaskDefinition } from '../../src/domain/task/task.ts'
import { MINUTE, aTask, aTaskWithoutCallback } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'
import type { HarnessOptions } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000

/** Due at `MINUTE` or before, with a day's window. */
function many(count: number, name: string, definition: TaskDefinition = {}): NewTask[] {
  return Array.from({ length: count }, (_, n) =>
    aTaskWithoutCallback({ name, triggerAt: MINUTE - n * 60, definition: { max_delay: 1440, retry: 0, ...definition } }),
  )
}

/** A node at `MINUTE` with `count` due tasks of each name. */
async function named(
  handlers: Readonly<Record<string, HandlerDefinition>>,
  count: number,
  options: HarnessOptions = {},
): Promise<SchedulerHarness> {
  const harness = new SchedulerHarness({ startAt: MINUTE_MS, ...options })
  for (const [name, handler] of Object.entries(handlers)) {
    await harness.putHandler(name, handler)
    await harness.put(...many(count, name))
  }
  return harness
}

const names = (count: number, handler: HandlerDefinition) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`name-${n}`, handler]))

describe('the cap per host', () => {
  it('holds for all names whose handlers call the same host, and for tasks that name it themselves', async () => {
    const harness = await named(names(5, { callback: 'http://same.test/' }), 10, { maxInflightPerHost: 3 })
    await harness.put(...many(10, 'own', { callback: 'http://same.test/' }))
    let most = 0
    harness.caller.script = (call) => {
      most = Math.max(most, harness.caller.open.length)
      harness.clock.setTimer(100, () => {
        call.answer()
      })
    }
    await harness.start()
    await harness.clock.advance(10 * SECOND)
    expect(most).toBe(3)
    expect(await harness.store.counts()).toMatchObject({ successful: 60 })
  })

  it('follows the handler to another host', async () => {
    const harness = await named({ moved: { callback: 'http://old.test/' } }, 10, { maxInflightPerHost: 2 })
    await harness.start()
    await harness.putHandler('moved', { callback: 'http://new.test/' })
    expect(harness.caller.open.map(({ host }) => host).toSorted()).toEqual(['new.test', 'new.test', 'old.test', 'old.test'])
  })
})

describe('a host that never answers', () => {
  it('has no more calls under twenty names than under one, and keeps no other host waiting', async () => {
    const harness = await named(names(20, { callback: 'http://silent.test/' }), 50, { maxOpenCalls: 128 })
    await harness.put(aTask({ name: 'other', definition: { callback: 'http://good.test/' } }))
    await harness.start()
    const hosts = harness.caller.open.map(({ host }) => host)
    expect(hosts.filter((host) => host === 'good.test')).toHaveLength(1)
    expect(hosts.filter((host) => host === 'silent.test').length).toBeLessThan(112)
    await harness.clock.advance(5 * MINUTES)
    expect(harness.caller.open).toHaveLength(112)
  })
})

describe('the names of one host', () => {
  it('share its slots: none has to wait for another one that has more to do', async () => {
    const harness = await named({ big: { callback: 'http://same.test/' }, small: { callback: 'http://same.test/' } }, 400)
    harness.caller.script = (call) => {
      harness.clock.setTimer(100, () => {
        call.answer()
      })
    }
    await harness.put(...many(3, 'late', { callback: 'http://same.test/' }))
    await harness.start()
    await harness.clock.advance(2 * SECOND)
    const called = (name: string) => harness.caller.calls.filter(({ key }) => key.startsWith(name)).length
    expect(called('late')).toBe(3)
    expect(Math.min(called('big'), called('small'))).toBeGreaterThan(0)
  })
})

describe('what waits behind a limit', () => {
  it.each<[string, HandlerDefinition, number]>([
    ['a pause', { callback: 'http://same.test/', paused: true }, 0],
    ['a concurrency that is used up', { callback: 'http://same.test/', concurrency: 2 }, 2],
  ])('does not have pass after pass made: %s', async (_, handler, calls) => {
    const harness = await named({ held: handler }, 500)
    await harness.start()
    await harness.clock.advance(5 * MINUTES)
    expect(harness.caller.calls).toHaveLength(calls)
    expect(harness.passes.length).toBeLessThan(20)
  })

  it('has two passes made in a minute at the most where it is a rate', async () => {
    const harness = await named({ held: { callback: 'http://same.test/', rate: 1 } }, 500)
    await harness.start()
    await harness.clock.advance(6 * MINUTES)
    expect(harness.caller.calls).toHaveLength(6)
    expect(harness.passes.length).toBeLessThanOrEqual(14)
  })
})

describe('a clock that is set back by an hour', () => {
  it('does not have a name whose rate is used up wait for the old time', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await harness.putHandler('a-task', { callback: 'http://same.test/', rate: 5 })
    const anHourAgo = many(80, 'a-task').slice(60)
    await harness.put(...anHourAgo)
    harness.caller.script = (call) => {
      call.answer()
    }
    await harness.start()
    expect(harness.caller.calls).toHaveLength(5)
    harness.clock.jump(-60 * MINUTES)
    await harness.clock.advance(10 * MINUTES)
    expect(harness.caller.calls).toHaveLength(20)
  })
})

describe('a retry and a spread', () => {
  it('of a name with limits come at their second, not with the next minute', async () => {
    const harness = new SchedulerHarness({ random: () => 0 })
    await harness.putHandler('a-task', { callback: 'http://same.test/', concurrency: 5, rate: 50 })
    await harness.put(aTaskWithoutCallback({ definition: { spread: 59, retry: 2 } }))
    await harness.start()
    const { dueAt } = await harness.task()
    await harness.clock.advance(dueAt - harness.clock.now())
    harness.caller.only.answer(503)
    await harness.clock.advance(500)
    harness.caller.only.answer(503)
    await harness.clock.advance(1000)
    expect(harness.caller.calls.map(({ startedAt }) => startedAt)).toEqual([dueAt, dueAt + 500, dueAt + 1500])
  })
})
