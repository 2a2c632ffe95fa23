/** Checks what clients send against the schemas. Each wrong member becomes one sentence that says what would be right. */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import handler from '../../schema/api/handler.json' with { type: 'json' }
import parameters from '../../schema/api/parameters.json' with { type: 'json' }
import task from '../../schema/api/task.json' with { type: 'json' }
import { refuseAll, type Parsed, type Problem } from '../domain/errors.ts'
import { meantBy } from '../suggest.ts'

/** The part of a request that holds the checked value; it decides how the fields are called. */
type Place = 'body' | 'query'

/** Checks a value. @returns the same value as a `T`, or the problems with it */
export interface Check<T> {
  (value: unknown): Parsed<T>
  /** The same with rules about times. @param now epoch ms */
  readonly at: (value: unknown, now: number) => Parsed<T>
  readonly schema: object
}

/** What a schema does not say. Each rule finds the problems of all members. */
export interface Rules<T> {
  /** come before the schema */
  readonly before?: (value: object) => Problem[]
  /** Judge the members that are right so far. `told` names the others, and those that somebody meant with an unknown one. */
  readonly after?: (right: Partial<T>, told: ReadonlySet<string>, now: number) => Problem[]
}

/** A body may hold as many wrong members as it has bytes. */
const MOST_PROBLEMS = 10
const SHOWN_LENGTH = 60
const MAX_DEPTH = 100

const HANDLER_FIELDS = Object.keys(handler.properties)
const TASK_FIELDS = Object.keys(task.properties)

/** The fields that belong elsewhere, and where. */
const MISPLACED = {
  task: {
    // A task has a name too, under another field.
    fields: HANDLER_FIELDS.filter((field) => field !== 'name' && !TASK_FIELDS.includes(field)),
    advice: 'belongs to the handler of a name, not to a task; send it with PUT /handler/<name>',
  },
  handler: {
    fields: TASK_FIELDS.filter((field) => !HANDLER_FIELDS.includes(field)),
    advice: 'belongs to a task, not to the handler of a name; send it with PUT /task/<name>',
  },
} as const

// Every schema node describes a right value in `expects`. No `allErrors`: a hostile body must not cost more than a good one.
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, verbose: true, keywords: ['expects'], schemas: [parameters, task] })

export function compileCheck<T>(schema: object, place: Place, rules: Rules<T> = {}): Check<T> {
  const isValid = ajv.compile<T>(schema)
  const { required = [], $id: _, ...rest } = schema as { readonly required?: readonly string[]; readonly $id?: string }
  const wrong = new WrongMembers(ajv.compile(rest), required, place, rules)
  const withoutNulls = place === 'body' ? dropNulls(schema) : (value: unknown): unknown => value
  const at = (given: unknown, now: number): Parsed<T> => {
    const value = withoutNulls(given)
    const early = isObject(value) ? (rules.before?.(value) ?? []) : []
    if (early.length === 0 && isValid(value)) return { ok: true, value }
    return refuseAll(wrong.find(value, early, now))
  }
  return Object.assign((value: unknown) => at(value, 0), { at, schema })
}

/** Finds every wrong member of a value that a schema refuses. It leaves one after the other out, so each costs as much as a good body. */
class WrongMembers<T> {
  /** the schema without its required members */
  readonly #isRight: ValidateFunction
  readonly #required: readonly string[]
  readonly #place: Place
  readonly #rules: Rules<T>

  constructor(isRight: ValidateFunction, required: readonly string[], place: Place, rules: Rules<T>) {
    this.#isRight = isRight
    this.#required = required
    this.#place = place
    this.#rules = rules
  }

  /** @param early problems that were found before. @returns unknown members first, and then those that are missing */
  find(value: unknown, early: readonly Problem[], now: number): Problem[] {
    const right: Record<string, unknown> = isObject(value) ? { ...value } : {}
    const told = new Set(early.map(({ pointer }) => memberOf(pointer)))
    for (const name of told) Reflect.deleteProperty(right, name)
    const [unknown, wrong]: [Problem[], Problem[]] = [[], []]
    while (early.length + unknown.length + wrong.length < MOST_PROBLEMS && !this.#isRight(isObject(value) ? right : value)) {
      const error = this.#isRight.errors?.findLast(({ keyword }) => keyword !== 'propertyNames')
      if (error === undefined) break
      const name = wrongMemberOf(error)
      if (name === undefined) return [explain(error, this.#place)]
      const isUnknown = error.instancePath === '' && 'additionalProperty' in error.params
      ;(isUnknown ? unknown : wrong).push(explain(error, this.#place))
      if (isUnknown) told.add(meantBy(name, Object.keys(knownFields(error))) ?? name)
      told.add(name)
      Reflect.deleteProperty(right, name)
    }
    const missing = this.#missing(value, told)
    return [...early, ...unknown, ...missing, ...wrong, ...(this.#rules.after?.(right as Partial<T>, told, now) ?? [])].slice(
      0,
      MOST_PROBLEMS,
    )
  }

  #missing(value: unknown, told: ReadonlySet<string>): Problem[] {
    if (!isObject(value)) return []
    const { properties } = this.#isRight.schema as { properties: Fields }
    return this.#required
      .filter((name) => !Object.hasOwn(value, name) && !told.has(name))
      .map((name) => explainMissing(name, properties, '', this.#place))
  }
}

/** @returns the member of the whole value that holds the fault; undefined where the value itself is wrong */
function wrongMemberOf({ instancePath, params }: ErrorObject): string | undefined {
  const { additionalProperty } = params as { additionalProperty?: string }
  return instancePath === '' ? additionalProperty : memberOf(instancePath)
}

/** The first part of a JSON Pointer. */
function memberOf(pointer: string): string {
  return pointer.slice(1).replace(/\/.*/s, '').replaceAll('~1', '/').replaceAll('~0', '~')
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A body whose null members are absent. A member that may be null keeps it. */
function dropNulls(schema: object): (body: unknown) => unknown {
  const { properties = {} } = schema as { properties?: Readonly<Record<string, { readonly type?: unknown }>> }
  const nullIsAbsent = new Set(Object.keys(properties).filter((name) => ![properties[name]?.type].flat().includes('null')))
  return (body) => {
    if (!isObject(body) || !Object.values(body).includes(null)) return body
    return Object.fromEntries(Object.entries(body).filter(([name, value]) => value !== null || !nullIsAbsent.has(name)))
  }
}

/** A value as JSON that fits into a sentence. */
export function show(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length <= SHOWN_LENGTH ? text : `${text.slice(0, SHOWN_LENGTH)}…`
}

function explain(error: ErrorObject, place: Place): Problem {
  const params = error.params as { additionalProperty?: string; missingProperty?: string }
  if (params.additionalProperty !== undefined) return explainUnknown(params.additionalProperty, error, place)
  if (params.missingProperty !== undefined) return explainMissing(params.missingProperty, knownFields(error), error.instancePath, place)
  const { expects } = error.parentSchema as { expects: string }
  if (error.propertyName !== undefined) {
    const detail = `${fieldOf(error.instancePath)} must not hold the name ${show(error.propertyName)}: a name must be ${expects}`
    return { pointer: error.instancePath, detail }
  }
  const detail = `${fieldOf(error.instancePath)} must be ${expects}; got ${show(error.data)}`
  return { pointer: pointerOf(error.instancePath, place), detail }
}

function explainUnknown(name: string, error: ErrorObject, place: Place): Problem {
  const known = Object.keys(knownFields(error))
  const meant = meantBy(name.slice(0, SHOWN_LENGTH), known)
  const kind = place === 'body' ? 'field' : 'query parameter'
  const hint = meant === undefined ? '.' : `; did you mean ${show(meant)}?`
  const detail = `unknown ${kind} ${show(name)}${hint} Known are ${known.join(', ')}`
  return { pointer: pointerOf(`${error.instancePath}/${escapePointer(name)}`, place), detail }
}

function explainMissing(name: string, fields: Fields, instancePath: string, place: Place): Problem {
  const detail = `${name} is required: it must be ${fields[name]?.expects ?? 'given'}`
  return { pointer: pointerOf(`${instancePath}/${name}`, place), detail }
}

type Fields = Readonly<Record<string, { readonly expects?: string }>>

function knownFields(error: ErrorObject): Fields {
  return (error.parentSchema as { properties: Fields }).properties
}

function fieldOf(instancePath: string): string {
  if (instancePath === '') return 'the body'
  return instancePath.slice(1).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~')
}

/** A name as one part of a JSON Pointer (RFC 6901). */
export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

function pointerOf(instancePath: string, place: Place): string {
  return place === 'body' ? instancePath : `?${instancePath.slice(1)}`
}

/**
 * Finds the fields of a task that were sent for a handler, or the other way round. The nearest known name would mislead there.
 * @param sentFor the thing that the body defines
 */
export function findMisplaced(body: object, sentFor: 'task' | 'handler'): Problem[] {
  const { fields, advice } = MISPLACED[sentFor]
  const sent = fields.filter((name) => Object.hasOwn(body, name))
  return sent.map((field) => ({ pointer: `/${field}`, detail: `${field} ${advice}` }))
}

/** Finds the fields that are nested deeper than a payload may be. */
export function findDeep(body: object): Problem[] {
  const fields = Object.entries(body).filter(([, value]) => isDeeper(value, MAX_DEPTH))
  return fields.map(([field]) => ({
    pointer: `/${escapePointer(field)}`,
    detail: `${field.slice(0, 60)} must be nested at most ${MAX_DEPTH} levels deep; it is deeper`,
  }))
}

function isDeeper(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return limit === 0 || Object.values(value).some((inner) => isDeeper(inner, limit - 1))
}
