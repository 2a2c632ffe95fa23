/** How long to wait before a retry. */

const BASE_MS = 1000
const CAP_MS = 5 * 60_000
/** A receiver can hold a task no longer than this with one answer. */
const LONGEST_RETRY_AFTER_MS = 60 * 60_000
// RFC 9110 §5.6.7. `Date.parse` alone would find a date in nearly every text that holds a number.
const HTTP_DATE = /^(?:[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4}|[A-Z][a-z]{5,8}, \d\d-[A-Z][a-z]{2}-\d\d) \d\d:\d\d:\d\d GMT$/
/** The oldest form of an HTTP date. It is GMT as well, but does not say so. */
const ASCTIME = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/

/** The wait before retry `n` (1-based) in ms: `min(1 s · 2^(n-1), 5 min)` times a factor from 0.5 to 1. @param random a number in [0, 1) */
export function backoffMs(n: number, random: number): number {
  return Math.round(Math.min(BASE_MS * 2 ** (n - 1), CAP_MS) * (0.5 + random / 2))
}

/**
 * The wait that a `Retry-After` header asks for, in ms, at most one hour (RFC 9110 §10.2.3: seconds, or an HTTP date).
 * @returns undefined where the header is absent or is neither
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  if (/^\s*\d+\s*$/.test(header)) return Math.min(Number(header) * 1000, LONGEST_RETRY_AFTER_MS)
  const at = ASCTIME.test(header) ? Date.parse(`${header} GMT`) : HTTP_DATE.test(header) ? Date.parse(header) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.min(Math.max(0, at - nowMs), LONGEST_RETRY_AFTER_MS)
}
