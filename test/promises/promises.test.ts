/** The rules that simulated worlds and chaos share: each is content with what is right, and finds each way to be wrong. */
import { describe, expect, it } from 'vitest'
import { exceedsRetry, goodBeforeLast, madeTwice } from './runs.ts'
import type { Made } from './runs.ts'
import { isFollowedByNext } from './series.ts'

const failed = (attempt: number) => ({ attempt, isKnown: true, isGood: false })
const lost = (attempt: number) => ({ attempt, isKnown: false, isGood: false })
const good = (attempt: number) => ({ attempt, isKnown: true, isGood: true })

describe('a run', () => {
  it('makes each attempt once', () => {
    expect(madeTwice([failed(1), lost(2), good(3)])).toBeUndefined()
    expect(madeTwice([failed(1), lost(2), good(1)])).toEqual(good(1))
  })

  it('makes no attempt after one that succeeded', () => {
    expect(goodBeforeLast<Made>([])).toBeUndefined()
    expect(goodBeforeLast([failed(1), good(2)])).toBeUndefined()
    expect(goodBeforeLast([good(1), lost(2)])).toEqual(good(1))
    expect(goodBeforeLast([lost(2), good(1)])).toEqual(good(1))
  })

  it('has no more attempts with a known outcome than the first and its retries', () => {
    expect(exceedsRetry([lost(1), failed(2), lost(3), good(4)], 1)).toBe(false)
    expect(exceedsRetry([lost(1), failed(2), lost(3), good(4)], 0)).toBe(true)
  })
})

describe('a series of every hour whose task of hour 2 is claimed', () => {
  const HOUR = 3600
  const nextHour = (seconds: number): number => (Math.floor(seconds / HOUR) + 1) * HOUR
  const isRight = (next: number, from: number, to: number): boolean =>
    isFollowedByNext({ triggerAt: 2 * HOUR, repeatedTo: next * HOUR, claimed: { from: from * HOUR, to: to * HOUR } }, nextHour)

  it.each([
    ['in its own hour', 2.5, 2.5, [3]],
    ['early', 1.5, 1.5, [3]],
    ['three hours late', 5.5, 5.5, [6]],
    ['at the minute of a later one', 5, 5, [6]],
    ['nobody knows when until hour 5', -Infinity, 5.5, [3, 4, 5, 6]],
  ])('%s goes on with the next time after that, and no other', (_when, from, to, right) => {
    expect([1, 2, 3, 4, 5, 6, 7].filter((hour) => isRight(hour, from, to))).toEqual(right)
  })
})
