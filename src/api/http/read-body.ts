/** Reads a request body as JSON, whatever its Content-Type says, within bounds of size and depth. */
import { isUtf8 } from 'node:buffer'
import express from 'express'
import type { Request, RequestHandler } from 'express'
import { CallmeError, badRequest, refuse } from '../../domain/errors.ts'
import type { Parsed } from '../../domain/errors.ts'

/** Far above what any body needs, and far below what makes a parser slow or a recursive function overflow. */
const MAX_PARSER_DEPTH = 1000
/** What every number has that a double cannot hold; most bodies have it nowhere and are parsed without a look at each value. */
const MAY_HOLD_LARGE_NUMBER = /\d{16}|\d[eE]/
const BYTE_ORDER_MARK = '\uFEFF'
const SHOWN_DIGITS = 60
const [QUOTE, BACKSLASH] = [0x22, 0x5c]
const [OPEN_BRACKET, OPEN_BRACE, CLOSE_BRACKET, CLOSE_BRACE] = [0x5b, 0x7b, 0x5d, 0x7d]

/** Collects the body of at most `limit` bytes, 1 MiB unless told, counted after decompression, for `bodyText`. */
export function readBody(limit: number = 2 ** 20): RequestHandler {
  const collect: RequestHandler = express.raw({ type: () => true, limit })
  return (req, res, next) => {
    collect(req, res, (cause?: unknown) => {
      if (cause === undefined) next()
      else next(translate(cause, limit))
    })
  }
}

/** The body that `readBody` has collected; empty where there is none. @throws CallmeError on an encoding other than UTF-8 */
export function bodyText(req: Request): string {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(req.headers['content-type'] ?? '')?.[1]
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new CallmeError('unsupported_media_type', `the charset ${JSON.stringify(charset)} is not supported; send the body as UTF-8`)
  }
  const bytes = req.body as Buffer | undefined
  if (bytes === undefined) return ''
  if (!isUtf8(bytes)) throw badRequest({ pointer: '', detail: 'the body must be UTF-8; it holds bytes that are not' })
  const text = bytes.toString('utf8')
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text
}

/** @param example what a right body looks like, for the sentence that refuses a broken one */
export function parseJson(text: string, example: string): Parsed<unknown> {
  if (isTooDeep(text))
    return refuse('', `the body is nested more than ${MAX_PARSER_DEPTH} levels deep; a payload may be nested at most 100`)
  try {
    return MAY_HOLD_LARGE_NUMBER.test(text) ? parseExactly(text) : { ok: true, value: JSON.parse(text) }
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? cause.message : 'it cannot be read'
    return refuse('', `the body must be JSON such as ${example}; ${reason}`)
  }
}

/** Refuses a number that would be stored as another one than was sent. */
function parseExactly(text: string): Parsed<unknown> {
  let changed: string | undefined
  const value: unknown = JSON.parse(text, (_key, part: unknown, context?: { readonly source?: string }) => {
    if (typeof part === 'number' && context?.source !== undefined && isChanged(part, context.source)) changed ??= context.source
    return part
  })
  if (changed === undefined) return { ok: true, value }
  const shown = changed.length <= SHOWN_DIGITS ? changed : `${changed.slice(0, SHOWN_DIGITS)}…`
  return refuse('', `the body holds the number ${shown}, which JSON readers cannot keep exactly; send it as a string`)
}

/** A fraction may lose digits, as every reader expects of it; an integer may not, and nothing may become infinite or vanish. */
function isChanged(value: number, source: string): boolean {
  if (!Number.isFinite(value)) return true
  if (value === 0) return /^[^eE]*[1-9]/.test(source)
  return /^-?\d+$/.test(source) && BigInt(source) !== BigInt(value)
}

/** @throws CallmeError `bad_request` where a request has a body and its endpoint reads none */
export function refuseBody(req: Request): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = req.headers
  if (encoding === undefined && Number(length ?? 0) === 0) return
  throw badRequest({ pointer: '', detail: 'this request takes no body; parameters go into the query' })
}

/** The body of a request as JSON; an empty one is `{}`. @throws CallmeError where it is not JSON */
export function bodyJson(req: Request, example: string): unknown {
  const text = bodyText(req)
  if (text.trim() === '') return {}
  const parsed = parseJson(text, example)
  if (!parsed.ok) throw badRequest(parsed.problem)
  return parsed.value
}

function isTooDeep(text: string): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfString(text, at)
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1
    else if ((code === OPEN_BRACE || code === OPEN_BRACKET) && ++depth > MAX_PARSER_DEPTH) return true
  }
  return false
}

/** The position of the quote that ends the string starting at `start`, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let first = end
    while (text.charCodeAt(first - 1) === BACKSLASH) first -= 1
    if ((end - first) % 2 === 0) return end
  }
  return text.length
}

/** The errors of express's body reader carry the status that fits and a text that does not help. */
function translate(cause: unknown, limit: number): unknown {
  const { status, message } = cause as { status?: number; message: string }
  if (status === 413) {
    return new CallmeError('too_large', `the body is larger than the ${limit / 2 ** 20} MiB that are allowed; send less at once`, { cause })
  }
  if (status === 415) {
    const detail = `${message}; send the body as it is, or with the content encoding gzip, deflate, br or zstd`
    return new CallmeError('unsupported_media_type', detail, { cause })
  }
  if (status === 400) return badRequest({ pointer: '', detail: `the body could not be read: ${message}` })
  return cause
}
