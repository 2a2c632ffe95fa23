import fc from '../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { Ticker } from '../../src/scheduler/ticker.ts'
import { EIGHT, notedTicker } from '../support/noted-ticker.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

describe('a clock that jumps', () => {
  it.each([
    ['back by an hour', -HOUR_MS],
    ['forward by an hour', HOUR_MS],
    ['forward by 400 days', 400 * DAY_MS],
    ['back by 400 days', -400 * DAY_MS],
  ])('%s is logged, has a pass made within a second, and the minutes of the new time follow', async (_, by) => {
    const { clock, logged, noticed, ticker } = notedTicker()
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
    const { clock, logged, noticed, ticker } = notedTicker()
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
    const { clock, noticed, ticker } = notedTicker()
    ticker.start()
    await clock.advance(500)
    clock.jump(-HOUR_MS)
    ticker.wake(clock.now() + 2000)
    await clock.advance(MINUTE_MS)
    expect(noticed.passes.slice(1)).toContain(-3540)
    await ticker.stop()
  })

  it('is not what a blocked process looks like: the pass is made once, and nothing is logged', async () => {
    const { clock, logged, noticed, ticker } = notedTicker()
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
    const lateness = fc.array(fc.oneof({ weight: 30, arbitrary: fc.nat(20) }, { weight: 1, arbitrary: fc.nat(58_000) }), {
      minLength: 50,
      maxLength: 500,
    })
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
