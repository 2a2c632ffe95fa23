import fc from '../support/fast-check.ts'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { backoffMs, retryAfterMs } from '../../src/domain/attempt/backoff.ts'

const NOW = Date.parse('2027-01-15T08:00:00Z')
const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const retries = fc.integer({ min: 1, max: 100 })

describe('the backoff', () => {
  test.each([
    [1, 1000],
    [2, 2000],
    [3, 4000],
    [9, 256_000],
    [10, 300_000],
    [100, 300_000],
  ])('before retry %d is at most %d ms and at least half of it', (n, ms) => {
    expect(backoffMs(n, 0)).toBe(ms / 2)
    expect(backoffMs(n, 1 - Number.EPSILON)).toBe(ms)
  })

  test('is a whole number of ms between half of the wait and the wait, for every retry and every jitter', () => {
    fc.assert(
      fc.property(retries, randoms, (n, random) => {
        const wait = Math.min(1000 * 2 ** (n - 1), 300_000)
        const ms = backoffMs(n, random)
        expect(Number.isInteger(ms)).toBe(true)
        expect(ms).toBeGreaterThanOrEqual(wait / 2)
        expect(ms).toBeLessThanOrEqual(wait)
      }),
    )
  })

  test('never gets shorter from one retry to the next while the jitter stays the same', () => {
    fc.assert(
      fc.property(retries, randoms, (n, random) => {
        expect(backoffMs(n + 1, random)).toBeGreaterThanOrEqual(backoffMs(n, random))
      }),
    )
  })

  test('grows with the jitter', () => {
    fc.assert(
      fc.property(retries, randoms, randoms, (n, one, other) => {
        expect(backoffMs(n, Math.max(one, other))).toBeGreaterThanOrEqual(backoffMs(n, Math.min(one, other)))
      }),
    )
  })
})

describe('Retry-After', () => {
  afterEach(() => {
    vi.unstubAllEnvs()
  })

  test.each([
    ['0', 0],
    ['1', 1000],
    ['120', 120_000],
    [' 7 ', 7000],
    ['007', 7000],
    ['3601', 3_600_000],
    ['9'.repeat(400), 3_600_000],
  ])('%j is a number of seconds', (header, ms) => {
    expect(retryAfterMs(header, NOW)).toBe(ms)
  })

  test.each([
    ['Fri, 15 Jan 2027 08:00:30 GMT', 30_000],
    ['Friday, 15-Jan-27 08:01:00 GMT', 60_000],
    ['Fri Jan 15 08:02:00 2027', 120_000],
    ['Sun Feb  7 08:00:00 2027', 3_600_000],
    ['Fri, 15 Jan 2027 08:00:00 GMT', 0],
    ['Fri, 15 Jan 2027 07:00:00 GMT', 0],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 0],
  ])('%j is an HTTP date, the past being now', (header, ms) => {
    expect(retryAfterMs(header, NOW)).toBe(ms)
  })

  test.each([
    undefined,
    '',
    ' ',
    '-1',
    '+1',
    '1.5',
    '1e3',
    '0x10',
    'soon',
    'soon 5',
    'in 5',
    '5s',
    '5 minutes',
    'abc 12',
    '1, 2',
    '\n5x',
    'Fri, 99 Foo 2027 08:00:30 GMT',
  ])('%j is neither, and as good as absent', (header) => {
    expect(retryAfterMs(header, NOW)).toBeUndefined()
  })

  test('is read as GMT in its form without a zone too, wherever the server stands', () => {
    vi.stubEnv('TZ', 'America/New_York')
    expect(new Date(NOW).getTimezoneOffset()).toBe(300)
    expect(retryAfterMs('Fri Jan 15 08:02:00 2027', NOW)).toBe(120_000)
  })

  test('is from 0 to one hour, whatever a receiver sends', () => {
    fc.assert(
      fc.property(fc.string(), (header) => {
        const ms = retryAfterMs(header, NOW)
        expect(ms === undefined || (ms >= 0 && ms <= 3_600_000)).toBe(true)
      }),
    )
  })
})
