/** What is kept of a text that may be long: an endpoint's answer, or the detail of an acknowledgement. */

/** bytes of UTF-8 */
export const KEPT_BYTES = 1024

/**
 * The first `KEPT_BYTES` of UTF-8 as text that any store takes: a character cut in two is left out, NUL and bytes that are not UTF-8
 * become U+FFFD.
 */
export function truncateText(bytes: Uint8Array): string {
  if (bytes.length === 0) return ''
  // In stream mode the decoder waits for the rest of a character, and so leaves out one that is cut in two.
  const isCut = bytes.length >= KEPT_BYTES
  return new TextDecoder().decode(bytes.subarray(0, KEPT_BYTES), { stream: isCut }).replaceAll('\0', '\uFFFD')
}
