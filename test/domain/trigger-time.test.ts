import fc from '../support/fast-check.ts'
import { describe, expect, test } from 'vitest'
import { minuteOf, nextMinute, parseInstant, parseTriggerTime, rfc3339 } from '../../src/domain/time/trigger-time.ts'

const NOW = Date.parse('2027-01-15T08:00:30.250Z')
const CURRENT_MINUTE = 1_800_000_000
const HORIZON_SECONDS = 3653 * 86_400
const instants = fc.integer({ min: 0, max: 4_102_444_800_000 })

function read(input: string | number, now = NOW, timezone?: string): number | string {
  const parsed = parseTriggerTime(input, { now, timezone })
  return parsed.ok ? parsed.value : parsed.problem.detail
}

describe('minutes', () => {
  test('the current minute holds the instant, the next one is the first after it', () => {
    fc.assert(
      fc.property(instants, (now) => {
        expect(minuteOf(now) % 60).toBe(0)
        expect(minuteOf(now) * 1000).toBeLessThanOrEqual(now)
        expect(nextMinute(now) * 1000).toBeGreaterThan(now)
        expect(nextMinute(now) - minuteOf(now)).toBe(60)
      }),
    )
  })

  test('an instant on a minute belongs to the minute that it starts', () => {
    expect(minuteOf(CURRENT_MINUTE * 1000)).toBe(CURRENT_MINUTE)
    expect(minuteOf(CURRENT_MINUTE * 1000 - 1)).toBe(CURRENT_MINUTE - 60)
  })
})

describe('a relative trigger_at', () => {
  test.each([
    ['+0m', 0],
    ['+1m', 60],
    ['+90m', 5400],
    ['+1h', 3600],
    ['+6h', 21_600],
    ['+1d', 86_400],
    ['+60d', 5_184_000],
    ['+007m', 420],
    ['now', 0],
    ['+1h30m', 5400],
    ['+1d2h', 93_600],
    ['+1d2h3m', 93_780],
  ])('%s is %d seconds from the start of the current minute', (input, seconds) => {
    expect(read(input)).toBe(CURRENT_MINUTE + seconds)
  })

  test('is the asked number of whole units after the current minute, at any instant', () => {
    const units = fc.constantFrom(...(['m', 'h', 'd'] as const))
    fc.assert(
      fc.property(instants, fc.integer({ min: 0, max: 3653 }), units, (now, n, unit) => {
        expect(read(`+${n}${unit}`, now)).toBe(minuteOf(now) + n * { m: 60, h: 3600, d: 86_400 }[unit])
      }),
    )
  })

  test.each([
    '+',
    '+m',
    '+1',
    '+1w',
    '+1M',
    '+1D',
    '+-1m',
    '+1.5h',
    '+1m ',
    ' +1m',
    '++1m',
    '1m',
    '-1m',
    '+1m1h',
    '+h1',
    'Now',
    '+1m\n',
    '+١m',
  ])('%j is refused', (input) => {
    expect(read(input)).toMatch(/^trigger_at must be "\+<n>m"/)
  })
})

test.each(['+30s', '+0s', '+60s', '+1m30s'])('%s is refused, because callme goes by minutes', (input) => {
  expect(read(input)).toBe(
    `trigger_at must be in minutes, because callme goes by minutes; "+0m" runs at once, "+1m" is the next minute; got "${input}"`,
  )
})

describe('a local trigger_at', () => {
  test.each([
    ['2027-03-28 09:00', 'Europe/Berlin', '2027-03-28T07:00:00Z'],
    ['2027-03-28T09:00', 'America/New_York', '2027-03-28T13:00:00Z'],
    ['2027-03-28T09:00:00.000', 'UTC', '2027-03-28T09:00:00Z'],
    ['2027-03-28 02:30', 'Europe/Berlin', '2027-03-28T01:00:00Z'],
    ['2027-10-31 02:30', 'Europe/Berlin', '2027-10-31T00:30:00Z'],
    ['2027-03-28 09:00Z', 'Europe/Berlin', '2027-03-28T09:00:00Z'],
    ['2027-03-28', 'Europe/Berlin', '2027-03-27T23:00:00Z'],
    ['2027-03-28', undefined, '2027-03-28T00:00:00Z'],
  ])('%s in %s is %s', (input, timezone, instant) => {
    expect(read(input, NOW, timezone)).toBe(Date.parse(instant) / 1000)
  })

  test('is refused without a zone', () => {
    expect(read('2027-03-28 09:00')).toBe(
      'trigger_at must be a time with an offset such as "Z" or "+01:00" where no timezone is given; got "2027-03-28 09:00"',
    )
  })
})

describe('an absolute trigger_at', () => {
  test.each<[string | number, string]>([
    [CURRENT_MINUTE + 60, 'a number'],
    [String(CURRENT_MINUTE + 60), 'a string of digits'],
    ['2027-01-15T08:01:00Z', 'RFC 3339'],
    ['2027-01-15t08:01:00z', 'RFC 3339 in lower case'],
    ['2027-01-15 08:01:00Z', 'RFC 3339 with a space'],
    ['2027-01-15T08:01:00.000Z', 'a fraction of nothing'],
    ['2027-01-15T08:01:00.0000000000000Z', 'a long fraction of nothing'],
    ['2027-01-15T09:01:00+01:00', 'an offset to the east'],
    ['2027-01-15T03:01:00-05:00', 'an offset to the west'],
    ['2027-01-15T13:46:00+05:45', 'an offset with minutes'],
    ['2027-01-14T08:02:00-23:59', 'the largest offset'],
    ['2027-01-15T08:01:00-00:00', 'an unknown offset'],
    ['2027-01-15T08:01:00+00:00', 'no offset'],
    ['2027-01-15T08:01Z', 'no seconds'],
    ['2027-01-15T08:01:00+0000', 'an offset without a colon'],
    ['2027-01-15 09:01+01', 'an offset of an hour alone'],
  ])('%j is read: %s', (input) => {
    expect(read(input)).toBe(CURRENT_MINUTE + 60)
  })

  test('is what Date makes of the same text, for every minute and offset', () => {
    const ahead = fc.integer({ min: 1, max: HORIZON_SECONDS / 60 })
    fc.assert(
      fc.property(ahead, fc.integer({ min: -1439, max: 1439 }), (minutes, offset) => {
        const seconds = CURRENT_MINUTE + minutes * 60
        const local = new Date((seconds + offset * 60) * 1000).toISOString().slice(0, 19)
        const [hours, rest] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60].map((part) => String(part).padStart(2, '0'))
        expect(read(`${local}${offset < 0 ? '-' : '+'}${hours}:${rest}`)).toBe(seconds)
      }),
    )
  })

  test('is taken in each form where it is on a whole minute, after now and within the horizon, and nowhere else', () => {
    const around = fc.oneof(
      fc.integer({ min: -3, max: 3 }),
      fc.integer({ min: HORIZON_SECONDS / 60 - 3, max: HORIZON_SECONDS / 60 + 3 }),
      fc.integer(),
    )
    const instantsOfThisCentury = fc.integer({ min: 946_684_800_000, max: 4_102_444_800_000 })
    fc.assert(
      fc.property(instantsOfThisCentury, around, fc.constantFrom(0, 0, 1, 59), (now, minutes, rest) => {
        const seconds = Math.max(0, Math.min(minuteOf(now) + minutes * 60 + rest, 9_999_999_999))
        const isGood = seconds % 60 === 0 && seconds * 1000 > now && seconds <= minuteOf(now) + HORIZON_SECONDS
        const expected = isGood ? seconds : expect.any(String)
        expect(read(seconds, now)).toEqual(expected)
        expect(read(String(seconds), now)).toEqual(expected)
        expect(read(new Date(seconds * 1000).toISOString(), now)).toEqual(expected)
      }),
    )
  })

  test.each<[string | number, string]>([
    ['2027-02-30T08:00:00Z', '30 February'],
    ['2027-02-29T08:00:00Z', '29 February of a common year'],
    ['2027-04-31T08:00:00Z', '31 April'],
    ['2027-13-01T08:00:00Z', 'month 13'],
    ['2027-00-01T08:00:00Z', 'month 0'],
    ['2027-01-00T08:00:00Z', 'day 0'],
    ['2027-01-32T08:00:00Z', 'day 32'],
    ['2027-01-16T24:00:00Z', 'hour 24'],
    ['2027-01-16T08:60:00Z', 'minute 60'],
    ['2028-12-31T23:59:60Z', 'a leap second'],
    ['2027-01-16T08:00:00.5Z', 'half a second'],
    ['2027-01-16T08:00:00.Z', 'a fraction without digits'],
    ['2027-01-16T08:00:00+24:00', 'an offset of 24 hours'],
    ['2027-01-16T08:00:00+01:60', 'an offset of 60 minutes'],
    ['2027-01-16Z', 'a date with an offset'],
    ['2027-01-16T08', 'an hour alone'],
    ['2027-02-30', '30 February, alone'],
    ['27-01-16T08:00:00Z', 'a year of two digits'],
    ['+002027-01-16T08:00:00Z', 'an extended year'],
    ['2027-1-16T08:00:00Z', 'a month of one digit'],
    ['2027-01-16T08:00:00Z\n', 'a line break at the end'],
    ['Sat, 16 Jan 2027 08:00:00 GMT', 'an HTTP date'],
    ['tomorrow', 'a word'],
    ['', 'nothing'],
    ['1800000060.0', 'a decimal point'],
    ['-1800000060', 'a negative number'],
    ['1e10', 'an exponent'],
    [-60, 'a negative number'],
    [1_800_000_060.5, 'a fraction of a second'],
    [Number.NaN, 'not a number'],
    [Number.POSITIVE_INFINITY, 'infinity'],
  ])('%j is refused: %s', (input) => {
    expect(read(input)).toMatch(/^trigger_at must be "\+<n>m"/)
  })

  test.each(['+99999999999999999999m', `+${'9'.repeat(400)}d`, '9'.repeat(30), '9'.repeat(400), 10 ** 30, 2 ** 60, '1800000060000000'])(
    '%s is too far ahead, however many digits it has',
    (input) => {
      expect(read(input)).toMatch(/^trigger_at must be at most 10 years ahead; got /)
    },
  )

  test.each([1_858_809_600_000, '1858809600000'])('%j is refused with the hint that it looks like milliseconds', (input) => {
    expect(read(input)).toContain('must be at most 10 years ahead, as a Unix time in seconds, not in milliseconds; got ')
  })

  test('29 February of a leap year is read', () => {
    expect(read('2028-02-29T00:00:00Z')).toBe(Date.parse('2028-02-29T00:00:00Z') / 1000)
  })

  test.each([
    [CURRENT_MINUTE + 61, CURRENT_MINUTE + 60],
    [String(CURRENT_MINUTE + 119), CURRENT_MINUTE + 60],
    ['2027-01-15T08:01:59Z', CURRENT_MINUTE + 60],
  ])('%j is refused with the whole minute before it', (input, before) => {
    expect(read(input)).toContain(`whole minute (a Unix time divisible by 60); the nearest before it is ${before};`)
  })

  test('the minute that has begun is the past, also in its first millisecond', () => {
    expect(read(CURRENT_MINUTE)).toContain('must be in the future; "+0m" runs at once')
    expect(read(CURRENT_MINUTE, CURRENT_MINUTE * 1000)).toContain('must be in the future')
    expect(read(CURRENT_MINUTE, CURRENT_MINUTE * 1000 - 1)).toBe(CURRENT_MINUTE)
    expect(read(0)).toContain('must be in the future')
    expect(read('1970-01-01T00:00:00Z')).toContain('must be in the future')
  })

  test('the horizon of ten years is the last minute that is taken', () => {
    expect(read(CURRENT_MINUTE + HORIZON_SECONDS)).toBe(CURRENT_MINUTE + HORIZON_SECONDS)
    expect(read('+3653d')).toBe(CURRENT_MINUTE + HORIZON_SECONDS)
    for (const beyond of [CURRENT_MINUTE + HORIZON_SECONDS + 60, '+3654d', '+999999999d', '2037-01-16T00:00:00Z']) {
      expect(read(beyond)).toContain('must be at most 10 years ahead')
    }
  })

  test('a refusal shows what was sent, cut where it is long', () => {
    expect(read('x'.repeat(10_000))).toHaveLength(read('').toString().length + 60)
    expect(read('next "week"')).toContain('got "next \\"week\\""')
  })
})

test.each([NaN, Infinity, -1e300, 'text' as unknown as number])('the damaged instant %s is written as a date, not an error', (ms) => {
  expect(Number.isFinite(Date.parse(rfc3339(ms)))).toBe(true)
})

describe('an instant of a filter', () => {
  const instant = (text: string, timezone?: string) => parseInstant('from', text, { now: NOW, timezone })

  test.each([
    ['0', 0],
    ['1799999999', 1_799_999_999],
    ['1970-01-01T00:00:01Z', 1],
    ['2027-01-15T07:59:59Z', 1_799_999_999],
    ['now', CURRENT_MINUTE + 30],
    ['+1h', CURRENT_MINUTE + 3630],
    ['-24h', CURRENT_MINUTE + 30 - 86_400],
    ['-1d2h3m30s', CURRENT_MINUTE - 93_780],
    ['2027-01-15', 1_799_971_200],
  ])('%s may be past and on any second', (text, seconds) => {
    expect(instant(text)).toEqual({ ok: true, value: seconds })
  })

  test('is read in a zone where it has no offset', () => {
    expect(instant('2027-01-15 09:00:01', 'Europe/Berlin')).toEqual({ ok: true, value: 1_800_000_001 })
    expect(instant('2027-01-15 09:00')).toMatchObject({ problem: { detail: expect.stringContaining('where no timezone is given') } })
  })

  test.each(['', '+', '-1', '1.5', 'yesterday', '2027-01-32', '1000000000000000', `-${'9'.repeat(400)}d`])('%j is refused', (text) => {
    expect(instant(text)).toMatchObject({ problem: { detail: expect.stringMatching(/^from must be a Unix time in seconds or .*"-24h"/) } })
  })
})
