/** What a task's call may look like: the rules for its URL and its headers that a schema cannot say. */
import type { Problem } from '../domain/errors.ts'
import { REDACTED, isSecretHeader } from './secret-headers.ts'
import { escapePointer, show } from './validate.ts'

const MAX_HEADER_BYTES = 16 * 1024
/** Those of one connection (RFC 9110 §7.6.1) and those that the call itself sets. */
const REFUSED_HEADER =
  /^(connection|keep-alive|proxy-(authenticate|authorization|connection)|te|expect|trailer|transfer-encoding|upgrade|host|content-length|(callme|webhook)-.*)$/

/** `new URL` repairs what it is given; only what needs no repair is taken, so that what is stored is what is called. */
export function checkCallback(callback: string): Problem | undefined {
  const fault = faultOf(callback)
  if (fault === undefined) return undefined
  // What stands before an "@" may be a password, which must not reach the logs of those who log answers.
  return { pointer: '/callback', detail: callback.includes('@') ? `callback ${fault}` : `callback ${fault}; got ${show(callback)}` }
}

function faultOf(callback: string): string | undefined {
  if (/[\s\p{Cc}\p{Cs}]/u.test(callback)) return 'must not hold white space or control characters; percent-encode them'
  if (!/^https?:\/\/[^/\\]/i.test(callback) || !URL.canParse(callback)) {
    return 'must be an absolute http or https URL such as "http://example.com/run"'
  }
  if (/^https?:\/\/[^/?#\\]*@/i.test(callback)) return 'must not hold a user name or password; send them in headers'
  return undefined
}

export function checkHeaders(headers: Readonly<Record<string, string>>): Problem | undefined {
  const seen = new Set<string>()
  let bytes = 0
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    const pointer = `/headers/${escapePointer(name)}`
    const fault = headerFault(name, value)
    if (fault !== undefined) return { pointer, detail: fault }
    if (seen.has(lower)) return { pointer, detail: `headers must hold each name once, in whatever case; got ${show(name)} again` }
    seen.add(lower)
    // Both are Latin-1 by the schema, so a character is a byte.
    bytes += name.length + value.length
  }
  if (bytes <= MAX_HEADER_BYTES) return undefined
  return { pointer: '/headers', detail: `headers must be at most ${MAX_HEADER_BYTES} bytes together, names and values; got ${bytes}` }
}

function headerFault(name: string, value: string): string | undefined {
  if (REFUSED_HEADER.test(name.toLowerCase())) {
    return `headers must not hold ${show(name)}: callme sets it, or it belongs to the connection`
  }
  if (name === '__proto__') return 'headers must not hold "__proto__": JavaScript keeps that name for itself; use another one'
  if (value === REDACTED && isSecretHeader(name)) {
    return `headers.${name} holds the word "${REDACTED}", which is what a secret reads back as; send the real value`
  }
  return undefined
}
