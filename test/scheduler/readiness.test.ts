import { describe, expect, it } from 'vitest'
import { EIGHT, gate, notedTicker } from '../support/noted-ticker.ts'

const MINUTE_MS = 60_000

describe('readiness', () => {
  it('is missing before the first pass, and tells when the last one began', async () => {
    const { clock, ticker } = notedTicker()
    expect(ticker.readiness()).toEqual({ ready: false, lastTick: null })
    ticker.start()
    await clock.advance(MINUTE_MS)
    expect(ticker.readiness()).toEqual({ ready: true, lastTick: EIGHT + 60_000 })
    await ticker.stop()
  })

  it('is lost at once by a pass that fails, and comes back with the next one that succeeds', async () => {
    const { clock, noticed, ticker } = notedTicker({ startAt: EIGHT })
    const failure = new Error('broken')
    let isBroken = false
    noticed.onPass = () => (isBroken ? Promise.reject(failure) : Promise.resolve(undefined))
    ticker.start()
    await clock.advance(0)
    expect(ticker.readiness().ready).toBe(true)
    isBroken = true
    await clock.advance(MINUTE_MS)
    expect(ticker.readiness()).toEqual({ ready: false, lastTick: EIGHT, failure })
    isBroken = false
    await clock.advance(1000)
    expect(ticker.readiness().ready).toBe(true)
    await ticker.stop()
  })

  it('is lost while a pass does not end', async () => {
    const { clock, noticed, ticker } = notedTicker()
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
