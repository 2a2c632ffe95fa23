import { describe, expect, test } from 'vitest'
import fc from '../support/fast-check.ts'
import { Lateness } from '../../src/domain/ledger/lateness.ts'

const DUE = 1_800_000_000_000
const NONE_OVER = { over_1s: 0, over_10s: 0, over_60s: 0 }

function latenessOf(values: readonly number[]): Lateness {
  const lateness = new Lateness()
  for (const ms of values) lateness.add({ dueAt: DUE, startedAt: DUE + ms, outcome: 'successful' })
  return lateness
}

describe('lateness', () => {
  test('of nothing is nothing', () => {
    expect(new Lateness().summary()).toEqual({ attempts: 0, p50: null, p99: null, max: null, ...NONE_OVER })
  })

  test('leaves out what was lost, and what an older program has recorded', () => {
    const lateness = latenessOf([7])
    lateness.add({ dueAt: DUE, startedAt: DUE + 99, outcome: 'lost' })
    lateness.add({ dueAt: null, startedAt: DUE + 99, outcome: null })
    expect(lateness.summary()).toEqual({ attempts: 1, p50: 7, p99: 7, max: 7, ...NONE_OVER })
  })

  test('counts one that was early as less than nothing', () => {
    expect(latenessOf([-5, -7]).summary()).toEqual({ attempts: 2, p50: -7, p99: -5, max: -5, ...NONE_OVER })
  })

  test('is that of the nearest rank, exact to 1 ms', () => {
    const values = fc.array(fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 31_536_000_000 })), { minLength: 1 })
    fc.assert(
      fc.property(values, (given) => {
        const sorted = given.toSorted((a, b) => a - b)
        const at = (fraction: number) => sorted[Math.ceil(sorted.length * fraction) - 1]
        const over = (bound: number) => given.filter((ms) => ms > bound).length
        const counts = { over_1s: over(1000), over_10s: over(10_000), over_60s: over(60_000) }
        expect(latenessOf(given).summary()).toEqual({ attempts: given.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1), ...counts })
      }),
    )
  })

  test('counts those above one second, ten and sixty, and none that is late by just that', () => {
    const { over_1s, over_10s, over_60s } = latenessOf([1000, 1001, 10_000, 10_001, 60_000, 60_001, 7_200_000]).summary()
    expect({ over_1s, over_10s, over_60s }).toEqual({ over_1s: 6, over_10s: 4, over_60s: 2 })
  })

  test('of more than a million different values is exact up to an hour, and above it to the minute before', () => {
    const hour = 3_600_000
    const many = Array.from({ length: 1_100_000 }, (_, n) => hour + 1 + n * 100)
    const { attempts, p50, p99, max } = latenessOf([...Array.from({ length: 1_200_000 }, (_, n) => n % 4001), ...many]).summary()
    const exact = hour + 1 + Math.ceil(2_300_000 * 0.99 - 1_200_000 - 1) * 100
    expect({ attempts, p50, max }).toEqual({ attempts: 2_300_000, p50: 3833, max: many.at(-1) })
    expect(p99).toBe(exact - (exact % 60_000))
  })
})
