/** Shortens a text that may be long for the store: an endpoint's answer, or the detail of an acknowledgement. */

/** bytes of UTF-8 */
export const KEPT_BYTES = 1024

/** The first `KEPT_BYTES` of UTF-8. A character cut in two is left out; NUL and invalid bytes become U+FFFD, so any store takes it. */
export function truncateText(bytes: Uint8Array): string {
  if (bytes.length === 0) return ''
  // In stream mode the decoder waits for the rest of a cut character, and so leaves it out.
  const isCut = bytes.length >= KEPT_BYTES
  return new TextDecoder().decode(bytes.subarray(0, KEPT_BYTES), { stream: isCut }).replaceAll('\0', '\uFFFD')
}
