/** How a node comes to know by how much the clock of its store is ahead. */
import { expect, it } from 'vitest'
import { newClockOffset, offsetClock } from '../../src/clock.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { ClockWatch } from '../../src/scheduler/clock-watch.ts'
import { FakeClock } from '../support/fake-clock.ts'

const START = Date.parse('2027-01-15T08:00:00Z')
const MINUTE_MS = 60_000

/** A watch on a store whose clock is ahead by `store.ahead`; what it is asked for takes as long there and back as `store.trips` say. */
function aWatch(ahead = 0) {
  const clock = new FakeClock(START)
  const offset = newClockOffset()
  const logged: Record<string, unknown>[] = []
  const log = createLog('info', { write: (line) => logged.push(JSON.parse(line) as Record<string, unknown>) })
  const store = {
    ahead: ahead as number | undefined,
    asked: 0,
    isAway: false,
    trips: [] as (readonly [there: number, back: number])[],
    // eslint-disable-next-line @typescript-eslint/require-await -- the promise turns a thrown error into a rejection
    async time(): Promise<number | undefined> {
      store.asked += 1
      if (store.isAway) throw new Error('away')
      if (store.ahead === undefined) return undefined
      const [there, back] = store.trips.shift() ?? [0, 0]
      clock.block(there)
      const time = START + clock.monotonic() + store.ahead
      clock.block(back)
      return time
    },
  }
  return { clock, logged, offset, store, watch: new ClockWatch({ store, clock, offset, log }) }
}

it('takes the middle of the round trip as the moment of the answer', async () => {
  const { offset, store, watch, clock } = aWatch(-700)
  store.trips = Array.from({ length: 10 }, () => [40, 40])
  await watch.runOnce()
  expect(watch.offset).toBe(-700)
  expect(offsetClock(clock, offset).now()).toBe(clock.now() - 700)
})

it('believes the sample with the shortest round trip', async () => {
  const { store, watch } = aWatch(300)
  store.trips = [
    [900, 0],
    [0, 500],
    [3, 1],
    [80, 0],
  ]
  store.trips.push(...Array.from({ length: 10 }, () => [0, 7000] as const))
  await watch.runOnce()
  expect(watch.offset).toBe(301)
})

it('measures again every minute, and no more once it is stopped', async () => {
  const { clock, store, watch } = aWatch(10)
  await watch.runOnce()
  watch.start()
  store.ahead = 20
  await clock.advance(MINUTE_MS - 1)
  expect(watch.offset).toBe(10)
  await clock.advance(1)
  expect(watch.offset).toBe(20)
  store.ahead = 30
  await watch.stop()
  await clock.advance(10 * MINUTE_MS)
  expect(watch.offset).toBe(20)
  expect(clock.timers).toBe(0)
})

it('measures nothing where the store has no clock', async () => {
  const { clock, store, watch } = aWatch()
  store.ahead = undefined
  await watch.runOnce()
  watch.start()
  clock.jump(MINUTE_MS)
  await watch.followJump()
  expect({ offset: watch.offset, asked: store.asked, timers: clock.timers }).toEqual({ offset: 0, asked: 1, timers: 0 })
})

it('keeps what it knows when a measurement fails, says so once, and tries again at the next minute', async () => {
  const { clock, logged, store, watch } = aWatch(10)
  await watch.runOnce()
  watch.start()
  for (const ahead of [20, 30]) {
    const known = watch.offset
    Object.assign(store, { ahead, isAway: true })
    await clock.advance(3 * MINUTE_MS)
    expect(watch.offset).toBe(known)
    store.isAway = false
    await clock.advance(MINUTE_MS)
    expect(watch.offset).toBe(ahead)
  }
  expect(logged).toMatchObject([
    { level: 'warn', event: 'clock.unmeasured', err: { message: 'away' } },
    { level: 'warn', event: 'clock.unmeasured' },
  ])
  await watch.stop()
})

it('fails where the first measurement fails', async () => {
  const { clock, store, watch } = aWatch()
  store.isAway = true
  await expect(watch.runOnce()).rejects.toThrow('away')
  expect(clock.timers).toBe(0)
})

it('warns of more than a second, and again only of another second more or less', async () => {
  const { logged, store, watch } = aWatch()
  const warnings: [ahead: number, warned: boolean][] = [
    [1000, false],
    [-1000, false],
    [1001, true],
    [1001, false],
    [2001, false],
    [2002, true],
    [1900, false],
    [0, false],
    [-1001, true],
    [-40_000, true],
  ]
  for (const [ahead, isWarned] of warnings) {
    logged.length = 0
    store.ahead = ahead
    await watch.runOnce()
    expect(logged, String(ahead)).toMatchObject(isWarned ? [{ level: 'warn', event: 'clock.skewed', offset_ms: ahead }] : [])
  }
})

it.each([
  ['forward', 3_600_000],
  ['back', -3_600_000],
  ['by a fifth of a second', 200],
])('measures again when it is asked after the clock of the system was set %s', async (_, by) => {
  const { clock, offset, store, watch } = aWatch()
  await watch.runOnce()
  clock.block(MINUTE_MS)
  await watch.followJump()
  expect(store.asked).toBe(5)
  clock.jump(by)
  await watch.followJump()
  expect(store.asked).toBe(10)
  expect(offsetClock(clock, offset).now()).toBe(START + MINUTE_MS)
  await watch.followJump()
  expect(store.asked).toBe(10)
})

it('is not misled by a machine that was suspended', async () => {
  const { clock, offset, store, watch } = aWatch()
  await watch.runOnce()
  store.ahead = 3_600_000
  clock.jump(3_600_000)
  await watch.followJump()
  expect(offsetClock(clock, offset).now()).toBe(START + 3_600_000)
})

it('measures again after a jump that came in the middle of a measurement', async () => {
  const { clock, store, watch } = aWatch()
  const ask = store.time.bind(store)
  store.time = async () => {
    if (store.asked === 2) clock.jump(5000)
    return ask()
  }
  await watch.runOnce()
  await watch.followJump()
  expect(watch.offset).toBe(-5000)
})

it('lets no time be compared after a jump that it could not follow', async () => {
  const { clock, store, watch } = aWatch()
  await watch.runOnce()
  clock.jump(5000)
  store.isAway = true
  await expect(watch.followJump()).rejects.toThrow('away')
  store.isAway = false
  await watch.followJump()
  expect(watch.offset).toBe(-5000)
})
