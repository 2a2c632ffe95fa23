/** Reads query parameters: what is unknown, repeated or malformed is refused, because ignoring it would do something else than was asked. */
import { parse } from 'node:querystring'
import type { ParsedUrlQuery } from 'node:querystring'
import type { Request } from 'express'
import plainQuery from '../../../schema/api/plain-query.json' with { type: 'json' }
import type { Parsed } from '../../domain/errors.ts'
import { parseTaskName } from '../../domain/task/task-key.ts'
import { parseInstant } from '../../domain/time/trigger-time.ts'
import type { PlainQuery } from '../../wire/bodies.ts'
import { badRequest, valueOrThrow } from '../../domain/errors.ts'
import { compileCheck, show } from '../../wire/validate.ts'

export type Flag = PlainQuery['pretty']

export const checkPlainQuery = compileCheck<PlainQuery>(plainQuery, 'query')

/** @throws CallmeError `bad_request` on the first parameter that is unknown, repeated or malformed */
export function readQuery<T>(req: Request, check: (value: unknown) => Parsed<T>): T {
  const query = parseQuery(req.url)
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) throw badRequest({ pointer: `?${name}`, detail: `${name} must be given once; got it ${value.length} times` })
  }
  return valueOrThrow(check(query))
}

/** For endpoints without parameters of their own: refuses all but `pretty`. */
export function refuseQuery(req: Request): void {
  if (req.url.includes('?')) readQuery(req, checkPlainQuery)
}

export function isOn(flag: Flag): boolean {
  return flag !== undefined && flag !== 'false' && flag !== '0'
}

/** A name, or a pattern of names, as a filter has it. @throws CallmeError `bad_request` on what is neither */
export function readNames(text: string): string {
  const names = parseTaskName(text)
  if (names.ok) return names.value
  throw badRequest({ pointer: '?name', detail: `name must be that of tasks, or a beginning and an asterisk: ${names.problem.detail}` })
}

/** An instant of a range, Unix seconds. @throws CallmeError `bad_request` on what is none */
export function readInstant(name: string, text: string): number {
  const instant = parseInstant(text)
  if (instant !== undefined) return instant
  const detail = `${name} must be a Unix time in seconds or an RFC 3339 time such as "2030-01-01T00:00:00Z"; got ${show(text)}`
  throw badRequest({ pointer: `?${name}`, detail })
}

/** A `+` means itself and no space, so that `?trigger_at=+6h` works as it is typed. */
function parseQuery(url: string): ParsedUrlQuery {
  const start = url.indexOf('?')
  if (start === -1) return {}
  const text = url.slice(start + 1).replaceAll('+', '%2B')
  if (text.includes('%') && !isPercentEncoded(text)) {
    throw badRequest({ pointer: '?', detail: `the query must be percent-encoded UTF-8; got ${show(url.slice(start))}` })
  }
  return parse(text, '&', '=', { maxKeys: 0 })
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}
