/** Hosts that do not answer must not keep the others waiting. Counted in passes and simulated time, never in real time. */
import { describe, expect, it } from 'vitest'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'
import type { HarnessOptions } from '../support/scheduler-harness.ts'

const SECOND = 1000
const MINUTES = 60_000
const TIMEOUT = 15 * SECOND
const MAX_INFLIGHT = 128
const UNPROVEN_SHARE = 112
const SILENT_SHARE = 96
/** Where calls never leave their slots. */
const STRICT = { maxOpenCalls: MAX_INFLIGHT }

function hosts(kind: string, count: number): string[] {
  return Array.from({ length: count }, (_, n) => `${kind}-${n}.test`)
}

function tasksOf(host: string, count: number, prefix = 'task', triggerAt = MINUTE) {
  return Array.from({ length: count }, (_, n) =>
    aTask({ name: `${prefix}-${n}-of-${host}`, triggerAt, definition: { callback: `http://${host}/`, retry: 0, max_delay: 1440 } }),
  )
}

function taskDueNow(harness: SchedulerHarness, host: string, prefix = 'task') {
  const dueAt = harness.clock.now()
  return { ...aTask({ name: `${prefix}-0-of-${host}`, definition: { callback: `http://${host}/` } }), dueAt }
}

/** A node at `MINUTE`, with hosts that answer at once (`good…`) and hosts that never do: their calls time out. */
function node(options: HarnessOptions = {}): SchedulerHarness {
  const harness = new SchedulerHarness({ startAt: MINUTE_MS, ...options })
  harness.caller.script = (call) => {
    if (call.host.startsWith('good')) call.answer()
    else {
      harness.clock.setTimer(TIMEOUT, () => {
        call.fail('timed out')
      })
    }
  }
  return harness
}

async function store(harness: SchedulerHarness, silent: readonly string[], count: number): Promise<void> {
  for (const host of silent) await harness.store.put(tasksOf(host, count), { now: harness.clock.now() })
}

function openTo(harness: SchedulerHarness, kind: string): number {
  return harness.caller.open.filter(({ host }) => host.startsWith(kind)).length
}

describe('ten hosts that never answer, with 500 due tasks each', () => {
  it('do not keep a task of another host, due at the same time, out of the first pass', async () => {
    const harness = node()
    await store(harness, hosts('silent', 10), 500)
    await harness.store.put(tasksOf('good.test', 1), { now: harness.clock.now() })
    let passesBefore: number | undefined
    const script = harness.caller.script
    harness.caller.script = (call) => {
      if (call.host === 'good.test') passesBefore = harness.passes.length
      script?.(call)
    }
    await harness.start()
    expect(passesBefore).toBe(1)
  })

  it.each([128, 64, 32, 16])(
    'never keep one out of the pass that it wakes, be its host known or new, where there are %i slots',
    async (maxInflight) => {
      const harness = node({ maxInflight, maxOpenCalls: 4 * maxInflight })
      await store(harness, hosts('silent', 10), 500)
      await harness.start()
      const waits: number[] = []
      for (let n = 0; n < 15; n += 1) {
        await harness.clock.advance(2 * SECOND + 137)
        const host = n % 2 === 0 ? 'good.test' : `good-${n}.test`
        const [task] = tasksOf(host, 1, `late-${n}`)
        if (task === undefined) throw new Error('no task')
        const putAt = harness.clock.now()
        await harness.put({ ...task, dueAt: putAt })
        const call = harness.caller.calls.find(({ key }) => key.startsWith(`late-${n}-`))
        waits.push((call?.startedAt ?? Infinity) - putAt)
      }
      expect(waits).toEqual(waits.map(() => 0))
      expect(openTo(harness, 'silent')).toBeGreaterThanOrEqual(10)
    },
  )

  it('do not hold up a minute of many tasks of a host that answers', async () => {
    const harness = node({ maxOpenCalls: 4 * MAX_INFLIGHT })
    await store(harness, hosts('silent', 10), 500)
    await harness.store.put(tasksOf('good.test', 1000, 'minute', MINUTE + 60), { now: harness.clock.now() })
    await harness.start()
    await harness.clock.advance(MINUTES)
    await harness.until(() => harness.caller.calls.filter(({ host }) => host === 'good.test').length === 1000)
    expect(harness.clock.now()).toBe(MINUTE_MS + MINUTES)
  })

  it('leave a quarter of the slots, and each its even share, to a host that answers slowly', async () => {
    const harness = node(STRICT)
    await store(harness, hosts('silent', 10), 500)
    await harness.start()
    await harness.clock.advance(2 * TIMEOUT)
    expect(openTo(harness, 'silent')).toBe(SILENT_SHARE)
    const script = harness.caller.script
    harness.caller.script = (call) => {
      if (call.host !== 'good-but-slow.test') script?.(call)
      else
        harness.clock.setTimer(50, () => {
          call.answer()
        })
    }
    await harness.put(...tasksOf('good-but-slow.test', 3000))
    await harness.clock.advance(500)
    expect(openTo(harness, 'good-but-slow')).toBe(MAX_INFLIGHT - SILENT_SHARE)
  })
})

describe('a host that never answers, with ten times as many due tasks as a hundred others together', () => {
  /** How many times all calls of the good hosts under way have to be answered until none is left. */
  async function roundsOfOthers(silent: readonly string[]): Promise<number> {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS })
    await store(harness, silent, 10_000)
    for (const host of hosts('good', 100)) await harness.store.put(tasksOf(host, 10), { now: harness.clock.now() })
    await harness.start()
    let rounds = 0
    for (; openTo(harness, 'good') > 0; rounds += 1) {
      for (const call of harness.caller.open) if (call.host.startsWith('good')) call.answer()
      await harness.clock.advance(0)
    }
    expect(harness.caller.calls.filter(({ host }) => host.startsWith('good'))).toHaveLength(1000)
    return rounds
  }

  it('costs these a slot here and there', async () => {
    const alone = await roundsOfOthers([])
    expect(await roundsOfOthers(['silent.test'])).toBeLessThanOrEqual(alone + 2)
  })
})

describe('hosts that never answer', () => {
  it.each([10, 12, 50, 200])('%i of them together never have more calls than the share of those not proven', async (count) => {
    const harness = node(STRICT)
    await store(harness, hosts('silent', count), 20)
    await harness.start()
    expect(openTo(harness, 'silent')).toBe(UNPROVEN_SHARE)
    for (let n = 0; n < 3; n += 1) {
      await harness.clock.advance(TIMEOUT)
      expect(openTo(harness, 'silent')).toBeLessThanOrEqual(UNPROVEN_SHARE)
    }
  })

  it.each([10, 40, 200])('%i of them do not keep a host that has proven to answer out of the pass that its task wakes', async (count) => {
    const harness = node()
    await harness.start()
    await harness.put(...tasksOf('good.test', 20, 'before'))
    await store(harness, hosts('silent', count), 20)
    harness.ticker.wake(harness.clock.now())
    await harness.clock.advance(0)
    expect(openTo(harness, 'silent')).toBe(UNPROVEN_SHARE)
    for (let n = 0; n < 40; n += 1) {
      await harness.clock.advance(2 * SECOND + 137)
      const putAt = harness.clock.now()
      await harness.put(...tasksOf('good.test', 1, `late-${n}`))
      expect(harness.caller.calls.find(({ key }) => key.startsWith(`late-${n}-`))?.startedAt).toBe(putAt)
    }
  })

  it('and are hundreds, all due before it, do not keep a host that has proven to answer out of a pass that has slots left', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, ...STRICT })
    await harness.start()
    await harness.put(...tasksOf('good.test', 1, 'before'))
    harness.caller.only.answer()
    await store(harness, hosts('silent', 300), 2)
    harness.ticker.wake(harness.clock.now())
    await harness.clock.advance(SECOND)
    expect(harness.caller.open).toHaveLength(UNPROVEN_SHARE)

    await harness.store.put([taskDueNow(harness, 'good.test')], { now: harness.clock.now() })
    for (const call of harness.caller.open) call.fail('timed out')
    await harness.clock.advance(0)
    expect(openTo(harness, 'silent')).toBe(UNPROVEN_SHARE)
    expect(openTo(harness, 'good')).toBe(1)
  })

  it('count as not proven again once they have fallen silent, and leave the rest of the slots to others', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, ...STRICT })
    await store(harness, hosts('fickle', 100), 6)
    await harness.start()
    const answered = new Set<string>()
    while (answered.size < 100) {
      for (const call of harness.caller.open) call.answer()
      await harness.clock.advance(0)
      for (const { host } of harness.caller.calls) answered.add(host)
    }
    expect(openTo(harness, 'fickle')).toBeGreaterThan(UNPROVEN_SHARE)
    for (let n = 0; n < 3; n += 1) {
      for (const call of harness.caller.open) call.fail('timed out')
      await harness.clock.advance(0)
      expect(openTo(harness, 'fickle')).toBeLessThanOrEqual(MAX_INFLIGHT)
    }
    expect(openTo(harness, 'fickle')).toBe(SILENT_SHARE)
  })

  it.each([300, 1000])('%i of them with 3 tasks each keep no host waiting for 2 s that answers, be it new or known', async (count) => {
    const harness = node({ maxInflight: 256 })
    const expectCalled = async (node: SchedulerHarness, prefix: string): Promise<void> => {
      await node.clock.advance(2 * SECOND)
      expect(node.caller.calls.filter(({ key }) => key.startsWith(`${prefix}-`)).map(({ host }) => host)).toContain(`good-${prefix}.test`)
      expect(node.caller.calls.filter(({ key }) => key.startsWith(`${prefix}-`))).toHaveLength(2)
    }
    const put = (node: SchedulerHarness, prefix: string) =>
      node.put(...['good.test', `good-${prefix}.test`].map((host) => taskDueNow(node, host, prefix)))
    await harness.start()
    await harness.put(taskDueNow(harness, 'good.test', 'before'))
    await store(harness, hosts('silent', count), 3)
    await put(harness, 'together')
    await expectCalled(harness, 'together')
    for (let n = 0; n < 6; n += 1) {
      await put(harness, `later-${n}`)
      await expectCalled(harness, `later-${n}`)
    }
    await harness.crash()
    const later = node({ successorOf: harness, node: 'node-2', maxInflight: 256 })
    await later.store.put(
      ['good.test', 'good-restart.test'].map((host) => taskDueNow(later, host, 'restart')),
      { now: later.clock.now() },
    )
    await later.start()
    await expectCalled(later, 'restart')
    expect(openTo(later, 'silent')).toBeGreaterThan(count)
  })

  it('have every one of their tasks tried all the same', async () => {
    const harness = node()
    await store(harness, hosts('silent', 10), 20)
    await harness.start()
    await harness.clock.advance(10 * MINUTES)
    expect(harness.caller.calls).toHaveLength(200)
    expect(await harness.store.counts()).toMatchObject({ failed: 200, pending: 0, running: 0 })
  })
})

describe('a host that never answers, when all that still waits for it runs out of time', () => {
  const BACKLOG = 5000

  /** At `MINUTE`, with its backlog out of time a minute later, when tasks of others are due. */
  async function overAMinuteLater(): Promise<SchedulerHarness> {
    const harness = node({ maxInflightPerHost: 8 })
    const backlog = Array.from({ length: BACKLOG }, (_, n) => {
      return aTask({ name: `over-${n}`, definition: { callback: 'http://silent.test/', max_delay: 1 } })
    })
    await harness.store.put(backlog, { now: harness.clock.now() })
    for (const host of hosts('good', 10)) await harness.store.put(tasksOf(host, 20, 'minute', MINUTE + 60), { now: harness.clock.now() })
    await harness.start()
    await harness.clock.advance(MINUTES - 1)
    return harness
  }

  it('does not hold up the others that are due then', async () => {
    const harness = await overAMinuteLater()
    let batches = 0
    const batchesBefore: number[] = []
    harness.before.expire = () => (batches += 1)
    const script = harness.caller.script
    harness.caller.script = (call) => {
      if (call.host.startsWith('good')) batchesBefore.push(batches)
      script?.(call)
    }
    await harness.clock.advance(1)
    await harness.until(() => batchesBefore.length === 200)
    expect(batchesBefore[0]).toBe(1)
    expect(batchesBefore.at(-1)).toBeLessThan(10)
    await harness.clock.advance(MINUTES)
    expect(await harness.store.counts()).toMatchObject({ pending: 0, running: 0, retrying: 0, successful: 200 })
  })

  it('is not looked at by the claims in between, which would have to go past all of it', async () => {
    const harness = await overAMinuteLater()
    const free: (number | undefined)[] = []
    harness.before.claimDue = ({ hosts }) => {
      if (!isEnded(harness)) free.push(hosts.get('silent.test')?.free)
    }
    await harness.clock.advance(1)
    await harness.until(() => isEnded(harness))
    expect(free.length).toBeGreaterThan(10)
    expect(new Set(free)).toEqual(new Set([0]))
  })

  it('is ended in at most twice the time, however long the claims in between take', async () => {
    const harness = await overAMinuteLater()
    const spent = { expire: 0, claimDue: 0 }
    const take = (verb: keyof typeof spent, ms: number): void => {
      if (isEnded(harness)) return
      harness.clock.block(ms)
      spent[verb] += ms
    }
    harness.before.expire = () => {
      take('expire', 10)
    }
    harness.before.claimDue = () => {
      take('claimDue', 35)
    }
    await harness.clock.advance(1)
    await harness.until(() => isEnded(harness))
    expect(spent.claimDue).toBeGreaterThan(0)
    expect(spent.claimDue).toBeLessThanOrEqual(spent.expire + 35)
  })

  function isEnded(harness: SchedulerHarness): boolean {
    return harness.events('task.skipped', 'task.failed').length >= BACKLOG - 10
  }
})

describe('a busy host that answers', () => {
  /** With as many of its calls under way as it may have. */
  async function busy(slots: number, options: HarnessOptions = {}): Promise<SchedulerHarness> {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, ...options })
    await harness.store.put(tasksOf('busy.test', 3000), { now: harness.clock.now() })
    await harness.start()
    while (harness.caller.open.length < slots) {
      for (const call of harness.caller.open) call.answer()
      await harness.clock.advance(0)
    }
    return harness
  }

  it('leaves a few slots to others, which are called at once when it falls silent', async () => {
    const harness = await busy(MAX_INFLIGHT - 8, STRICT)
    const silent = new Set(harness.caller.open)
    harness.caller.script = (call) => {
      if (call.host !== 'busy.test') call.answer()
    }
    await harness.clock.advance(SECOND)
    for (let n = 0; n < 40; n += 1) {
      await harness.put(taskDueNow(harness, `other-${n % 10}.test`, `late-${n}`))
      expect(harness.caller.calls.at(-1)).toMatchObject({ host: `other-${n % 10}.test`, startedAt: harness.clock.now() })
    }
    expect(harness.caller.open.every((call) => silent.has(call))).toBe(true)
  })

  it('and has all slots leaves another host the next one that becomes free, though its own tasks were due earlier', async () => {
    const harness = await busy(MAX_INFLIGHT, { maxInflightPerHost: MAX_INFLIGHT })
    await harness.clock.advance(SECOND)
    await harness.put(taskDueNow(harness, 'other.test'))
    harness.caller.open[0]?.answer()
    await harness.clock.advance(0)
    expect(openTo(harness, 'other')).toBe(1)
  })

  it('comes to share its slots evenly with another one that has as much to do, though calls end one by one', async () => {
    const harness = await busy(MAX_INFLIGHT, { maxInflightPerHost: MAX_INFLIGHT })
    await harness.clock.advance(SECOND)
    await harness.put(...tasksOf('other.test', 1000).map((task) => ({ ...task, dueAt: harness.clock.now() })))
    for (let n = 0; n < 700; n += 1) {
      harness.caller.open[(n * 37) % MAX_INFLIGHT]?.answer()
      await harness.clock.advance(0)
    }
    expect(harness.caller.open).toHaveLength(MAX_INFLIGHT)
    expect(openTo(harness, 'other')).toBeGreaterThan(MAX_INFLIGHT / 3)
  })
})

describe('hosts whose tasks were deleted', () => {
  it.each([1, 2, 128])('do not keep another host out of its minute where there are %i slots', async (maxInflight) => {
    const harness = node({ maxInflight })
    for (const host of hosts('gone', maxInflight)) await harness.store.put(tasksOf(host, 1), { now: MINUTE_MS - MINUTES })
    await harness.store.remove({}, { now: MINUTE_MS - MINUTES, limit: 1000 })
    await harness.store.put(tasksOf('good.test', 1), { now: MINUTE_MS - MINUTES })
    await harness.start()
    expect(harness.caller.calls.map(({ host }) => host)).toEqual(['good.test'])
  })

  it('do not keep another host waiting where their tasks were out of time', async () => {
    const harness = node({ maxInflight: 4, startAt: MINUTE_MS + 3 * 86_400_000 })
    for (const host of hosts('over', 10)) await harness.store.put(tasksOf(host, 1), { now: MINUTE_MS - MINUTES })
    await harness.store.put(tasksOf('good.test', 1, 'task', MINUTE + 3 * 86_400), { now: MINUTE_MS - MINUTES })
    await harness.start()
    expect(harness.caller.calls.map(({ host }) => host)).toEqual(['good.test'])
  })
})
