/**
 * Repeating times: reads a cron expression with its time zone, and finds its next time. The expression works on wall-clock times;
 * `time-zone.ts` maps them to instants in the same way for every expression.
 */
import { Cron } from 'croner'
import type { Parsed, Problem } from '../errors.ts'
import { memoize } from './memoize.ts'
import { explainTimezone, firstInstant, furthestWallTime } from './time-zone.ts'
import { minuteOf } from './trigger-time.ts'

/** A cron expression as the client sent it, and the name of an IANA time zone. Made by {@link parseRecurrence}. */
export interface Recurrence {
  readonly repeat: string
  readonly timezone: string
}

const MAX_LENGTH = 200
/** A parsed expression is large: croner keeps an array of years in each. */
const SCHEDULES_KEPT = 100

const NICKNAMES = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']
const FIELDS = [
  { name: 'minute', values: '0 to 59' },
  { name: 'hour', values: '0 to 23' },
  { name: 'day of month', values: '1 to 31' },
  { name: 'month', values: '1 to 12 or JAN to DEC' },
  { name: 'day of week', values: '0 to 7 or SUN to SAT (0 and 7 are both Sunday)' },
]
// croner also takes `?`, `L`, `W`, `#` and `+`, but every cron has its own meaning of these.
const ITEM = /^(?:\*|(?:\d{1,2}|[a-z]{3})(?:-(?:\d{1,2}|[a-z]{3}))?)(?:\/\d{1,2})?$/i

const EXPECTED = `a cron expression of 5 fields (${FIELDS.map(({ name }) => name).join(', ')}) such as "0 9 * * MON-FRI", or one of ${NICKNAMES.join(', ')}`

/** Just before a leap year, which has every date. croner looks no further than 3000, so the check for a time that never comes is fast. */
const BEFORE_LAST_LEAP_YEAR = new Date(Date.UTC(2995, 11, 31, 23, 59))

const scheduleOf = memoize(SCHEDULES_KEPT, (repeat) => new Cron(repeat, { mode: '5-part', utcOffset: 0, domAndDow: needsBothDays(repeat) }))

/**
 * Takes 5 fields with lists, ranges, steps and names, and the nicknames from `@yearly` to `@hourly`. Where day of month and day of week are
 * both restricted, either of them is enough. An expression that never comes true is refused.
 * @param timezone UTC where undefined
 */
export function parseRecurrence(repeat: string, timezone = 'UTC'): Parsed<Recurrence> {
  const problem = explainRepeat(repeat) ?? explainTimezone(timezone)
  return problem === undefined ? { ok: true, value: { repeat, timezone } } : { ok: false, problem }
}

/**
 * The first time strictly after `after` (Unix seconds), as a Unix time in seconds on a whole minute; undefined after the year 2999. A time
 * that a change of the clocks skips comes at the first minute after the change. A repeated time comes once, at the first of the two.
 * Times that fall together come once.
 * @throws Error on a recurrence that `parseRecurrence` refuses
 */
export function nextOccurrence(recurrence: Recurrence, after: number): number | undefined {
  const wall = furthestWallTime(recurrence.timezone, minuteOf(after * 1000))
  const next = scheduleOf(recurrence.repeat).nextRun(new Date(wall * 1000))
  return next === null ? undefined : firstInstant(recurrence.timezone, next.getTime() / 1000)
}

/** Vixie cron and cronie: a field that begins with an asterisk is not restricted, even with a step. Then a day must match both fields. */
function needsBothDays(repeat: string): boolean {
  const [, , dayOfMonth, , dayOfWeek] = repeat.trim().split(/\s+/)
  return [dayOfMonth, dayOfWeek].some((field) => field?.startsWith('*'))
}

function explainRepeat(repeat: string): Problem | undefined {
  if (repeat.length > MAX_LENGTH) return problem(`must be at most ${MAX_LENGTH} characters`, repeat)
  const isNickname = NICKNAMES.includes(repeat.trim().toLowerCase())
  const fields = repeat.trim().split(/\s+/)
  if (!isNickname && fields.length !== FIELDS.length) return problem(`must be ${EXPECTED}`, repeat)
  if (!isNickname && !(fields.every(isWellFormed) && isTaken(repeat))) return explainFields(fields, repeat)
  const comes = scheduleOf(repeat).nextRun(BEFORE_LAST_LEAP_YEAR) !== null
  return comes ? undefined : problem('must come true at some time, and no month that it names has such a day', repeat)
}

function explainFields(fields: readonly string[], repeat: string): Problem {
  const place = fields.findIndex((field, i) => !isWellFormed(field) || !isTaken(FIELDS.map((_, j) => (j === i ? field : '*')).join(' ')))
  const wrong = FIELDS[place]
  if (wrong === undefined) return problem(`must be ${EXPECTED}`, repeat)
  const rule = `must have as ${wrong.name} "*", a value from ${wrong.values}, a range from low to high such as "1-5", or a list of these with commas; only "*" and ranges take a step such as "/2"`
  return problem(rule, repeat, fields[place])
}

function isWellFormed(field: string): boolean {
  return field.split(',').every((item) => ITEM.test(item))
}

function isTaken(repeat: string): boolean {
  try {
    scheduleOf(repeat)
    return true
  } catch {
    return false
  }
}

function problem(rule: string, sent: string, part?: string): Problem {
  const got = part === undefined ? '' : `${JSON.stringify(part)} in `
  return { pointer: '/repeat', detail: `repeat ${rule}; got ${got}${JSON.stringify(sent.slice(0, 60))}` }
}
