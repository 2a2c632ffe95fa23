/** Reads `trigger_at` in each of its forms, rounds instants to minutes, and writes them as RFC 3339. */
import { refuse, type Parsed } from '../errors.ts'

export const MINUTE_MS = 60_000
export const SECONDS_PER_MINUTE = 60
const MOST_DAYS_AHEAD = 3653
const SECONDS_PER_UNIT = { m: 60, h: 3600, d: 86_400 } as const

/** The instants of our age have thirteen digits in milliseconds, and ten in seconds. */
const MILLISECONDS = /^\d{13}$/

const EXPECTED =
  '"+<n>m", "+<n>h" or "+<n>d", a Unix time on a whole minute in the future, or an RFC 3339 time on a whole minute such as "2030-01-01T00:00:00Z"'

/** The start of the minute that holds `nowMs`, as a Unix time in seconds. */
export function minuteOf(nowMs: number): number {
  return Math.floor(nowMs / MINUTE_MS) * SECONDS_PER_MINUTE
}

/** The first whole minute after `nowMs`, as a Unix time in seconds. */
export function nextMinute(nowMs: number): number {
  return minuteOf(nowMs) + SECONDS_PER_MINUTE
}

/**
 * Reads a `trigger_at` as a client writes it. Relative forms count from the start of the current minute, so `+0m` is
 * the current minute; absolute forms must lie in the future. No form may lie more than ten years ahead.
 * @returns a Unix time in seconds on a whole minute
 */
export function parseTriggerTime(input: string | number, nowMs: number): Parsed<number> {
  const seconds = readSeconds(input, nowMs)
  if (seconds === undefined) return problem(input, `must be ${EXPECTED}`)
  // This check comes first, because a larger number may be inexact or infinite.
  if (seconds > minuteOf(nowMs) + MOST_DAYS_AHEAD * SECONDS_PER_UNIT.d) {
    const hint = MILLISECONDS.test(String(input)) ? ', as a Unix time in seconds, not in milliseconds' : ''
    return problem(input, `must be at most 10 years ahead${hint}`)
  }
  if (seconds % SECONDS_PER_MINUTE !== 0) {
    return problem(input, `must be on a whole minute (a Unix time divisible by 60); the nearest before it is ${seconds - (seconds % 60)}`)
  }
  if (!isRelative(input) && seconds * 1000 <= nowMs) return problem(input, 'must be in the future; "+0m" runs at once')
  return { ok: true, value: seconds }
}

/** Reads an instant of a list filter in Unix seconds or as RFC 3339, past or future. @returns Unix seconds; undefined for other text */
export function parseInstant(text: string): number | undefined {
  return /^\d{1,12}$/.test(text) ? Number(text) : readRfc3339(text)
}

function isRelative(input: string | number): boolean {
  return typeof input === 'string' && input.startsWith('+')
}

function readSeconds(input: string | number, nowMs: number): number | undefined {
  if (typeof input === 'number') return Number.isInteger(input) && input >= 0 ? input : undefined
  const relative = /^\+(\d+)([mhd])$/.exec(input)
  if (relative) return minuteOf(nowMs) + Number(relative[1]) * SECONDS_PER_UNIT[relative[2] as 'm' | 'h' | 'd']
  return /^\d+$/.test(input) ? Number(input) : readRfc3339(input)
}

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/

/** The last instant that a date can hold, epoch ms (ECMAScript). */
const LAST_INSTANT = 8.64e15

/** An instant as RFC 3339 in UTC, to the millisecond. @param ms epoch ms. A damaged row may hold any value: a date gets as near as it can. */
export function rfc3339(ms: number): string {
  const instant = Math.max(-LAST_INSTANT, Math.min(ms, LAST_INSTANT))
  return new Date(Number.isNaN(instant) ? 0 : instant).toISOString()
}

/** RFC 3339 §5.6. A date that does not exist is refused; `Date.parse` would roll it over. */
function readRfc3339(text: string): number | undefined {
  const match = RFC3339.exec(text)
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [number, number, number, number, number, number]
  const utc = new Date(Date.UTC(year, month - 1, day, hour, minute, second))
  const isReal = utc.getUTCMonth() === month - 1 && utc.getUTCDate() === day && hour < 24 && minute < 60 && second < 60
  const [offsetHour, offsetMinute] = [Number(match[9] ?? 0), Number(match[10] ?? 0)]
  if (!isReal || year < 1970 || offsetHour > 23 || offsetMinute > 59 || Number(match[7] ?? 0) !== 0) return undefined
  const offsetSeconds = (offsetHour * 3600 + offsetMinute * 60) * (match[8] === '-' ? -1 : 1)
  return utc.getTime() / 1000 - offsetSeconds
}

function problem(input: string | number, rule: string): Parsed<never> {
  const sent = JSON.stringify(typeof input === 'string' ? input.slice(0, 60) : input)
  return refuse('/trigger_at', `trigger_at ${rule}; got ${sent}`)
}
