/** Reads times in each form that people write, rounds instants to minutes, and writes them as RFC 3339. */
import { refuse, type Parsed } from '../errors.ts'
import { firstInstant } from './time-zone.ts'

export const MINUTE_MS = 60_000
export const SECONDS_PER_MINUTE = 60
const MOST_DAYS_AHEAD = 3653
const SECONDS_PER_DAY = 86_400

/** The instants of our age have thirteen digits in milliseconds, and ten in seconds. */
const MILLISECONDS = /^\d{13}$/

const EXPECTED =
  '"+<n>m", "+<n>h" or "+<n>d", several of them such as "+1h30m", "now", a Unix time on a whole minute in the future, or an RFC 3339 time or date on a whole minute such as "2030-01-01T00:00Z"'
const EXPECTED_INSTANT =
  'a Unix time in seconds or an RFC 3339 time such as "2030-01-01T00:00Z", a date, "now", or a time before or after now such as "-24h" or "+1h30m"'

const WHERE = 'be a time with an offset such as "Z" or "+01:00" where no timezone is given'

const DISTANCE = /^([+-])(?=\d)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/
const WRITTEN = /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)?)?$/
/** The last instant that a date can hold, epoch ms (ECMAScript). */
const LAST_INSTANT = 8.64e15

/** Where relative times count from, and where local times are. */
export interface TimeContext {
  /** epoch ms */
  readonly now: number
  /** an IANA zone; a date without one is in UTC, and a time of day needs one or an offset */
  readonly timezone?: string | undefined
}

/** The start of the minute that holds `nowMs`, as a Unix time in seconds. */
export function minuteOf(nowMs: number): number {
  return Math.floor(nowMs / MINUTE_MS) * SECONDS_PER_MINUTE
}

/** The first whole minute after `nowMs`, as a Unix time in seconds. */
export function nextMinute(nowMs: number): number {
  return minuteOf(nowMs) + SECONDS_PER_MINUTE
}

/**
 * Reads a `trigger_at` as a client writes it. Relative forms count from the start of the current minute, so `+0m` and `now` are
 * the current minute; absolute forms must lie in the future. No form may lie more than ten years ahead.
 * @returns a Unix time in seconds on a whole minute
 */
export function parseTriggerTime(input: string | number, context: TimeContext): Parsed<number> {
  const minute = minuteOf(context.now)
  const distance = typeof input === 'string' && !input.startsWith('-') ? readDistance(input) : undefined
  if (distance?.unit === 's') {
    return problem(input, 'must be in minutes, because callme goes by minutes; "+0m" runs at once, "+1m" is the next minute')
  }
  if (typeof input === 'string' && isLocal(input) && context.timezone === undefined) return problem(input, `must ${WHERE}`)
  const seconds = distance === undefined ? readAbsolute(input, context) : minute + distance.seconds
  if (seconds === undefined) return problem(input, `must be ${EXPECTED}`)
  // This check comes first, because a larger number may be inexact or infinite.
  if (seconds > minute + MOST_DAYS_AHEAD * SECONDS_PER_DAY) {
    const hint = MILLISECONDS.test(String(input)) ? ', as a Unix time in seconds, not in milliseconds' : ''
    return problem(input, `must be at most 10 years ahead${hint}`)
  }
  if (seconds % SECONDS_PER_MINUTE !== 0) {
    return problem(input, `must be on a whole minute (a Unix time divisible by 60); the nearest before it is ${seconds - (seconds % 60)}`)
  }
  if (distance === undefined && seconds * 1000 <= context.now) return problem(input, 'must be in the future; "+0m" runs at once')
  return { ok: true, value: seconds }
}

/** Reads an end of a range, in the past or in the future. @param name of the parameter @returns Unix seconds */
export function parseInstant(name: string, text: string, context: TimeContext): Parsed<number> {
  const refused = (rule: string) => refuse(`?${name}`, `${name} must ${rule}; got ${show(text)}`)
  if (isLocal(text) && context.timezone === undefined) return refused(WHERE)
  const distance = readDistance(text)
  const seconds = distance === undefined ? readAbsolute(text, context) : Math.floor(context.now / 1000) + distance.seconds
  // A longer number is no time in seconds.
  return seconds === undefined || !(Math.abs(seconds) < 1e12) ? refused(`be ${EXPECTED_INSTANT}`) : { ok: true, value: seconds }
}

/** A time that is relative to now, in whole seconds. `unit` is the smallest one that was written. */
function readDistance(text: string): { readonly seconds: number; readonly unit: 's' | 'm' } | undefined {
  if (text === 'now') return { seconds: 0, unit: 'm' }
  const match = DISTANCE.exec(text)
  if (!match) return undefined
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = match.slice(2).map(numberOf)
  const distance = days * SECONDS_PER_DAY + hours * 3600 + minutes * SECONDS_PER_MINUTE + seconds
  return { seconds: match[1] === '-' ? -distance : distance, unit: match[5] === undefined ? 'm' : 's' }
}

/** @returns Unix seconds */
function readAbsolute(input: string | number, { timezone }: TimeContext): number | undefined {
  if (typeof input === 'number') return Number.isInteger(input) && input >= 0 ? input : undefined
  return /^\d+$/.test(input) ? Number(input) : readWritten(input, timezone)
}

/** Whether the text has a time of day but no offset. */
function isLocal(text: string): boolean {
  const match = WRITTEN.exec(text)
  return match?.[4] !== undefined && match[8] === undefined && match[9] === undefined
}

/** An instant as RFC 3339 in UTC, to the millisecond. @param ms epoch ms. A damaged row may hold any value: a date gets as near as it can. */
export function rfc3339(ms: number): string {
  const instant = Math.max(-LAST_INSTANT, Math.min(ms, LAST_INSTANT))
  return new Date(Number.isNaN(instant) ? 0 : instant).toISOString()
}

/** RFC 3339 §5.6, also without seconds, with a shorter offset, or as a date alone. `Date.parse` would roll a date over that does not exist. */
function readWritten(text: string, timezone = 'UTC'): number | undefined {
  const match = WRITTEN.exec(text)
  if (!match) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(numberOf)
  const utc = new Date(Date.UTC(year, month - 1, day, hour, minute))
  const isReal = utc.getUTCMonth() === month - 1 && utc.getUTCDate() === day && hour < 24 && minute < 60 && second < 60
  const [offsetHour, offsetMinute] = [numberOf(match[10]), numberOf(match[11])]
  if (!isReal || year < 1970 || offsetHour > 23 || offsetMinute > 59 || numberOf(match[7]) !== 0) return undefined
  const wall = utc.getTime() / 1000
  if (match[8] === undefined && match[9] === undefined) return firstInstant(timezone, wall) + second
  const offsetSeconds = (offsetHour * 3600 + offsetMinute * 60) * (match[9] === '-' ? -1 : 1)
  return wall + second - offsetSeconds
}

/** @param digits undefined where the part is left out */
function numberOf(digits: string | undefined): number {
  return Number(digits ?? 0)
}

function problem(input: string | number, rule: string): Parsed<never> {
  return refuse('/trigger_at', `trigger_at ${rule}; got ${show(input)}`)
}

function show(input: string | number): string {
  return JSON.stringify(typeof input === 'string' ? input.slice(0, 60) : input)
}
