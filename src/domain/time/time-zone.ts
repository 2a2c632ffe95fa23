/**
 * Time zones: turns instants into wall-clock times and back. A wall-clock time is written as the Unix time at which clocks in UTC show
 * it. All times are in seconds; instants are on whole minutes.
 */
import type { Problem } from '../errors.ts'
import { memoize } from './memoize.ts'

const MINUTE = 60
/** No zone is further from UTC than a day, and no change turns clocks by more. */
const DAY = 86_400

const FORMATS_KEPT = 100
const OFFSET = /GMT([+-])(\d\d):(\d\d)(?::(\d\d))?$/

/** The zones of the IANA database with three letters. Intl takes more names, such as BST for Asia/Dhaka. */
const THREE_LETTERS = new Set(['CET', 'EET', 'EST', 'GMT', 'HST', 'MET', 'MST', 'PRC', 'ROC', 'ROK', 'UCT', 'UTC', 'WET'])

const formatOf = memoize(FORMATS_KEPT, (timezone) => new Intl.DateTimeFormat('en-US', { timeZone: timezone, timeZoneName: 'longOffset' }))

/** Whether this is the name of a zone in the IANA database, in any case. An offset such as `+02:00` is no name. */
export function isTimeZone(name: string): boolean {
  if (/^[+-]/.test(name) || (name.length === 3 && !THREE_LETTERS.has(name.toUpperCase()))) return false
  try {
    formatOf(name)
    return true
  } catch {
    return false
  }
}

/** @returns why a `timezone` is refused; undefined for a good one */
export function explainTimezone(timezone: string): Problem | undefined {
  if (isTimeZone(timezone)) return undefined
  const rule = 'must be the name of an IANA time zone such as "Europe/Berlin" or "UTC"'
  return { pointer: '/timezone', detail: `timezone ${rule}; got ${JSON.stringify(timezone.slice(0, 60))}` }
}

/** The latest wall-clock time that clocks have shown up to the minute `at`. While an hour is repeated, it is the end of the first pass. */
export function furthestWallTime(timezone: string, at: number): number {
  const change = findChange(timezone, at - DAY, at)
  return Math.max(change.at - MINUTE + change.before, at + change.after)
}

/** The first whole minute at which clocks show `wall` or more. A repeated time gives the first of two, a skipped one the end of the gap. */
export function firstInstant(timezone: string, wall: number): number {
  const change = findChange(timezone, wall - DAY, wall + DAY)
  const early = ceilToMinute(wall - change.before)
  return early < change.at ? early : Math.max(change.at, ceilToMinute(wall - change.after))
}

/** RFC 3339 with the offset that the zone has at this instant. */
export function formatLocalTime(timezone: string, at: number): string {
  const offset = offsetAt(timezone, at)
  const local = new Date((at + offset) * 1000).toISOString().slice(0, 19)
  const distance = new Date(Math.abs(offset) * 1000).toISOString().slice(11, 16)
  return `${local}${offset < 0 ? '-' : '+'}${distance}`
}

/** The offsets at both ends, and the first minute with the later offset; `from` where nothing changes. Changes are days apart. */
function findChange(timezone: string, from: number, to: number): { before: number; after: number; at: number } {
  const before = offsetAt(timezone, from)
  const after = offsetAt(timezone, to)
  if (before === after) return { before, after, at: from }
  let [low, high] = [from, to]
  while (high - low > MINUTE) {
    const middle = low + Math.floor((high - low) / (2 * MINUTE)) * MINUTE
    if (offsetAt(timezone, middle) === before) low = middle
    else high = middle
  }
  return { before, after, at: high }
}

/** Seconds east of UTC. */
function offsetAt(timezone: string, at: number): number {
  const match = OFFSET.exec(formatOf(timezone).format(at * 1000))
  if (match === null) return 0
  const distance = Number(match[2]) * 3600 + Number(match[3]) * MINUTE + Number(match[4] ?? 0)
  return match[1] === '-' ? -distance : distance
}

function ceilToMinute(seconds: number): number {
  return Math.ceil(seconds / MINUTE) * MINUTE
}
