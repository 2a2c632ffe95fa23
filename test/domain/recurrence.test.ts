import fc, { runs } from '../support/fast-check.ts'
import { parseCronExpression } from 'cron-schedule'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { nextOccurrence, parseRecurrence } from '../../src/domain/time/recurrence.ts'
import { cronExpressions, occurrencesByWalking } from './cron-oracle.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

const seconds = (time: string): number => Date.parse(time) / 1000
/** `2027-01-15T08:00Z` */
const shown = (at: number): string => new Date(at * 1000).toISOString().replace(':00.000Z', 'Z')

function occurrences(repeat: string, timezone: string, after: string, count: number): string[] {
  const parsed = parseRecurrence(repeat, timezone)
  if (!parsed.ok) throw new Error(parsed.problem.detail)
  const found: string[] = []
  let at: number | undefined = seconds(after)
  while (found.length < count) {
    at = nextOccurrence(parsed.value, at)
    if (at === undefined) break
    found.push(shown(at))
  }
  return found
}

describe('the next occurrence', () => {
  test.each([
    ['*/5 * * * *', '2027-01-15T08:00Z', ['2027-01-15T08:05Z', '2027-01-15T08:10Z']],
    ['0 9 * * MON-FRI', '2027-01-15T08:00Z', ['2027-01-15T09:00Z', '2027-01-18T09:00Z']],
    ['0 0 * * 0', '2027-01-15T08:00Z', ['2027-01-17T00:00Z', '2027-01-24T00:00Z']],
    ['0 0 * * 7', '2027-01-15T08:00Z', ['2027-01-17T00:00Z', '2027-01-24T00:00Z']],
    ['0 0 * * FRI-SUN', '2027-01-15T08:00Z', ['2027-01-16T00:00Z', '2027-01-17T00:00Z', '2027-01-22T00:00Z']],
    ['5-59/20 7,8 * * *', '2027-01-15T08:00Z', ['2027-01-15T08:05Z', '2027-01-15T08:25Z', '2027-01-15T08:45Z', '2027-01-16T07:05Z']],
    ['0 0 1-7 * */7', '2027-01-15T08:00Z', ['2027-02-07T00:00Z', '2027-03-07T00:00Z', '2027-04-04T00:00Z']],
    ['0 0 */2 * MON', '2027-01-15T08:00Z', ['2027-01-25T00:00Z', '2027-02-01T00:00Z', '2027-02-15T00:00Z']],
    [
      '0 0 13 * FRI',
      '2027-01-15T08:00Z',
      ['2027-01-22T00:00Z', '2027-01-29T00:00Z', '2027-02-05T00:00Z', '2027-02-12T00:00Z', '2027-02-13T00:00Z'],
    ],
    ['0 0 31 * *', '2027-01-15T08:00Z', ['2027-01-31T00:00Z', '2027-03-31T00:00Z', '2027-05-31T00:00Z', '2027-07-31T00:00Z']],
    ['0 0 30 jan,FEB *', '2027-01-15T08:00Z', ['2027-01-30T00:00Z', '2028-01-30T00:00Z']],
    ['59 23 31 12 *', '2027-12-31T23:58Z', ['2027-12-31T23:59Z', '2028-12-31T23:59Z']],
    ['* * * * *', '2027-12-31T23:59Z', ['2028-01-01T00:00Z', '2028-01-01T00:01Z']],
    ['0 0 29 2 *', '2027-01-15T08:00Z', ['2028-02-29T00:00Z', '2032-02-29T00:00Z']],
    ['0 0 29 2 *', '2096-03-01T00:00Z', ['2104-02-29T00:00Z']],
    [' 0\t9  * * * ', '2027-01-15T08:00Z', ['2027-01-15T09:00Z']],
    ['@yearly', '2027-01-15T08:00Z', ['2028-01-01T00:00Z', '2029-01-01T00:00Z']],
    ['@annually', '2027-01-15T08:00Z', ['2028-01-01T00:00Z']],
    ['@monthly', '2027-01-15T08:00Z', ['2027-02-01T00:00Z', '2027-03-01T00:00Z']],
    ['@weekly', '2027-01-15T08:00Z', ['2027-01-17T00:00Z', '2027-01-24T00:00Z']],
    ['@daily', '2027-01-15T08:00Z', ['2027-01-16T00:00Z', '2027-01-17T00:00Z']],
    ['@Midnight ', '2027-01-15T08:00Z', ['2027-01-16T00:00Z']],
    ['@hourly', '2027-01-15T08:00Z', ['2027-01-15T09:00Z', '2027-01-15T10:00Z']],
  ])('of %s after %s is %s', (repeat, after, expected) => {
    expect(occurrences(repeat, 'UTC', after, expected.length)).toEqual(expected)
  })

  test.each([
    ['0 0 13 * FRI', ['2027-01-08', '2027-01-13', '2027-01-15', '2027-01-22']],
    ['0 0 13 * *', ['2027-01-13', '2027-02-13', '2027-03-13']],
    ['0 0 * * FRI', ['2027-01-08', '2027-01-15', '2027-01-22']],
    ['0 0 30 2 MON', ['2027-02-01', '2027-02-08', '2027-02-15', '2027-02-22', '2028-02-07']],
  ])('takes day of month or day of week where both are restricted: %s', (repeat, days) => {
    expect(occurrences(repeat, 'UTC', '2027-01-01T12:00Z', days.length)).toEqual(days.map((day) => `${day}T00:00Z`))
  })

  test('is strictly after, on a whole minute, from any second', () => {
    const recurrence = { repeat: '* * * * *', timezone: 'UTC' }
    const minute = seconds('2027-01-15T08:00Z')
    expect([-1, 0, 1, 59.5, 60].map((after) => nextOccurrence(recurrence, minute + after))).toEqual(
      [0, 60, 60, 60, 120].map((later) => minute + later),
    )
  })

  test('is in the zone, at offsets that are not whole hours too', () => {
    expect(occurrences('0 0 * * *', 'Asia/Kolkata', '2027-01-15T08:00Z', 2)).toEqual(['2027-01-15T18:30Z', '2027-01-16T18:30Z'])
    expect(occurrences('0 0 1 1 *', 'Pacific/Kiritimati', '2026-06-01T00:00Z', 1)).toEqual(['2026-12-31T10:00Z'])
  })

  test('does not depend on the zone of the machine', () => {
    vi.stubEnv('TZ', 'America/New_York')
    expect(new Date(seconds('2025-03-09T07:00Z') * 1000).getHours()).toBe(3)
    expect(occurrences('30 2 * * *', 'UTC', '2025-03-09T00:00Z', 2)).toEqual(['2025-03-09T02:30Z', '2025-03-10T02:30Z'])
  })

  test('is the first whole minute where the offset of old has seconds', () => {
    expect(occurrences('30 12 * * *', 'Africa/Monrovia', '1971-06-01T00:00Z', 2)).toEqual(['1971-06-01T13:15Z', '1971-06-02T13:15Z'])
  })
})

describe('a time that a change of the clocks skips comes at the first minute after the change', () => {
  test.each([
    // 02:00 becomes 03:00 on 9 March 2025 at 07:00Z
    ['America/New_York', '30 2 * * *', '2025-03-07T12:00Z', ['2025-03-08T07:30Z', '2025-03-09T07:00Z', '2025-03-10T06:30Z']],
    ['America/New_York', '0 2 * * *', '2025-03-08T12:00Z', ['2025-03-09T07:00Z', '2025-03-10T06:00Z']],
    ['America/New_York', '0,30 2,3 * * *', '2025-03-09T00:00Z', ['2025-03-09T07:00Z', '2025-03-09T07:30Z', '2025-03-10T06:00Z']],
    ['America/New_York', '*/20 * * * *', '2025-03-09T06:30Z', ['2025-03-09T06:40Z', '2025-03-09T07:00Z', '2025-03-09T07:20Z']],
    ['America/New_York', '59 2 * * *', '2025-03-09T07:00Z', ['2025-03-10T06:59Z']],
    // 02:00 becomes 02:30 on 5 October 2025 at 15:30Z of the day before
    ['Australia/Lord_Howe', '15 2 * * *', '2025-10-03T00:00Z', ['2025-10-03T15:45Z', '2025-10-04T15:30Z', '2025-10-05T15:15Z']],
    ['Australia/Lord_Howe', '*/15 * * * *', '2025-10-04T15:00Z', ['2025-10-04T15:15Z', '2025-10-04T15:30Z', '2025-10-04T15:45Z']],
    ['Australia/Lord_Howe', '45 2 * * *', '2025-10-04T00:00Z', ['2025-10-04T15:45Z', '2025-10-05T15:45Z']],
    // 00:00 becomes 01:00 on 7 September 2025 at 04:00Z
    ['America/Santiago', '0 0 * * *', '2025-09-05T12:00Z', ['2025-09-06T04:00Z', '2025-09-07T04:00Z', '2025-09-08T03:00Z']],
    ['America/Santiago', '30 0 7 9 *', '2025-01-01T00:00Z', ['2025-09-07T04:00Z', '2026-09-07T03:30Z']],
    ['America/Santiago', '0 0,1 * * *', '2025-09-06T12:00Z', ['2025-09-07T04:00Z', '2025-09-08T03:00Z', '2025-09-08T04:00Z']],
    ['America/Santiago', '0 0 * * SUN', '2025-09-06T12:00Z', ['2025-09-07T04:00Z', '2025-09-14T03:00Z']],
    // 02:00 becomes 03:00 after Ramadan, on 14 April 2024 at 02:00Z
    ['Africa/Casablanca', '30 2 * * *', '2024-04-12T12:00Z', ['2024-04-13T02:30Z', '2024-04-14T02:00Z', '2024-04-15T01:30Z']],
    ['Africa/Casablanca', '*/30 * * * *', '2024-04-14T01:00Z', ['2024-04-14T01:30Z', '2024-04-14T02:00Z', '2024-04-14T02:30Z']],
    // the whole of 30 December 2011 is skipped at 10:00Z
    ['Pacific/Apia', '0 12 30 12 *', '2010-12-31T12:00Z', ['2011-12-30T10:00Z', '2012-12-29T22:00Z']],
    ['Pacific/Apia', '0 * * * *', '2011-12-30T08:30Z', ['2011-12-30T09:00Z', '2011-12-30T10:00Z', '2011-12-30T11:00Z']],
    ['Pacific/Apia', '0 0 * * *', '2011-12-28T12:00Z', ['2011-12-29T10:00Z', '2011-12-30T10:00Z', '2011-12-31T10:00Z']],
  ])('in %s: %s after %s', (timezone, repeat, after, expected) => {
    expect(occurrences(repeat, timezone, after, expected.length)).toEqual(expected)
  })
})

describe('a time that a change of the clocks repeats comes once, at the first of the two', () => {
  test.each([
    // 02:00 becomes 01:00 on 2 November 2025 at 06:00Z
    ['America/New_York', '30 1 * * *', '2025-10-31T12:00Z', ['2025-11-01T05:30Z', '2025-11-02T05:30Z', '2025-11-03T06:30Z']],
    ['America/New_York', '0 2 * * *', '2025-11-01T12:00Z', ['2025-11-02T07:00Z', '2025-11-03T07:00Z']],
    ['America/New_York', '*/20 * * * *', '2025-11-02T05:30Z', ['2025-11-02T05:40Z', '2025-11-02T07:00Z', '2025-11-02T07:20Z']],
    ['America/New_York', '0 * * * *', '2025-11-02T04:30Z', ['2025-11-02T05:00Z', '2025-11-02T07:00Z', '2025-11-02T08:00Z']],
    ['America/New_York', '30 1 * * *', '2025-11-02T06:10Z', ['2025-11-03T06:30Z']],
    ['America/New_York', '* * * * *', '2025-11-02T05:59Z', ['2025-11-02T07:00Z', '2025-11-02T07:01Z']],
    ['America/New_York', '* * * * *', '2025-11-02T06:00Z', ['2025-11-02T07:00Z', '2025-11-02T07:01Z']],
    // 02:00 becomes 01:30 on 6 April 2025 at 15:00Z of the day before
    ['Australia/Lord_Howe', '45 1 * * *', '2025-04-04T00:00Z', ['2025-04-04T14:45Z', '2025-04-05T14:45Z', '2025-04-06T15:15Z']],
    ['Australia/Lord_Howe', '*/15 * * * *', '2025-04-05T14:40Z', ['2025-04-05T14:45Z', '2025-04-05T15:30Z', '2025-04-05T15:45Z']],
    // 24:00 becomes 23:00 on 5 April 2025 at 03:00Z of the next day
    ['America/Santiago', '30 23 * * *', '2025-04-04T12:00Z', ['2025-04-05T02:30Z', '2025-04-06T02:30Z', '2025-04-07T03:30Z']],
    ['America/Santiago', '0 0 * * *', '2025-04-04T12:00Z', ['2025-04-05T03:00Z', '2025-04-06T04:00Z', '2025-04-07T04:00Z']],
    ['America/Santiago', '*/30 23 * * *', '2025-04-06T00:00Z', ['2025-04-06T02:00Z', '2025-04-06T02:30Z', '2025-04-07T03:00Z']],
    // 03:00 becomes 02:00 for Ramadan, on 10 March 2024 at 02:00Z
    ['Africa/Casablanca', '30 2 * * *', '2024-03-08T12:00Z', ['2024-03-09T01:30Z', '2024-03-10T01:30Z', '2024-03-11T02:30Z']],
    ['Africa/Casablanca', '*/30 * * * *', '2024-03-10T01:00Z', ['2024-03-10T01:30Z', '2024-03-10T03:00Z', '2024-03-10T03:30Z']],
  ])('in %s: %s after %s', (timezone, repeat, after, expected) => {
    expect(occurrences(repeat, timezone, after, expected.length)).toEqual(expected)
  })
})

// A zone and a time on the day of one of its changes.
const CHANGES: readonly (readonly [string, string])[] = [
  ['America/New_York', '2025-03-09T07:00Z'],
  ['America/New_York', '2025-11-02T06:00Z'],
  ['Australia/Lord_Howe', '2025-10-04T15:30Z'],
  ['Australia/Lord_Howe', '2025-04-05T15:00Z'],
  ['America/Santiago', '2025-09-07T04:00Z'],
  ['America/Santiago', '2025-04-06T03:00Z'],
  ['Africa/Casablanca', '2024-04-14T02:00Z'],
  ['Africa/Casablanca', '2024-03-10T02:00Z'],
  ['Pacific/Apia', '2011-12-30T10:00Z'],
  ['America/St_Johns', '2006-04-02T03:31Z'],
  ['Antarctica/Troll', '2025-03-30T01:00Z'],
  ['Asia/Pyongyang', '2015-08-14T15:00Z'],
  ['Pacific/Kwajalein', '1993-08-21T12:00Z'],
  ['Africa/Monrovia', '1972-01-07T00:44Z'],
  ['Asia/Kathmandu', '2025-12-31T18:15Z'],
]

/** The next midnights by another implementation. It is asked for each of the two days apart, and Vixie cron's rule joins the answers. */
function midnightsByAnother(dayOfMonth: string, month: string, dayOfWeek: string): string[] {
  const midnights = (days: string): string[] =>
    parseCronExpression(`0 0 ${days}`)
      .getNextDates(60, new Date('2027-01-15T08:00:00Z'))
      .map((date) => shown(date.getTime() / 1000))
  const [ofMonth, ofWeek] = [new Set(midnights(`${dayOfMonth} ${month} *`)), new Set(midnights(`* ${month} ${dayOfWeek}`))]
  const isEither = !dayOfMonth.startsWith('*') && !dayOfWeek.startsWith('*')
  const joined = isEither ? [...new Set([...ofMonth, ...ofWeek])] : [...ofMonth].filter((midnight) => ofWeek.has(midnight))
  // Both answers reach as far as the shorter one.
  const end = [[...ofMonth].at(-1), [...ofWeek].at(-1)].sort()[0] ?? ''
  return joined.filter((midnight) => midnight <= end).sort()
}

describe('all occurrences', () => {
  test('of many expressions are those that cron-schedule finds', () => {
    vi.stubEnv('TZ', 'UTC')
    fc.assert(
      fc.property(cronExpressions, ({ text }) => {
        const [, , dayOfMonth = '', month = '', dayOfWeek = ''] = text.split(' ')
        const expected = midnightsByAnother(dayOfMonth, month, dayOfWeek)
        const parsed = parseRecurrence(`0 0 ${dayOfMonth} ${month} ${dayOfWeek}`)
        expect(parsed.ok || expected.length === 0).toBe(true)
        if (parsed.ok) expect(occurrences(parsed.value.repeat, 'UTC', '2027-01-15T08:00Z', expected.length)).toEqual(expected)
      }),
      { numRuns: runs({ gate: 300, night: 5000 }) },
    )
  })

  test('over the days around a change are those that walking minute by minute finds', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(
        cronExpressions,
        fc.constantFrom(...CHANGES),
        fc.integer({ min: 1, max: 2000 }),
        (expression, [timezone, change], lead) => {
          const from = seconds(change) - lead * 60
          const to = seconds(change) + 1500 * 60
          const found: number[] = []
          let at = nextOccurrence({ repeat: expression.text, timezone }, from)
          while (at !== undefined && at <= to) {
            found.push(at)
            at = nextOccurrence({ repeat: expression.text, timezone }, at)
          }
          expect(found.map(shown)).toEqual(occurrencesByWalking(expression, timezone, from, to).map(shown))
        },
      ),
      { numRuns: 100 },
    )
  })

  test('are the same from wherever one looks: the next one after any time before it', () => {
    const leads = fc.integer({ min: 1, max: 2 * 86_400 })
    fc.assert(
      fc.property(cronExpressions, fc.constantFrom(...CHANGES), leads, leads, (expression, [timezone, change], a, b) => {
        const recurrence = { repeat: expression.text, timezone }
        const [early, late] = [seconds(change) + 86_400 - Math.max(a, b), seconds(change) + 86_400 - Math.min(a, b)]
        const [next, nextOfLate] = [early, late].map((after) => nextOccurrence(recurrence, after) ?? Infinity) as [number, number]
        expect(next).toBeGreaterThan(early)
        if (next > late) expect(nextOfLate).toBe(next)
        else expect(nextOfLate).toBeGreaterThan(next)
      }),
    )
  })
})

describe('a recurrence', () => {
  test('is kept as it was sent, in UTC where no zone is given', () => {
    expect(parseRecurrence(' 0 9 * * Mon', undefined)).toEqual({ ok: true, value: { repeat: ' 0 9 * * Mon', timezone: 'UTC' } })
    expect(parseRecurrence('@Daily', 'europe/berlin')).toEqual({ ok: true, value: { repeat: '@Daily', timezone: 'europe/berlin' } })
  })

  test.each([
    ['', '5 fields'],
    ['   ', '5 fields'],
    ['* * * *', '5 fields'],
    ['0 * * * * *', '5 fields'],
    ['0 0 0 1 1 * 2030', '5 fields'],
    ['@reboot', '@hourly; got "@reboot"'],
    ['@every 5m', '5 fields'],
    ['@minutely', '5 fields'],
    ['every day', '5 fields'],
    ['2030-01-01T00:00:00Z', '5 fields'],
    ['60 * * * *', 'as minute "*", a value from 0 to 59'],
    ['-1 * * * *', 'as minute'],
    ['1.5 * * * *', 'as minute'],
    ['5/15 * * * *', 'only "*" and ranges take a step'],
    ['*/0 * * * *', 'as minute'],
    ['*/61 * * * *', 'as minute'],
    ['*/2/3 * * * *', 'as minute'],
    ['50-10 * * * *', 'a range from low to high'],
    ['1,,2 * * * *', 'as minute'],
    ['1, * * * *', 'as minute'],
    ['** * * * *', 'as minute'],
    ['*-5 * * * *', 'as minute'],
    ['? * * * *', 'as minute'],
    ['MON * * * *', 'as minute'],
    ['007 * * * *', 'as minute'],
    ['٣ * * * *', 'as minute'],
    ['* 24 * * *', 'as hour "*", a value from 0 to 23'],
    ['* * 0 * *', 'as day of month "*", a value from 1 to 31'],
    ['* * 32 * *', 'as day of month'],
    ['* * ? * MON', 'as day of month'],
    ['0 0 L * *', 'as day of month'],
    ['0 0 LW * *', 'as day of month'],
    ['0 0 15W * *', 'as day of month'],
    ['* * JAN * *', 'as day of month'],
    ['* * * 0 *', 'as month "*", a value from 1 to 12 or JAN to DEC'],
    ['* * * 13 *', 'as month'],
    ['* * * JANUARY *', 'as month'],
    ['* * * XYZ *', 'as month'],
    ['* * * NOV-FEB *', 'as month'],
    ['* * * * 8', 'as day of week "*", a value from 0 to 7 or SUN to SAT'],
    ['* * * * SAT-MON', 'as day of week'],
    ['* * * * 5#2', 'as day of week'],
    ['* * * * 5L', 'as day of week'],
    ['* * * * +MON', 'as day of week'],
    ['0 0 30 2 *', 'must come true at some time'],
    ['0 0 30,31 FEB *', 'must come true at some time'],
    ['0 0 31 2,4,6,9,11 *', 'must come true at some time'],
    [`${'1,'.repeat(250)}1 * * * *`, 'at most 200 characters'],
  ])('is refused when repeat is %s', (repeat, reason) => {
    const parsed = parseRecurrence(repeat, undefined)
    expect(parsed).toMatchObject({ ok: false, problem: { pointer: '/repeat', detail: expect.stringMatching(/^repeat must /) } })
    expect(!parsed.ok && parsed.problem.detail).toContain(reason)
    expect(!parsed.ok && parsed.problem.detail).toContain(JSON.stringify(repeat.slice(0, 60)))
  })

  test('says which field is wrong and what stood there', () => {
    const parsed = parseRecurrence('0 24 * * MON', undefined)
    expect(!parsed.ok && parsed.problem.detail).toBe(
      'repeat must have as hour "*", a value from 0 to 23, a range from low to high such as "1-5", or a list of these with commas; only "*" and ranges take a step such as "/2"; got "24" in "0 24 * * MON"',
    )
  })

  test.each(['UTC', 'Europe/Berlin', 'america/argentina/buenos_aires', 'Etc/GMT+2', 'EST5EDT', 'CET', 'Asia/Calcutta'])(
    'takes the time zone %s',
    (timezone) => {
      expect(parseRecurrence('@daily', timezone)).toEqual({ ok: true, value: { repeat: '@daily', timezone } })
    },
  )

  test.each(['', '+02:00', '-0300', 'GMT+2', 'UTC+1', 'Z', 'BST', 'pst', 'Mars/Olympus', 'Europe/Berlin ', 'Europe'])(
    'is refused when the time zone is %j',
    (timezone) => {
      const detail = `timezone must be the name of an IANA time zone such as "Europe/Berlin" or "UTC"; got ${JSON.stringify(timezone)}`
      expect(parseRecurrence('@daily', timezone)).toEqual({ ok: false, problem: { pointer: '/timezone', detail } })
    },
  )
})
