/** Reads query parameters: what is unknown, repeated or malformed is refused, because ignoring it would do something else than was asked. */
import { parse } from 'node:querystring'
import type { ParsedUrlQuery } from 'node:querystring'
import type { Request } from 'express'
import plainQuery from '../../schema/api/plain-query.json' with { type: 'json' }
import type { Parsed } from '../domain/errors.ts'
import { TASK_STATES } from '../domain/task.ts'
import type { TaskState } from '../domain/task.ts'
import { parseTaskName } from '../domain/task-key.ts'
import { SECONDS_PER_MINUTE, parseInstant } from '../domain/trigger-time.ts'
import type { ListQuery, PlainQuery } from '../schema-types.ts'
import { isPattern } from '../domain/name-pattern.ts'
import type { Selection } from '../store/store.ts'
import { badRequest, valueOrThrow } from './bad-request.ts'
import type { Target } from './read-target.ts'
import { compileCheck, show } from './validate.ts'

export type Flag = PlainQuery['pretty']

/** The parameters that choose entries, as lists and reschedules have them. */
export type FilterQuery = Pick<ListQuery, 'name' | 'state' | 'from' | 'to' | 'future_only'>

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

/** The entries of a target that every filter lets through. @param now epoch ms, for `future_only` */
export function selectionOf(target: Target, query: FilterQuery, now: number): Selection {
  const states = query.state?.split(',') as TaskState[] | undefined
  const from: number[] = target.triggerAt === undefined ? [] : [target.triggerAt]
  const to: number[] = target.triggerAt === undefined ? [] : [target.triggerAt + SECONDS_PER_MINUTE]
  if (query.from !== undefined) from.push(readInstant('from', query.from))
  if (isOn(query.future_only)) from.push(Math.floor(now / 1000) + 1)
  if (query.to !== undefined) to.push(readInstant('to', query.to))
  return {
    ...(target.name !== undefined && { name: target.name }),
    ...(query.name !== undefined && filterOfNames(readNames(query.name), target)),
    ...(states && { states: TASK_STATES.filter((state) => states.includes(state)) }),
    ...(from.length > 0 && { from: Math.max(...from) }),
    ...(to.length > 0 && { to: Math.min(...to) }),
  }
}

/** One name is looked up, the names of a pattern are walked to. */
function filterOfNames(names: string, target: Target): Pick<Selection, 'name' | 'names'> {
  return isPattern(names) || target.name !== undefined ? { names } : { name: names }
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
