/** Times as text. */

/** RFC 3339 in UTC, to the millisecond. @param ms epoch ms */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString()
}
