/** What was read and is sent back: members that only an answer has, and secrets that read back as a word. Both stand for what is stored. */
import type { Parsed, Problem } from '../domain/errors.ts'
import { isEqualJson, writeJson } from './json-text.ts'
import { REDACTED, isSecretHeader } from './secret-headers.ts'
import { show, type Check } from './validate.ts'

/** The members of a body that only an answer has. Null is absent. */
export const SENT_BACK = Symbol('sent back')
export interface SentBack {
  readonly [SENT_BACK]?: Readonly<Record<string, unknown>>
}

type Headers = Readonly<Record<string, string>>
interface WithHeaders {
  readonly headers?: Headers | undefined
}

/** What a client may have read. */
export interface Stored<Shown extends object, Own extends WithHeaders> {
  /** as an answer shows it */
  readonly shown: Shown & WithHeaders
  /** its own values */
  readonly own: Own
}

/** Takes the members that only an answer has out of a body before its check. */
export function letPass<B extends object>(check: Check<B>, names: readonly string[]): Check<B & SentBack> {
  const isShown = new Set(names)
  const at = (body: unknown, now: number): Parsed<B & SentBack> => {
    if (typeof body !== 'object' || body === null || !Object.keys(body).some((name) => isShown.has(name))) return check.at(body, now)
    const members = Object.entries(body)
    const checked = check.at(Object.fromEntries(members.filter(([name]) => !isShown.has(name))), now)
    const shown = Object.fromEntries(members.filter(([name, value]) => isShown.has(name) && value !== null))
    return checked.ok ? { ok: true, value: { ...checked.value, [SENT_BACK]: shown } } : checked
  }
  return Object.assign((body: unknown) => at(body, 0), { at, schema: check.schema })
}

/** Whether only the stored task or handler says what a body means. */
export function regardsStored({ headers = {}, [SENT_BACK]: sent = {} }: WithHeaders & SentBack): boolean {
  return Object.keys(sent).length > 0 || Object.entries(headers).some(isHidden)
}

/** @param stored undefined where nothing is stored @returns the members that are others than the stored ones */
export function checkSentBack({ [SENT_BACK]: sent = {} }: SentBack, stored: object | undefined): Problem[] {
  const known = stored === undefined ? {} : (JSON.parse(writeJson(stored)) as Readonly<Record<string, unknown>>)
  const others = Object.entries(sent).filter(([name, value]) => stored === undefined || !isEqualJson(value, known[name] ?? null))
  return others.map(([name, value]) => {
    const rule =
      stored === undefined
        ? 'must be absent, because nothing is stored here that it could be equal to'
        : `must be absent or equal to what is stored, ${show(known[name] ?? null)}`
    return { pointer: `/${name}`, detail: `${name} cannot be set: it ${rule}; got ${show(value)}` }
  })
}

/** The headers with the stored values of secrets that stand there as they read back. One of the handler stays with the handler. */
export function keepSecrets(headers: Headers, stored: Stored<object, WithHeaders> | undefined): Headers {
  if (stored === undefined) return headers
  const entries = Object.entries(headers).flatMap((header) => {
    if (!isHidden(header)) return [header]
    const own = sameHeader(header, stored.own.headers)
    if (own !== undefined) return [[header[0], own] as const]
    return sameHeader(header, stored.shown.headers) === undefined ? [header] : []
  })
  return Object.fromEntries(entries)
}

function isHidden([name, value]: readonly [string, string]): boolean {
  return value === REDACTED && isSecretHeader(name)
}

function sameHeader([name]: readonly [string, string], headers: Headers = {}): string | undefined {
  return Object.entries(headers).find(([other]) => other.toLowerCase() === name.toLowerCase())?.[1]
}
