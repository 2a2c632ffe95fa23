/** Describes why a call got no complete answer. A description never holds a header, a payload or the query of a URL. */
import type { CallRequest } from './caller.ts'

const MAX_ERROR_LENGTH = 500
const TLS_CODE =
  /^(ERR_SSL_|ERR_TLS_|EPROTO$|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH$|INVALID_CA$|INVALID_PURPOSE$)/
/** The codes of undici, and those that Node has for the same. */
const NODE_CODES: Readonly<Record<string, string>> = {
  UND_ERR_SOCKET: 'ECONNRESET',
  UND_ERR_HEADERS_OVERFLOW: 'HPE_HEADER_OVERFLOW',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'ERR_HTTP_CONTENT_LENGTH_MISMATCH',
}

const PARSER_PREFIX = 'Response does not match the HTTP/1.1 protocol ('

/** The sentences for codes of the system, the resolver and Node. */
const SENTENCES: Readonly<Record<string, (host: string) => string>> = {
  ECONNREFUSED: (host) => `connection refused by ${host}`,
  ECONNRESET: (host) => `connection reset by ${host}`,
  EPIPE: (host) => `connection closed by ${host} while the request was sent`,
  ETIMEDOUT: (host) => `no connection to ${host}: it does not respond`,
  EHOSTUNREACH: (host) => `no route to ${host}`,
  ENETUNREACH: (host) => `no route to ${host}`,
  ENOTFOUND: (host) => `no such host: ${host}`,
  EAI_AGAIN: (host) => `the name server gave no answer for ${host}`,
  EMFILE: () => 'the node has too many open connections and files',
  ENFILE: () => 'the machine has too many open connections and files',
  EADDRNOTAVAIL: (host) => `the node has no local port left for a connection to ${host}`,
  HPE_HEADER_OVERFLOW: (host) => `the response headers of ${host} are too large`,
}

/** The time limit of the call has passed. */
export class TimeLimitError extends Error {
  readonly code = 'ETIMEDOUT'
  /** whether the name server had not answered by then */
  readonly isResolving: boolean

  constructor(isResolving: boolean) {
    super('time limit')
    this.isResolving = isResolving
  }
}

/** One sentence with the code, cut to 500 characters. @param hasStatus whether the status of the answer had come */
export function describeCallError(error: unknown, request: CallRequest, hasStatus: boolean): string {
  const { code: ownCode, name } = error as { code?: string; name?: string }
  const code = NODE_CODES[ownCode ?? ''] ?? ownCode ?? name ?? 'no code'
  const text = `${sentenceOf(error, code, request, hasStatus)} (${code})`
  return text.replaceAll('\0', '\uFFFD').slice(0, MAX_ERROR_LENGTH).toWellFormed()
}

function sentenceOf(error: unknown, code: string, { url, timeoutMs }: CallRequest, hasStatus: boolean): string {
  const host = URL.parse(url)?.host ?? 'the host'
  if (error instanceof TimeLimitError) {
    const missing = error.isResolving ? `the name server gave no answer for ${host}` : 'no complete answer'
    return `${missing} within ${timeoutMs / 1000} s`
  }
  const message = messageOf(error)
  if (message === 'bad upgrade') return `${host} switched to another protocol unasked`
  const isCut = code === 'ECONNRESET' || code === 'ERR_HTTP_CONTENT_LENGTH_MISMATCH'
  if (hasStatus && isCut) return `the response of ${host} was cut short`
  if (TLS_CODE.test(code)) return `no TLS connection to ${host}: ${message}`
  if (message.startsWith(PARSER_PREFIX))
    return `${host} did not answer with valid HTTP: Parse Error: ${message.slice(PARSER_PREFIX.length, -1)}`
  if (message === 'other side closed' || message === 'closed') return `connection closed by ${host} before an answer`
  return SENTENCES[code]?.(host) ?? message
}

/** Of a message of OpenSSL, the reason alone. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return /:error:[^:]*:[^:]*:[^:]*:([^:]+):/.exec(message)?.[1] ?? message
}
