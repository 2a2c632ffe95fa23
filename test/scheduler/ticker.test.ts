import { describe, expect, it } from 'vitest'
import { CallmeError } from '../../src/domain/errors.ts'
import { EIGHT, gate, notedTicker } from '../support/noted-ticker.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

describe('the minute', () => {
  it('has a pass made at the start and on every minute after it', async () => {
    const { clock, noticed, ticker } = notedTicker()
    ticker.start()
    await clock.advance(3 * MINUTE_MS)
    expect(noticed.passes).toEqual([20.5, 60, 120, 180])
    await ticker.stop()
  })

  it('has no pass made before it when a timer wakes early', async () => {
    const { clock, noticed, ticker } = notedTicker({ startAt: EIGHT + 59_500 })
    ticker.start()
    await clock.advance(0)
    clock.jump(-3)
    await clock.advance(500)
    expect(noticed.passes).toEqual([59.5])
    await clock.advance(3)
    expect(noticed.passes).toEqual([59.5, 60])
    await ticker.stop()
  })

  it('has a pass made late, not left out, when a timer wakes late', async () => {
    const { clock, noticed, ticker } = notedTicker()
    ticker.start()
    await clock.advance(39_000)
    clock.block(700)
    await clock.advance(1000)
    expect(noticed.passes).toEqual([20.5, 60.2])
    await ticker.stop()
  })
})

describe('a pass', () => {
  it('is made when the last one said that something is due, also between minutes', async () => {
    const { clock, noticed, ticker } = notedTicker()
    noticed.onPass = () => Promise.resolve(noticed.passes.length === 1 ? EIGHT + 31_250 : undefined)
    ticker.start()
    await clock.advance(MINUTE_MS)
    expect(noticed.passes).toEqual([20.5, 31.25, 60])
    await ticker.stop()
  })

  it('is made on the minute even where nothing is due before a later time', async () => {
    const { clock, noticed, ticker } = notedTicker()
    noticed.onPass = () => Promise.resolve(EIGHT + DAY_MS)
    ticker.start()
    await clock.advance(2 * MINUTE_MS)
    expect(noticed.passes).toEqual([20.5, 60, 120])
    await ticker.stop()
  })

  it('that takes longer than minutes is not overlapped, and the minutes it took are made up for by one pass', async () => {
    const { clock, noticed, ticker } = notedTicker()
    const long = gate()
    noticed.onPass = () => (noticed.passes.length === 1 ? long.promise : Promise.resolve(undefined))
    ticker.start()
    await clock.advance(5 * MINUTE_MS)
    ticker.wake(clock.now())
    expect(noticed.passes).toEqual([20.5])
    long.resolve(undefined)
    await clock.advance(50_000)
    expect(noticed.passes).toEqual([20.5, 320.5, 360])
    expect(noticed.mostUnderWay).toBe(1)
    await ticker.stop()
  })

  it('that fails is logged once, made again after a second, and logged again only after one that succeeded', async () => {
    const { clock, logged, noticed, ticker } = notedTicker({ startAt: EIGHT })
    let isBroken = true
    noticed.onPass = () =>
      isBroken ? Promise.reject(new CallmeError('store_unavailable', 'the store does not answer: disk full')) : Promise.resolve(undefined)
    ticker.start()
    await clock.advance(3000)
    expect(noticed.passes).toEqual([0, 1, 2, 3])
    expect(logged).toMatchObject([{ level: 'error', event: 'tick.failed', err: { code: 'store_unavailable' } }])
    isBroken = false
    await clock.advance(2 * MINUTE_MS)
    expect(noticed.passes).toEqual([0, 1, 2, 3, 4, 60, 120])
    isBroken = true
    await clock.advance(MINUTE_MS)
    expect(logged).toHaveLength(2)
    await ticker.stop()
  })
})

describe('wake', () => {
  it('before the start adds no pass', async () => {
    const { clock, noticed, ticker } = notedTicker()
    ticker.wake(clock.now())
    ticker.wake(clock.now() + 5000)
    ticker.start()
    await clock.advance(39_000)
    expect(noticed.passes).toEqual([20.5])
    await ticker.stop()
  })

  it('for now, between passes, has one made at once', async () => {
    const { clock, noticed, ticker } = notedTicker()
    ticker.start()
    await clock.advance(1234)
    ticker.wake(clock.now())
    ticker.wake(clock.now())
    await clock.advance(MINUTE_MS)
    expect(noticed.passes).toEqual([20.5, 21.734, 60])
    await ticker.stop()
  })

  it('for now, during a pass, has one made right after it', async () => {
    const { clock, noticed, ticker } = notedTicker()
    const long = gate()
    noticed.onPass = () => (noticed.passes.length === 1 ? long.promise : Promise.resolve(undefined))
    ticker.start()
    ticker.wake(clock.now())
    await clock.advance(3000)
    long.resolve(undefined)
    await clock.advance(0)
    expect(noticed.passes).toEqual([20.5, 23.5])
    await ticker.stop()
  })

  it.each(['during', 'after'])('for a time before the next minute, %s a pass, has one made then', async (moment) => {
    const { clock, noticed, ticker } = notedTicker()
    const first = gate()
    noticed.onPass = () => (noticed.passes.length === 1 ? first.promise : Promise.resolve(undefined))
    ticker.start()
    if (moment === 'during') ticker.wake(EIGHT + 42_000)
    first.resolve(undefined)
    await clock.advance(1500)
    if (moment === 'after') ticker.wake(EIGHT + 42_000)
    await clock.advance(MINUTE_MS)
    expect(noticed.passes).toEqual([20.5, 42, 60])
    await ticker.stop()
  })

  it('for a time that has passed when the pass under way ends has one made right after it', async () => {
    const { clock, noticed, ticker } = notedTicker()
    const long = gate()
    noticed.onPass = () => (noticed.passes.length === 1 ? long.promise : Promise.resolve(undefined))
    ticker.start()
    ticker.wake(EIGHT + 22_000)
    await clock.advance(5000)
    long.resolve(undefined)
    await clock.advance(0)
    expect(noticed.passes).toEqual([20.5, 25.5])
    await ticker.stop()
  })

  it('for a time after the next pass changes nothing', async () => {
    const { clock, noticed, ticker } = notedTicker()
    ticker.start()
    await clock.advance(100)
    ticker.wake(EIGHT + 90_000)
    await clock.advance(2 * MINUTE_MS)
    expect(noticed.passes).toEqual([20.5, 60, 120])
    await ticker.stop()
  })

  it('after the stop has nothing made', async () => {
    const { clock, noticed, ticker } = notedTicker()
    ticker.start()
    await clock.advance(0)
    await ticker.stop()
    ticker.wake(clock.now())
    await clock.advance(5 * MINUTE_MS)
    expect(noticed.passes).toEqual([20.5])
  })
})

describe('stop', () => {
  it('between passes ends the loop at once and leaves no timer behind', async () => {
    const { clock, noticed, ticker } = notedTicker()
    ticker.start()
    await clock.advance(100)
    await ticker.stop()
    expect(clock.timers).toBe(0)
    await clock.advance(5 * MINUTE_MS)
    expect(noticed.passes).toEqual([20.5])
  })

  it('during a pass waits for its end, and none follows', async () => {
    const { clock, noticed, ticker } = notedTicker()
    const long = gate()
    noticed.onPass = () => long.promise
    ticker.start()
    ticker.wake(clock.now())
    let isStopped = false
    const stopped = ticker.stop().then(() => (isStopped = true))
    await clock.advance(MINUTE_MS)
    expect(isStopped).toBe(false)
    long.resolve(undefined)
    await stopped
    await clock.advance(5 * MINUTE_MS)
    expect(noticed.passes).toEqual([20.5])
    expect(clock.timers).toBe(0)
  })

  it('during a pass that fails resolves all the same', async () => {
    const { clock, noticed, ticker } = notedTicker()
    const long = gate()
    noticed.onPass = () => long.promise
    ticker.start()
    const stopped = ticker.stop()
    long.reject(new Error('broken'))
    await stopped
    await clock.advance(MINUTE_MS)
    expect(noticed.passes).toEqual([20.5])
  })
})
