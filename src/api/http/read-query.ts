/** Reads query parameters. An unknown, repeated or malformed one is refused: without it the request would mean something else. */
import { parse, type ParsedUrlQuery } from 'node:querystring'
import type { Request } from 'express'
import plainQuery from '../../../schema/api/plain-query.json' with { type: 'json' }
import { badRequest, valueOrThrow, type Parsed } from '../../domain/errors.ts'
import { parseTaskName } from '../../domain/task/task-key.ts'
import { explainTimezone } from '../../domain/time/time-zone.ts'
import { parseInstant, type TimeContext } from '../../domain/time/trigger-time.ts'
import type { PlainQuery } from '../../wire/bodies.ts'
import { compileCheck, show } from '../../wire/validate.ts'

export type Flag = PlainQuery['pretty']

/** The parameters of an endpoint that has none of its own. */
export const checkPlainQuery = compileCheck<PlainQuery>(plainQuery, 'query')

/** @throws CallmeError `bad_request` on the first parameter that is unknown, repeated or malformed */
export function readQuery<T>(req: Request, check: (value: unknown) => Parsed<T>): T {
  const query = parseQuery(req.url)
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) throw badRequest({ pointer: `?${name}`, detail: `${name} must be given once; got it ${value.length} times` })
  }
  return valueOrThrow(check(query))
}

export function isOn(flag: Flag): boolean {
  return flag !== undefined && flag !== 'false' && flag !== '0'
}

/** A filter that is a name or a pattern of names. @throws CallmeError `bad_request` on any other text */
export function readNames(text: string): string {
  const names = parseTaskName(text)
  if (names.ok) return names.value
  throw badRequest({ pointer: '?name', detail: `name must be that of tasks, or a beginning and an asterisk: ${names.problem.detail}` })
}

/** @param now epoch ms @param pointer to the zone @throws CallmeError `bad_request` on a zone that is none */
export function readTimeContext({ timezone }: { readonly timezone?: string | undefined }, now: number, pointer = '?timezone'): TimeContext {
  const problem = timezone === undefined ? undefined : explainTimezone(timezone)
  if (problem) throw badRequest({ ...problem, pointer })
  return { now, timezone }
}

/** @param text an instant of a range @returns Unix seconds @throws CallmeError `bad_request` on any other text */
export function readInstant(name: string, text: string, context: TimeContext): number {
  return valueOrThrow(parseInstant(name, text, context))
}

/** A `+` means itself and no space, so `?trigger_at=+6h` works as it is typed. */
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
