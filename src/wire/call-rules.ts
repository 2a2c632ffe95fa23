/** The rules for the call of a task or a handler that a schema cannot express. */
import type { Problem } from '../domain/errors.ts'
import { faultOfUrl } from '../domain/task/callback-url.ts'
import { REDACTED, isSecretHeader } from './secret-headers.ts'
import type { TaskBody } from './bodies.ts'
import { escapePointer, show } from './validate.ts'

const MAX_HEADER_BYTES = 16 * 1024
/** The headers of one connection (RFC 9110 §7.6.1), and the headers that the call itself sets. */
const REFUSED_HEADER =
  /^(connection|keep-alive|proxy-(authenticate|authorization|connection)|te|expect|trailer|transfer-encoding|upgrade|host|content-length|(callme|webhook)-.*)$/

type CallFields = Pick<TaskBody, 'callback' | 'error_callback' | 'headers' | 'delivery' | 'retry'>

/** @returns for each member the first rule that it breaks */
export function checkCall(fields: CallFields): Problem[] {
  const problems = [
    checkCallback('callback', fields.callback),
    checkCallback('error_callback', fields.error_callback),
    checkHeaders(fields.headers ?? {}),
    checkDelivery(fields),
  ]
  return problems.filter((problem) => problem !== undefined)
}

function checkCallback(field: 'callback' | 'error_callback', url: string | undefined): Problem | undefined {
  if (url === undefined) return undefined
  const fault = faultOfUrl(url)
  if (fault === undefined) return undefined
  // The text before an "@" may be a password, and clients log answers.
  return { pointer: `/${field}`, detail: url.includes('@') ? `${field} ${fault}` : `${field} ${fault}; got ${show(url)}` }
}

function checkHeaders(headers: Readonly<Record<string, string>>): Problem | undefined {
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

function checkDelivery({ delivery, retry }: CallFields): Problem | undefined {
  if (delivery !== 'at_most_once' || retry === undefined || retry === 0) return undefined
  return { pointer: '/retry', detail: `retry must be absent or 0 where delivery is "at_most_once"; got ${retry}` }
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
