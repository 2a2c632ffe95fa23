import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import { CallmeError } from '../../src/domain/errors.ts'
import { createLog } from '../../src/log.ts'
import { Ticker } from '../../src/scheduler/ticker.ts'
import { FakeClock } from '../support/fake-clock.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/** on a whole minute */
const EIGHT = Date.parse('2027-01-15T08:00:00Z')

/** A ticker whose passes are noted, by the seconds after eight o'clock, and do what `onPass` says. */
function noted(options: { startAt?: number } = {}) {
  const clock = new FakeClock(options.startAt ?? EIGHT + 20_500)
  const logged: { event: string; [field: string]: unknown }[] = []
  const log = createLog('debug', { write: (line) => logged.push(JSON.parse(line) as (typeof logged)[number]) })
  const noticed = { passes: [] as number[], underWay: 0, mostUnderWay: 0, onPass: (): Promise<number | undefined> => Promise.resolve(undefined) }
  const pass = async (): Promise<number | undefined> => {
    noticed.passes.push((clock.now() - EIGHT) / 1000)
    noticed.underWay += 1
    noticed.mostUnderWay = Math.max(noticed.mostUnderWay, noticed.underWay)
    try {
      return await noticed.onPass()
    } finally {
      noticed.underWay -= 1
    }
  }
  return { clock, logged, noticed, ticker: new Ticker({ clock, log, pass }) }
}

function gate() {
  return Promise.withResolvers<number | undefined>()
}

describe('the minute', () => {
  it('has a pass made at the start and on every minute after it', async () => {
    const { clock, noticed, ticker } = noted()
    ticker.start()
    await clock.advance(3 * MINUTE_MS)
    expect(noticed.passes).toEqual([20.5, 60, 120, 180])
    await ticker.stop()
  })

  it('has no pass made before it when a timer wakes early', async () => {
    const { clock, noticed, ticker } = noted({ startAt: EIGHT + 59_500 })
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
    const { clock, noticed, ticker } = noted()
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
    const { clock, noticed, ticker } = noted()
    noticed.onPass = () => Promise.resolve(noticed.passes.length === 1 ? EIGHT + 31_250 : undefined)
    ticker.start()
    await clock.advance(MINUTE_MS)
    expect(noticed.passes).toEqual([20.5, 31.25, 60])
    await ticker.stop()
  })

  it('is made on the minute even where nothing is due before a later time', async () => {
    const { clock, noticed, ticker } = noted()
    noticed.onPass = () => Promise.resolve(EIGHT + DAY_MS)
    ticker.start()
    await clock.advance(2 * MINUTE_MS)
    expect(noticed.passes).toEqual([20.5, 60, 120])
    await ticker.stop()
  })

  it('that takes longer than minutes is not overlapped, and the minutes it took are made up for by one pass', async () => {
    const { clock, noticed, ticker } = noted()
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
    const { clock, logged, noticed, ticker } = noted({ startAt: EIGHT })
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
    const { clock, noticed, ticker } = noted()
    ticker.wake(clock.now())
    ticker.wake(clock.now() + 5000)
    ticker.start()
    await clock.advance(39_000)
    expect(noticed.passes).toEqual([20.5])
    await ticker.stop()
  })

  it('for now, between passes, has one made at once', async () => {
    const { clock, noticed, ticker } = noted()
    ticker.start()
    await clock.advance(1234)
    ticker.wake(clock.now())
    ticker.wake(clock.now())
    await clock.advance(MINUTE_MS)
    expect(noticed.passes).toEqual([20.5, 21.734, 60])
    await ticker.stop()
  })

  it('for now, during a pass, has one made right after it', async () => {
    const { clock, noticed, ticker } = noted()
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
    const { clock, noticed, ticker } = noted()
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
    const { clock, noticed, ticker } = noted()
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
    const { clock, noticed, ticker } = noted()
    ticker.start()
    await clock.advance(100)
    ticker.wake(EIGHT + 90_000)
    await clock.advance(2 * MINUTE_MS)
    expect(noticed.passes).toEqual([20.5, 60, 120])
    await ticker.stop()
  })

  it('after the stop has nothing made', async () => {
    const { clock, noticed, ticker } = noted()
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
    const { clock, noticed, ticker } = noted()
    ticker.start()
    await clock.advance(100)
    await ticker.stop()
    expect(clock.timers).toBe(0)
    await clock.advance(5 * MINUTE_MS)
    expect(noticed.passes).toEqual([20.5])
  })

  it('during a pass waits for its end, and none follows', async () => {
    const { clock, noticed, ticker } = noted()
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
    const { clock, noticed, ticker } = noted()
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

describe('readiness', () => {
  it('is missing before the first pass, and tells when the last one began', async () => {
    const { clock, ticker } = noted()
    expect(ticker.readiness()).toEqual({ ready: false, lastTick: null })
    ticker.start()
    await clock.advance(MINUTE_MS)
    expect(ticker.readiness()).toEqual({ ready: true, lastTick: EIGHT + 60_000 })
    await ticker.stop()
  })

  it('is lost after two minutes without a pass that succeeds, and comes back with the next one', async () => {
    const { clock, noticed, ticker } = noted({ startAt: EIGHT })
    let isBroken = false
    noticed.onPass = () => (isBroken ? Promise.reject(new Error('broken')) : Promise.resolve(undefined))
    ticker.start()
    await clock.advance(0)
    isBroken = true
    await clock.advance(2 * MINUTE_MS - 1)
    expect(ticker.readiness().ready).toBe(true)
    await clock.advance(1)
    expect(ticker.readiness()).toEqual({ ready: false, lastTick: EIGHT })
    isBroken = false
    await clock.advance(1000)
    expect(ticker.readiness().ready).toBe(true)
    await ticker.stop()
  })

  it('is lost while a pass does not end', async () => {
    const { clock, noticed, ticker } = noted()
    const long = gate()
    ticker.start()
    await clock.advance(0)
    noticed.onPass = () => long.promise
    await clock.advance(4 * MINUTE_MS)
    expect(ticker.readiness().ready).toBe(false)
    long.resolve(undefined)
    await ticker.stop()
  })
})

describe('a clock that jumps', () => {
  it.each([
    ['back by an hour', -HOUR_MS],
    ['forward by an hour', HOUR_MS],
    ['forward by 400 days', 400 * DAY_MS],
    ['back by 400 days', -400 * DAY_MS],
  ])('%s is logged, has a pass made within a second, and the minutes of the new time follow', async (_, by) => {
    const { clock, logged, noticed, ticker } = noted()
    ticker.start()
    await clock.advance(9800)
    clock.jump(by)
    await clock.advance(1000)
    expect(logged).toMatchObject([{ level: 'warn', event: 'clock.jumped', by_ms: by }])
    await clock.advance(2 * MINUTE_MS)
    const seconds = by / 1000
    expect(noticed.passes).toEqual([20.5, seconds + 30.5, seconds + 60, seconds + 120])
    expect(ticker.readiness().ready).toBe(true)
    expect(logged).toHaveLength(1)
    await ticker.stop()
  })

  it.each([
    ['succeeds', () => Promise.resolve(undefined)],
    ['fails', () => Promise.reject(new Error('broken'))],
  ])('back by an hour during a pass that %s does not keep the next minutes waiting for the old time', async (_, end) => {
    const { clock, logged, noticed, ticker } = noted()
    noticed.onPass = () => {
      noticed.onPass = () => Promise.resolve(undefined)
      clock.jump(-HOUR_MS)
      return end()
    }
    ticker.start()
    await clock.advance(3 * MINUTE_MS)
    expect(noticed.passes.filter((at) => at % 60 === 0)).toEqual([-3540, -3480, -3420])
    expect(ticker.readiness().ready).toBe(true)
    expect(logged.filter(({ event }) => event === 'clock.jumped')).toMatchObject([{ by_ms: -HOUR_MS }])
    await ticker.stop()
  })

  it('back while a wake interrupts the sleep is noticed as well', async () => {
    const { clock, noticed, ticker } = noted()
    ticker.start()
    await clock.advance(500)
    clock.jump(-HOUR_MS)
    ticker.wake(clock.now() + 2000)
    await clock.advance(MINUTE_MS)
    expect(noticed.passes.slice(1)).toContain(-3540)
    await ticker.stop()
  })

  it('is not what a blocked process looks like: the pass is made once, and nothing is logged', async () => {
    const { clock, logged, noticed, ticker } = noted()
    ticker.start()
    await clock.advance(100)
    clock.block(90 * MINUTE_MS)
    await clock.advance(0)
    expect(noticed.passes).toEqual([20.5, 20.6 + 5400])
    expect(ticker.readiness().ready).toBe(true)
    expect(logged).toEqual([])
    await ticker.stop()
  })
})

/** Wakes whoever waits, always late, and takes hardly any real time for a simulated day. */
class LateClock implements Clock {
  #now: number
  #timer: { at: number; wake: () => void } | undefined

  constructor(start: number) {
    this.#now = start
  }

  now(): number {
    return this.#now
  }

  monotonic(): number {
    return this.#now - EIGHT
  }

  setTimer(ms: number, wake: () => void): () => void {
    this.#timer = { at: this.#now + ms, wake }
    return () => {
      this.#timer = undefined
    }
  }

  /** Fires the next timer `lateMs` after its time. */
  async fire(lateMs: number): Promise<void> {
    for (let turn = 0; this.#timer === undefined && turn < 100; turn += 1) await Promise.resolve()
    if (this.#timer === undefined) throw new Error('nobody sleeps')
    const { at, wake } = this.#timer
    this.#timer = undefined
    this.#now = at + lateMs
    wake()
  }
}

describe('over days with timers that are late at random', () => {
  it('every minute has its pass: not before it, once, and no later than the timer was', async () => {
    const lateness = fc.array(fc.oneof({ weight: 30, arbitrary: fc.nat(20) }, { weight: 1, arbitrary: fc.nat(58_000) }), { minLength: 50, maxLength: 500 })
    await fc.assert(
      fc.asyncProperty(lateness, fc.nat(59_999), async (late, offset) => {
        const clock = new LateClock(EIGHT + offset)
        const passes: number[] = []
        const log = createLog('silent', { write: () => undefined })
        const pass = (): Promise<undefined> => {
          passes.push(clock.now())
          return Promise.resolve(undefined)
        }
        const ticker = new Ticker({ clock, log, pass })
        ticker.start()
        for (let n = 0; clock.now() < EIGHT + DAY_MS; n += 1) await clock.fire(late[n % late.length] ?? 0)
        await clock.fire(0)
        const minutes = passes.slice(1).map((at) => Math.floor(at / MINUTE_MS) - EIGHT / MINUTE_MS)
        expect(minutes).toEqual(Array.from(minutes, (_, n) => n + 1))
        expect(minutes.length).toBeGreaterThanOrEqual(24 * 60)
        for (const at of passes.slice(1)) expect(at % MINUTE_MS).toBeLessThanOrEqual(Math.max(...late))
        await ticker.stop()
      }),
      { numRuns: 12 },
    )
  })
})
