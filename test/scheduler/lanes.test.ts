/** How many calls each host may have under way. */
import { describe, expect, it } from 'vitest'
import { MINUTE, aTask } from '../support/a-task.ts'
import { MINUTE_MS, SchedulerHarness } from '../support/scheduler-harness.ts'
import type { HarnessOptions } from '../support/scheduler-harness.ts'
import type { ScriptedCall } from '../support/scripted-caller.ts'

const MINUTES = 60_000
/** Of 128 slots: some are left to others. */
const NEARLY_ALL = 120
const OF_NEW_HOSTS = 112
const OF_SILENT_HOSTS = 96

/** A node at `MINUTE` with `count` tasks due to each host, none of which is tried again. */
async function due(hosts: readonly string[], count: number, options: HarnessOptions = {}): Promise<SchedulerHarness> {
  const harness = new SchedulerHarness({ startAt: MINUTE_MS, ...options })
  await putDue(harness, hosts, count)
  await harness.start()
  return harness
}

async function putDue(harness: SchedulerHarness, hosts: readonly string[], count: number, prefix = 'task'): Promise<void> {
  const definition = (host: string) => ({ callback: `http://${host}/`, retry: 0, max_delay: 1440 })
  const tasks = hosts.flatMap((host) =>
    Array.from({ length: count }, (_, n) => aTask({ name: `${prefix}-${n}-of-${host}`, definition: definition(host) })),
  )
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
  it('starts with most slots and, answering, has nearly all of them', async () => {
    const harness = await due(['good.test'], 2000)
    expect(harness.caller.open).toHaveLength(OF_NEW_HOSTS)
    await rounds(harness, 1, answer)
    expect(harness.caller.open).toHaveLength(NEARLY_ALL)
  })

  it('has 60 calls of 20 seconds start at once, after a restart too', async () => {
    const harness = await due(['slow.test'], 60)
    expect(harness.caller.open).toHaveLength(60)
    await harness.crash()
    const later = new SchedulerHarness({ successorOf: harness, node: 'node-2' })
    await later.start()
    expect(later.caller.open).toHaveLength(60)
  })

  it('has as many calls open as there are slots within a second, and all 500 in their window, where each takes two minutes', async () => {
    const harness = await due(['slow.test'], 500)
    await harness.clock.advance(300)
    expect(harness.caller.open).toHaveLength(128)
    for (let round = 0; round < 4; round += 1) {
      await harness.clock.advance(2 * MINUTES)
      for (const call of [...harness.caller.open]) call.answer(200)
      await harness.clock.advance(1000)
    }
    expect(harness.caller.calls).toHaveLength(500)
  })

  it('leaves a part of the open calls to others', async () => {
    const harness = await due(['a.test', 'b.test', 'c.test', 'd.test'], 500, { maxOpenCalls: 256 })
    await harness.clock.advance(2 * MINUTES)
    expect(harness.caller.open).toHaveLength(192)
  })

  it('has as many where it answers with errors: it is there', async () => {
    const harness = await due(['busy.test'], 2000)
    await rounds(harness, 5, (call) => {
      call.answer(503)
    })
    expect(harness.caller.open).toHaveLength(NEARLY_ALL)
  })

  it('leaves a quarter when it falls silent, and has nearly all of them again when it answers', async () => {
    const harness = await due(['fickle.test'], 5000)
    await rounds(harness, 2, answer)
    expect(harness.caller.open).toHaveLength(NEARLY_ALL)
    await rounds(harness, 2, timeOut)
    expect(harness.caller.open).toHaveLength(OF_SILENT_HOSTS)
    await rounds(harness, 2, answer)
    expect(harness.caller.open).toHaveLength(NEARLY_ALL)
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
      for (const host of ['good.test', 'bad.test'])
        expect(harness.caller.open.filter((call) => call.host === host).length).toBeLessThanOrEqual(5)
      await harness.clock.advance(n % 2 === 0 ? 0 : 1000)
    }
    expect(harness.caller.open.filter(({ host }) => host === 'good.test')).toHaveLength(5)
  })

  it('may be as many as there are slots', async () => {
    const harness = await due(['good.test'], 2000, { maxInflightPerHost: 128 })
    await rounds(harness, 5, answer)
    expect(harness.caller.open).toHaveLength(128)
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
  it.each([1, 2, 3, 16, 128])(
    'are never more than %i where no more calls may be open, and all of them are used while there is work',
    async (maxInflight) => {
      const harness = await due(
        Array.from({ length: 30 }, (_, n) => `host-${n}.test`),
        60,
        { maxInflight, maxOpenCalls: maxInflight },
      )
      for (let n = 0; n < 10; n += 1) {
        await harness.clock.advance(n === 5 ? 1000 : 0)
        expect(harness.caller.open.length).toBeLessThanOrEqual(maxInflight)
        await rounds(harness, 1, answer)
      }
      expect(harness.caller.open).toHaveLength(maxInflight)
    },
  )

  it('being one, serve two hosts to the end without waiting for another minute', async () => {
    const harness = await due(['one.test', 'two.test'], 5, { maxInflight: 1 })
    await rounds(harness, 10, answer)
    expect(await harness.store.counts()).toMatchObject({ successful: 10 })
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
    expect(harness.caller.open).toHaveLength(OF_NEW_HOSTS)
  })

  it('does not pile up over hosts that are called once', async () => {
    const harness = await due([], 0)
    harness.caller.script = answer
    for (let n = 0; n < 50; n += 1) {
      await putDue(harness, [`once-${n}.test`], 1)
      await harness.clock.advance(MINUTES)
    }
    expect(harness.caller.calls).toHaveLength(50)
    expect(harness.hosts.known).toBeLessThanOrEqual(12)
  })

  it('is kept while a call is under way, however long', async () => {
    const harness = await due(['slow.test'], 1)
    await harness.clock.advance(60 * MINUTES)
    expect(harness.hosts.known).toBe(1)
    await rounds(harness, 1, answer)
    await harness.clock.advance(11 * MINUTES)
    expect(harness.hosts.known).toBe(0)
  })
})

describe('a name of a host in capital letters, or with the port that goes without saying', () => {
  it('is the same host', async () => {
    const harness = new SchedulerHarness({ startAt: MINUTE_MS, maxInflightPerHost: 1 })
    await harness.put(
      ...['http://a.test/', 'http://A.TEST/', 'http://a.test:80/'].map((callback, n) =>
        aTask({ name: `task-${n}`, triggerAt: MINUTE, definition: { callback } }),
      ),
    )
    await harness.start()
    expect(harness.caller.open).toHaveLength(1)
  })
})
