/** JSON texts that are kept as they came, because a reader and a writer of JSON would change their numbers, their order or their escapes. */
import { refuse, type Parsed } from '../domain/errors.ts'
import type { JsonValue, TaskDefinition } from '../domain/task/task.ts'

/** The members of a body that a client gets back, or passes on. */
const KEPT = ['payload', 'error_payload', 'detail'] as const
type PayloadFields = Pick<TaskDefinition, 'payload' | 'payload_is_json' | 'error_payload' | 'error_payload_is_json'>
type Kept = Readonly<Partial<Record<(typeof KEPT)[number], unknown>>>

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c]
const [OPEN_BRACKET, OPEN_BRACE, CLOSE_BRACKET, CLOSE_BRACE] = [0x5b, 0x7b, 0x5d, 0x7d]
const NAME = /^\s*("(?:[^"\\]|\\.)*")\s*:/

/** No client can know this string, so it stands for nothing else. */
const PLACE = crypto.randomUUID()
/** The texts that the present `writeJson` has met, in their order. */
let met: string[] = []

/** The text of a JSON value. Only `writeJson` can write it. */
export class JsonText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toJSON(): string {
    met.push(this.text)
    return PLACE
  }
}

/** A value as JSON, as `JSON.stringify` writes it, with each `JsonText` as it came. */
export function writeJson(value: unknown, indent = 0): string {
  met = []
  const text = JSON.stringify(value, null, indent)
  if (met.length === 0) return text
  const parts = text.split(`"${PLACE}"`)
  return parts.map((part, index) => part + (met[index] ?? '')).join('')
}

/** A checked body each of whose texts is a `JsonText` where writing it anew would change it. @param text the body as it came */
export function keepTexts<B extends Kept>(body: B, text: string): Parsed<B> {
  const kept: Record<string, unknown> = {}
  for (const name of KEPT) {
    const value = body[name]
    if (typeof value === 'string' && !value.isWellFormed()) {
      return refuse(`/${name}`, `${name} must be whole Unicode characters; it holds half of a surrogate pair, which UTF-8 cannot`)
    }
    if (value === undefined || typeof value === 'string') continue
    const sent = membersOf(text).findLast((member) => member.name === name)?.text ?? ''
    kept[name] = asSent(value, sent)
  }
  return { ok: true, value: { ...body, ...kept } }
}

/** The payloads as a definition keeps them. */
export function storedPayloads(fields: Pick<Kept, 'payload' | 'error_payload'>): Partial<PayloadFields> {
  const { payload, error_payload } = fields
  return {
    ...(payload instanceof JsonText && { payload: payload.text, payload_is_json: true }),
    ...(error_payload instanceof JsonText && { error_payload: error_payload.text, error_payload_is_json: true }),
  }
}

/** A payload of a definition as `writeJson` takes it. */
export function shownPayload(payload: JsonValue, isJson: true | undefined): JsonValue | JsonText {
  return isJson === true && typeof payload === 'string' ? new JsonText(payload) : payload
}

/** A definition as a client sends it and reads it, for `writeJson`. */
export function shownDefinition({ payload_is_json, error_payload_is_json, ...fields }: TaskDefinition): Readonly<Record<string, unknown>> {
  const { payload, error_payload } = fields
  return {
    ...fields,
    ...(payload !== undefined && { payload: shownPayload(payload, payload_is_json) }),
    ...(error_payload !== undefined && { error_payload: shownPayload(error_payload, error_payload_is_json) }),
  }
}

/** Whether two values are the same JSON, in whatever order their members stand. */
export function isEqualJson(one: unknown, other: unknown): boolean {
  return inOrder(one) === inOrder(other)
}

function inOrder(value: unknown): string {
  const sort = (_name: string, part: unknown): unknown => {
    const isObject = typeof part === 'object' && part !== null && !Array.isArray(part)
    return isObject ? Object.fromEntries(Object.entries(part).sort(([one], [two]) => (one < two ? -1 : 1))) : part
  }
  return JSON.stringify(value, sort)
}

/** A payload after a JSON merge patch (RFC 7396). What the patch leaves alone keeps its bytes. */
export function mergeJson(target: unknown, patch: unknown): unknown {
  const text = textOf(patch)
  if (!text.startsWith('{')) return patch
  const merged = mergeTexts(textOf(target), text)
  return asSent(JSON.parse(merged), merged)
}

function mergeTexts(target: string, patch: string): string {
  if (!patch.startsWith('{')) return patch
  const members = new Map(target.startsWith('{') ? membersOf(target).map((member) => [member.name, member]) : [])
  for (const member of membersOf(patch)) {
    const before = members.get(member.name)
    if (member.text === 'null') members.delete(member.name)
    else members.set(member.name, { ...(before ?? member), text: mergeTexts(before?.text ?? '', member.text) })
  }
  return `{${[...members.values()].map(({ head, text }) => head + text).join(',')}}`
}

function textOf(value: unknown): string {
  return value instanceof JsonText ? value.text.trim() : writeJson(value ?? null)
}

/** A value, or its text where writing it anew would change it. */
function asSent(value: unknown, text: string): unknown {
  return JSON.stringify(value) === text ? value : new JsonText(text)
}

/** The part of a body in which no number may change. The numbers of kept texts cannot. */
export function textsToCheck(body: string): string[] {
  const text = body.trim()
  if (text.startsWith('[')) return [...elementsOf(text)].flatMap(textsToCheck)
  if (!text.startsWith('{')) return [text]
  return membersOf(text).flatMap((member) => ((KEPT as readonly string[]).includes(member.name) ? [] : [member.text]))
}

interface Member {
  readonly name: string
  /** the text of the name and of its colon */
  readonly head: string
  /** the text of the value */
  readonly text: string
}

function membersOf(object: string): Member[] {
  return [...elementsOf(object.trim())].flatMap((member) => {
    const [head = '', name = ''] = NAME.exec(member) ?? []
    return head === '' ? [] : [{ name: JSON.parse(name) as string, head, text: member.slice(head.length).trim() }]
  })
}

/**
 * The texts of the elements of a JSON array, or of the members of an object. The whole is JSON where each of them is.
 * @param text begins with a bracket, and has no space around it
 */
export function* elementsOf(text: string): Generator<string> {
  let [depth, isString, start] = [0, false, 1]
  for (let at = 1; at < text.length - 1; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) isString = !isString
    else if (isString) at += code === BACKSLASH ? 1 : 0
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1
    else if (code === COMMA && depth === 0) {
      yield text.slice(start, at)
      start = at + 1
    }
  }
  const last = text.slice(start, -1)
  if (start > 1 || last.trim() !== '') yield last
}
