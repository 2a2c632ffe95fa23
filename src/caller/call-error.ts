/** Describes why a call got no complete answer. A description never holds a header, a payload or the query of a URL. */
import { RequestError, TimeoutError } from 'got'
import type { CallRequest } from './caller.ts'

const MAX_ERROR_LENGTH = 500
const TLS_CODE =
  /^(ERR_SSL_|ERR_TLS_|EPROTO$|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH$|INVALID_CA$|INVALID_PURPOSE$)/

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
  HPE_HEADER_OVERFLOW: (host) => `the response headers of ${host} are too large`,
  ERR_HTTP_CONTENT_LENGTH_MISMATCH: (host) => `the response of ${host} was cut short`,
}

/** The status of an answer that ended too early; undefined where there was no answer. */
export function statusOfCallError(error: unknown): number | undefined {
  return error instanceof RequestError ? error.response?.statusCode : undefined
}

/** One sentence with the code, cut to 500 characters. */
export function describeCallError(error: unknown, request: CallRequest): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'no code'
  return `${sentenceOf(error, code, request)} (${code})`.replaceAll('\0', '\uFFFD').slice(0, MAX_ERROR_LENGTH).toWellFormed()
}

function sentenceOf(error: unknown, code: string, { url, timeoutMs }: CallRequest): string {
  if (error instanceof TimeoutError) return `no complete answer within ${timeoutMs / 1000} s`
  const host = URL.parse(url)?.host ?? 'the host'
  const hasAnswer = statusOfCallError(error) !== undefined
  if (hasAnswer && code === 'ECONNRESET') return `the response of ${host} was cut short`
  const message = messageOf(error)
  if (TLS_CODE.test(code)) return `no TLS connection to ${host}: ${message}`
  if (code.startsWith('HPE_') && !(code in SENTENCES)) return `${host} did not answer with valid HTTP: ${message}`
  if (message === 'socket hang up') return `connection closed by ${host} before an answer`
  return SENTENCES[code]?.(host) ?? message
}

/** Of a message of OpenSSL, the reason alone. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return /:error:[^:]*:[^:]*:[^:]*:([^:]+):/.exec(message)?.[1] ?? message
}
