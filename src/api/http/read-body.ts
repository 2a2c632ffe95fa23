/** Reads a request body as JSON within bounds of size and depth. Its Content-Type does not matter. */
import { isUtf8 } from 'node:buffer'
import express, { type Request, type RequestHandler } from 'express'
import { CallmeError, badRequest, refuse, valueOrThrow, type Parsed } from '../../domain/errors.ts'
import { keepTexts, textsToCheck } from '../../wire/json-text.ts'
import type { Check } from '../../wire/validate.ts'

/** Far more than a body needs, and far less than a recursive function can follow. */
const MAX_DEPTH = 1000
/** A number that a double cannot hold looks like this. Most bodies have none, and need no look at each value. */
const MAY_HOLD_LARGE_NUMBER = /\d{16}|\d[eE]/
const BYTE_ORDER_MARK = '\uFEFF'
const SHOWN_DIGITS = 60
const [QUOTE, BACKSLASH] = [0x22, 0x5c]
const [OPEN_BRACKET, OPEN_BRACE, CLOSE_BRACKET, CLOSE_BRACE] = [0x5b, 0x7b, 0x5d, 0x7d]

/** The body of an endpoint. */
export interface BodyReader<B> {
  readonly schema: object
  /** a right body, for the sentence that refuses a broken one */
  readonly example: string
  /** counted after decompression */
  readonly limitBytes: number
  /** @param now epoch ms @throws CallmeError where the text is refused */
  readonly read: (text: string, now: number) => B
}

/** A JSON body of at most 1 MiB; an empty one is `{}`. */
export function jsonBody<B extends object>(check: Check<B>, example: string): BodyReader<B> {
  const read = (text: string, now: number): B => {
    const body = valueOrThrow(check.at(text.trim() === '' ? {} : valueOrThrow(parseJson(text, example)), now))
    return valueOrThrow(keepTexts(body, text))
  }
  return { schema: check.schema, example, limitBytes: 2 ** 20, read }
}

/** Collects the bytes of a body for `bodyText`. */
export function collectBody(limitBytes: number): RequestHandler {
  const collect: RequestHandler = express.raw({ type: () => true, limit: limitBytes })
  return (req, res, next) => {
    collect(req, res, (cause?: unknown) => {
      if (cause === undefined) next()
      else next(translate(cause, limitBytes))
    })
  }
}

/** The body that `collectBody` has collected; empty where there is none. @throws CallmeError on an encoding other than UTF-8 */
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

/** @throws CallmeError `bad_request` where the request has a body */
export function refuseBody(req: Request): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = req.headers
  if (encoding === undefined && Number(length ?? 0) === 0) return
  throw badRequest({ pointer: '', detail: 'this request takes no body; parameters go into the query' })
}

/** @param example a right body, for the sentence that refuses a broken one */
export function parseJson(text: string, example: string): Parsed<unknown> {
  if (isTooDeep(text)) return refuse('', `the body is nested more than ${MAX_DEPTH} levels deep; a payload may be nested at most 100`)
  try {
    const value: unknown = JSON.parse(text)
    const changed = MAY_HOLD_LARGE_NUMBER.test(text)
      ? textsToCheck(text)
          .map(findChanged)
          .find((number) => number !== undefined)
      : undefined
    if (changed === undefined) return { ok: true, value }
    const shown = changed.length <= SHOWN_DIGITS ? changed : `${changed.slice(0, SHOWN_DIGITS)}…`
    return refuse('', `the body holds the number ${shown}, which JSON readers cannot keep exactly; send it as a string`)
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? cause.message : 'it cannot be read'
    return refuse('', `the body must be JSON such as ${example}; ${reason}`)
  }
}

/** Counts brackets before the parse, because broken JSON may be nested too, and the parse of numbers is recursive. */
function isTooDeep(text: string): boolean {
  if (text.length <= MAX_DEPTH) return false
  let [depth, isString] = [0, false]
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) isString = !isString
    else if (isString) at += code === BACKSLASH ? 1 : 0
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1
    else if ((code === OPEN_BRACE || code === OPEN_BRACKET) && ++depth > MAX_DEPTH) return true
  }
  return false
}

/** The first number that would be read as another one. */
function findChanged(text: string): string | undefined {
  let changed: string | undefined
  JSON.parse(text, (_key, part: unknown, context?: { readonly source?: string }) => {
    if (typeof part === 'number' && context?.source !== undefined && isChanged(part, context.source)) changed ??= context.source
    return part
  })
  return changed
}

/** A fraction may lose digits, as every reader expects. An integer may not, and no number may become infinite or vanish. */
function isChanged(value: number, source: string): boolean {
  if (!Number.isFinite(value)) return true
  if (value === 0) return /^[^eE]*[1-9]/.test(source)
  return /^-?\d+$/.test(source) && BigInt(source) !== BigInt(value)
}

/** The errors of express's body reader have the right status, and a text that does not help. */
function translate(cause: unknown, limitBytes: number): unknown {
  const { status, message } = cause as { status?: number; message: string }
  if (status === 413) {
    const detail = `the body is larger than the ${limitBytes / 2 ** 20} MiB that are allowed; send less at once`
    return new CallmeError('too_large', detail, { cause })
  }
  if (status === 415) {
    const detail = `${message}; send the body as it is, or with the content encoding gzip, deflate, br or zstd`
    return new CallmeError('unsupported_media_type', detail, { cause })
  }
  if (status === 400) return badRequest({ pointer: '', detail: `the body could not be read: ${message}` })
  return cause
}
